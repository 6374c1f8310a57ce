"""What happened to a migration, one JSON object a line, appended and never changed.

The journal is the truth about a task: its state, its error, its steps with
their times and positions are read from here, and the evidence is made from it.
Each entry has `at` (UTC, ISO 8601, microseconds), `kind` and facts of its kind:

=========== ==================================================================
kind        facts
=========== ==================================================================
state       state (value of `State`); from (the state before)
step        name, phase ("begin", "end", "failed", "undone"), and facts of the step
note        id (stable), level ("info", "warning", "alarm"), text, facts
error       id, message, remedy: why the migration failed, or why something was
            put back; `held`: it goes on as it was and waits for somebody to act
signal      what somebody asked for: resume, switchover, undo, cancel
moment      name: what a switchover has reached, said when it is; not durable, the record
            proper is in the facts of its steps
=========== ==================================================================
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .states import State

#: Notes of one id that are all kept, of those that may come again and again.
_ALL_KEPT = 50


class Journal:
    """Appends to, and reads from, one task's `journal.jsonl`.

    Appending is atomic between processes (one write of one line, O_APPEND), so the
    worker, its copier and the fence's guard may all write. A line that a full disk cut
    short is an error of whoever wrote it, and does not swallow the next.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def append(self, kind: str, *, durable: bool = True, **facts: Any) -> dict[str, Any]:
        """Add an entry; `durable=False` skips the fsync (between fence and promotion).

        Raises OSError when the line was not written whole.
        """
        entry = {"at": now(), "kind": kind, **facts}
        line = (json.dumps(entry, default=str) + "\n").encode()
        with self._lock:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if not _ends_a_line(fd):
                    line = b"\n" + line
                if os.write(fd, line) < len(line):
                    raise OSError(errno.ENOSPC, "a journal entry was cut short", str(self.path))
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
        return entry

    def note(self, id: str, text: str, *, level: str = "info", **facts: Any) -> None:
        """Record something worth a person's attention."""
        self.append("note", id=id, level=level, text=text, **facts)

    def repeat(self, id: str, text: str, *, level: str = "info", **facts: Any) -> bool:
        """`note` what may happen again and again; whether it was kept.

        After _ALL_KEPT of an id another is kept when it is as long after the last one as an
        _ALL_KEPT-th of the time from the first to the last: a source that comes and goes every
        few seconds leaves some 600 in a year. All are read several times a second.
        """
        times = [e["at"] for e in self.entries() if e.get("id") == id]
        if len(times) >= _ALL_KEPT:
            first, last = (datetime.fromisoformat(at) for at in (times[0], times[-1]))
            if datetime.now(UTC) - last < (last - first) / _ALL_KEPT:
                return False
        self.note(id, text, level=level, **facts)
        return True

    def enter(self, state: State, *, durable: bool = True) -> None:
        """Record that the migration is in `state` now; entering the same state is no news."""
        before = self.state()
        if before != state:
            self.append(
                "state", durable=durable, state=state.value, **{"from": before and before.value}
            )

    def entries(self, begin: int = 0) -> Iterator[dict[str, Any]]:
        """All entries from byte `begin` on; a line cut short by a crash is passed over."""
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

    def state(self) -> State | None:
        """The state entered last, or None before the first."""
        last = None
        for entry in self.entries():
            if entry["kind"] == "state":
                last = State(entry["state"])
        return last

    def first_error(self) -> dict[str, Any] | None:
        """The error that ended the migration, or holds it up, as `error_after` has it."""
        found = None
        for entry in self.entries():
            found = error_after(found, entry)
        return found


def error_after(found: dict[str, Any] | None, entry: dict[str, Any]) -> dict[str, Any] | None:
    """The error that counts once `entry` is written, where `found` did before.

    That is the first after the last good state. One that only held the migration up counts
    as long as no other has followed.
    """
    if entry["kind"] == "error" and (found is None or found.get("held")):
        return entry
    if entry["kind"] == "state" and State(entry["state"]) not in (State.FAILED, State.CANCELLED):
        return None
    return found


def _ends_a_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size == 0 or os.pread(fd, 1, size - 1) == b"\n"


def now() -> str:
    """This moment in UTC, as every record of ours writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
