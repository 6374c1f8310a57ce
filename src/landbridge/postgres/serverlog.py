"""What a server says of itself while it starts: in its log, and in the titles of its processes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from .process import ProcessId

#: Bytes that are read at most: the server's account may have written any number.
_WORDS, _TITLE = 256 << 10, 256
#: Children of a server whose titles tell whether it gets on.
_CHILDREN = 32


def last_words(log: Path, begin: int = 0) -> str:
    """The last FATAL or PANIC message after byte `begin` of a server's log, or its tail."""
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - _WORDS))
            text = file.read(_WORDS).decode(errors="replace")
    except OSError:
        return "it left no log"
    lines = text.strip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        match = re.search(r"(?:FATAL|PANIC):\s*(.*)", lines[index])
        if match and "shutting down" not in match[1] and "starting up" not in match[1]:
            more = [
                d[1]
                for line in lines[index + 1 : index + 3]
                if (d := re.search(r"(?:DETAIL|HINT):\s*(.*)", line))
            ]
            return " ".join((match[1], *more))
    return lines[-1] if lines else "it wrote nothing to its log"


def sign_of_life(log: Path, process: ProcessId) -> tuple[int, list[bytes]]:
    """Changes while a start makes progress: the log's size, what the children say they do.

    The startup process names the WAL segment it replays in its title, in the log it
    says nothing for as long as recovery lasts.
    """
    titles = []
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        titles = [title(pid) for pid in children.split()[:_CHILDREN]]
    return log.stat().st_size if log.exists() else 0, titles


def title(pid: int | str) -> bytes:
    """How a process calls itself, as far as that matters. OSError if it is gone."""
    with Path(f"/proc/{pid}/cmdline").open("rb") as file:
        return file.read(_TITLE)
