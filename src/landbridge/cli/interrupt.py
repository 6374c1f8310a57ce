"""Ctrl-C as an error like any other: it says what goes on and how to go on."""

from __future__ import annotations

from ..errors import LandbridgeError

#: Exit code of an interrupted command, as shells have it (128 + SIGINT).
INTERRUPTED = 130


class Interrupted(LandbridgeError):
    """The user ended the command; nothing went wrong."""

    id = "interrupted"
    exit_code = INTERRUPTED
    retryable = True
