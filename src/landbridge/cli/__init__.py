"""The command line: parse, call, render. Everything that matters happens below.

`main` is the entry point (entry.py); one file a command; `options.py`, `output.py`,
`passwords.py` and `units.py` are shared; `display/` turns a task's journal and its
latest figures into what a person sees; `demo/` is the demonstration.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command of this process's arguments and exit with its code."""
    from .entry import run
    from .interrupt import INTERRUPTED

    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        # Work that does not come to its stopping point shall not hold the user back.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
