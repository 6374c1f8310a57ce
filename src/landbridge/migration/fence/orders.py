"""What people order while a switchover is under way, found in the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ...errors import MigrationCancelled, SwitchoverUndone
from ...postgres.units import duration
from ..orders import CANCEL, SWITCHOVER, UNDO, is_cancel
from ..task import Task
from .attempt import Attempt, standing_intent
from .manual import STAYS

#: Seconds beyond the time limit in which a worker may come up that carries an order out.
_TAKEN_UP_WITHIN = 10.0


class SwitchOrders:
    """Orders that end a switchover, cheap enough to be looked for a thousand times a second.

    The journal is read only where it has grown, up to a standing line of intent: who asks
    after that is told that it is too late.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._size = -1
        self._ending: str | None = None

    def check(self) -> None:
        """Raise MigrationCancelled, or SwitchoverUndone (switchover.interrupted), if asked to."""
        size = self._task.journal.path.stat().st_size
        if size != self._size:
            entries = list(self._task.journal.entries())
            intent = standing_intent(entries)
            self._ending = _ending(entries if intent is None else entries[: entries.index(intent)])
            self._size = size
        if self._ending == CANCEL:
            raise MigrationCancelled("cancelled during the switchover")
        if self._ending == UNDO:
            raise SwitchoverUndone(
                "the switchover was put back because somebody asked for that",
                id="switchover.interrupted",
                remedy=STAYS
                if self._task.request.fence == "manual"
                else "The source accepts writes as before, and the destination follows it.",
            )


def switchover_ordered(entries: Iterable[dict[str, Any]]) -> bool:
    """Whether a switchover was asked for that has neither begun nor been refused since."""
    ordered = False
    for entry in entries:
        if entry["kind"] == "signal" and entry["name"] in (SWITCHOVER, UNDO):
            ordered = entry["name"] == SWITCHOVER
        elif entry["kind"] == "state" or "held" in entry:
            ordered = False
    return ordered


def _ending(entries: list[dict[str, Any]]) -> str | None:
    """What ends the switchover: an order to cancel, or to undo the last one asked for."""
    if any(map(is_cancel, entries)):
        return CANCEL
    asked = [e["name"] for e in entries if e["kind"] == "signal"]
    asked = [name for name in asked if name in (SWITCHOVER, UNDO)]
    return UNDO if asked[-1:] == [UNDO] else None


def refuse_stale(task: Task) -> None:
    """Raise SwitchoverUndone (switchover.time_limit) if what was asked for is out of date.

    The time limit counts from the order, too: nobody expects a promotion from one that no
    worker took up. Not so where the request itself asks, or where a person fences: then
    nothing happens without a word of theirs. An attempt has a limit of its own.
    """
    asked = [e for e in task.journal.entries() if _is_switchover(e)]
    request = task.request
    if not asked or asked[-1].get("by") == "auto" or request.fence == "manual":
        return
    age = (datetime.now(UTC) - datetime.fromisoformat(asked[-1]["at"])).total_seconds()
    if age > request.time_limit + _TAKEN_UP_WITHIN and Attempt.load(task) is None:
        raise SwitchoverUndone(
            f"the switchover was asked for {duration(age)} ago and not begun within the time"
            f" limit of {duration(request.time_limit)}: it is not carried out any more",
            id="switchover.time_limit",
            remedy=f"Ask for it again: landbridge switchover {task.id}",
        )


def _is_switchover(entry: dict[str, Any]) -> bool:
    return bool(entry["kind"] == "signal" and entry["name"] == SWITCHOVER)
