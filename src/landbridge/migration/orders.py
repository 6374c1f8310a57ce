"""What people, and the watching, tell the durable body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..engine import Context
from ..errors import MigrationCancelled, SwitchoverUndone
from .fence.attempt import standing_intent
from .fence.manual import STAYS
from .journal import now
from .task import Task

#: Topic of everything that is sent to the body.
ORDERS = "orders"
SWITCHOVER, CANCEL, RESUME, FOLLOW_FAILED = "switchover", "cancel", "resume", "follow_failed"
#: Never sent: whoever switches over finds it in the journal.
UNDO = "undo"


def order(what: str, *, at: str | None = None, **facts: Any) -> dict[str, Any]:
    """The payload of an order given at `at`, or now."""
    return {"order": what, "at": at or now(), **facts}


def next_order(ctx: Context, since: str, *, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """Wait for the next order given after `since`; those in `always` are never out of date."""
    while True:
        found: dict[str, Any] = ctx.wait_signal(ORDERS)
        if found["at"] > since or found["order"] in always:
            return found


def cancel_asked(task: Task) -> bool:
    """Whether somebody asked to cancel the task."""
    return any(map(_is_cancel, task.journal.entries()))


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
    if any(map(_is_cancel, entries)):
        return CANCEL
    asked = [e["name"] for e in entries if e["kind"] == "signal"]
    asked = [name for name in asked if name in (SWITCHOVER, UNDO)]
    return UNDO if asked[-1:] == [UNDO] else None


def _is_cancel(entry: dict[str, Any]) -> bool:
    return bool(entry["kind"] == "signal" and entry["name"] == CANCEL)
