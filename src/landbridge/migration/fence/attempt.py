"""One attempt at a switchover: what must be put back, until when, and who may act on it.

`switchover/attempt.json` exists exactly as long as something on the source may have to
be put back. It is written, durably, before the change it tells of. Whoever reads or
changes it holds `switchover/lock`: the switching process, the guard, or a cancellation.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg

from ...errors import SwitchoverUndone
from ...postgres.bounded import interrupt
from ...postgres.process import ProcessId
from ..journal import now
from ..locks import folder
from ..task import Task, read_json, write_json


@dataclass
class Attempt:
    """What one attempt has changed, or is about to change, on the source."""

    fence: str
    started: str
    """UTC, ISO 8601."""
    deadline: float
    """Unix time after which everything is put back unless the destination is promoted."""
    worker: dict[str, int]
    """The process that switches over (pid, started)."""
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    """Tells its lines in the journal from those of other attempts."""
    closing: str | None = None
    """When the source was first about to be told to refuse writes (UTC, ISO 8601)."""
    settings: dict[str, str | None] = field(default_factory=dict)
    """Setting -> its value in postgresql.auto.conf before us; None where it had none."""
    sync_names: str = ""
    """synchronous_standby_names as it was in effect before us, wherever it was set."""
    hba_file: str | None = None
    """Path, on the source, of the pg_hba file we replaced; its content is in `hba.original`."""

    @classmethod
    def begin(cls, task: Task, *, since: float | None = None) -> Self:
        """Write down a new attempt; nothing on the source is changed by this.

        The time limit counts from `since` (Unix time), or from now.
        """
        deadline = (since or time.time()) + task.request.time_limit
        attempt = cls(task.request.fence, now(), deadline, _myself())
        attempt.save(task)
        return attempt

    @classmethod
    def load(cls, task: Task) -> Self | None:
        """The attempt that was begun and neither completed nor put back."""
        raw = read_json(_path(task))
        return None if raw is None else cls(**raw)

    def adopt(self, task: Task) -> None:
        """Go on, as this process, with an attempt that another one left behind."""
        self.worker = _myself()
        self.save(task)

    def save(self, task: Task) -> None:
        folder(task)
        write_json(_path(task), asdict(self))

    def close(self, task: Task) -> None:
        """Nothing is left to put back."""
        _path(task).unlink(missing_ok=True)

    @property
    def worker_process(self) -> ProcessId:
        return ProcessId(**self.worker)

    def intent(self, task: Task) -> dict[str, Any] | None:
        """The journal's line that precedes the promotion, if this attempt came that far."""
        found = standing_intent(task.journal.entries())
        return found if found and found.get("attempt") == self.id else None


def standing_intent(entries: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The last line that precedes a promotion, unless that was put back afterwards."""
    found = None
    for entry in entries:
        if entry["kind"] == "step":
            if (entry["name"], entry["phase"]) == ("promote", "begin"):
                found = entry
            elif (entry["name"], entry["phase"]) == ("fence", "undone"):
                found = None
    return found


class Deadline:
    """The time limit of an attempt, for loops and for reads that would block past it.

    `obey` raises what else ends the attempt: an order of somebody's.
    """

    def __init__(self, at: float, obey: Callable[[], None] = lambda: None) -> None:
        self.at = at
        self._obey = obey
        self._watched: list[psycopg.Connection[Any]] = []
        self._timer = threading.Timer(max(0.0, self.left()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def left(self) -> float:
        """Seconds until the limit; negative afterwards."""
        return self.at - time.time()

    def check(self) -> None:
        """Raise SwitchoverUndone (switchover.time_limit) once the limit is reached.

        Raises whatever ends the attempt before that.
        """
        self._obey()
        if self.left() <= 0:
            raise SwitchoverUndone(
                "the time limit was reached before the promotion", id="switchover.time_limit"
            )

    def watch(self, conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        """Have this connection's blocked reads fail when the limit is reached."""
        self._watched.append(conn)
        return conn

    def disarm(self) -> None:
        """The limit no longer applies: the destination is promoted, or all is put back."""
        self._timer.cancel()

    def _cut(self) -> None:
        # A dead wire can block a read for longer than the limit.
        for conn in self._watched:
            interrupt(conn)


def _path(task: Task) -> Path:
    return task.folder / "switchover" / "attempt.json"


def _myself() -> dict[str, int]:
    process = ProcessId.of(os.getpid())
    assert process is not None
    return process.as_dict()
