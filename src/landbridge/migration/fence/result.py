"""The record of a completed switchover."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self

from ..locks import folder
from ..task import Task, read_json, write_json


class OutageFrom(Enum):
    """From when on the write outage is counted."""

    TOLD = "told"
    """Just before we told the source to refuse writes."""
    READ_ONLY = "read_only"
    """When the source, fenced by a person, last read its settings: read-only since then or
    before."""
    CONFIRMED = "confirmed"
    """When nobody wrote, of a source that accepts writes; nobody knows since when."""

    @classmethod
    def of(cls, fence: str, *, is_proved: bool) -> OutageFrom:
        """`is_proved`: the source was seen to refuse writes."""
        if fence != "manual":
            return cls.TOLD
        return cls.READ_ONLY if is_proved else cls.CONFIRMED


@dataclass(frozen=True)
class SwitchoverResult:
    """What a completed switchover did; times in UTC, ISO 8601."""

    fence: str
    fence_lsn: str
    """Everything that the source ever acknowledged lies before it."""
    fence_next_xid: int
    promote_next_xid: int
    """Next transaction id of the source immediately before the promotion: the same; both 0
    when somebody else promoted the destination."""
    system_identifier: str
    timeline_before: int
    timeline_after: int
    started: str
    fenced: str
    drained: str
    promoted: str
    released: str
    write_outage_ms: float
    """From just before the source was told to refuse writes until the destination was seen
    to accept them; an upper bound when our process died in between. Under the fence `manual`
    a lower bound: the source may have been read-only before."""
    sessions_terminated: int
    undo_possible_until: str
    """The point of no return."""
    diverged: list[dict[str, Any]] | None = field(default_factory=list)
    """Commits of the source that the destination does not have: xid, lsn, at. None: not
    looked for, because the source did not answer."""
    write_outage_from: str = OutageFrom.TOLD.value
    """What `write_outage_ms` counts from (OutageFrom)."""
    proved: dict[str, bool] = field(default_factory=dict)
    """Name (Proof) -> whether it was looked at and found so; False: it was not looked at."""
    source_left: str = ""
    """How the source was left, in a sentence."""
    reopen: list[dict[str, str]] = field(default_factory=list)
    """Lines (where: shell or sql; line) that let the source take writes again."""

    @classmethod
    def load(cls, task: Task) -> Self | None:
        """The result of the task's completed switchover, if there is one."""
        raw = read_json(_path(task))
        return None if raw is None else cls(**raw)

    def save(self, task: Task) -> None:
        write_json(_path(task), self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def milliseconds(begin: str, end: str) -> float:
    """Milliseconds between two times of the journal."""
    spent = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    return round(spent.total_seconds() * 1000, 1)


def _path(task: Task) -> Path:
    return folder(task) / "result.json"
