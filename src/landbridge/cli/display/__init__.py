"""What a person sees of a migration: read from its journal and its latest figures alone.

`reader` follows the files, `view` makes one picture of them, `details` puts figures
into words, `screen` draws the picture on a terminal, `lines` writes it into a log, and
`follow` runs all of it until something happens. Whoever works on the task - this
process, another one, nobody - makes no difference here.
"""
