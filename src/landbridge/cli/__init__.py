"""The command line: parse, call, render. Everything that matters happens below.

`main` is the entry point (main.py); one file a command; `options.py`, `output.py`,
`passwords.py` and `units.py` are shared; `display/` turns a task's journal and its
latest figures into what a person sees; `demo/` is the demonstration.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command of this process's arguments and exit with its code."""
    from .main import run

    sys.exit(run(sys.argv[1:]))
