"""Real PostgreSQL servers at their places in a fabric: what a lab and a cloud have in common.

`room` starts a server at its place and lets clients in; `starter` runs there; `sandbox` shuts
a server in, `identity` gives it an account of its own.
"""
