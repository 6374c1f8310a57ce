"""`python -m landbridge.cli`: the same as the program `landbridge`."""

from . import main

main()
