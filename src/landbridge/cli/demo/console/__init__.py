"""`landbridge demo --console`: two accounts in two regions, a source under load, and a console.

`stage` builds it, `command` runs it, `guide` carries the whole procedure out by clicks.
"""
