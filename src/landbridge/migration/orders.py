"""What people, and the watching, tell the durable body."""

from __future__ import annotations

from typing import Any

from ..engine import Context
from .fence.attempt import standing_intent
from .journal import now
from .task import Task

#: Topic of everything that is sent to the body.
ORDERS = "orders"
SWITCHOVER, CANCEL, RESUME, FOLLOW_FAILED = "switchover", "cancel", "resume", "follow_failed"


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


class CancelWatch:
    """`cancel_asked`, cheap enough to be asked a thousand times a second.

    The journal is read only where it has grown, up to a standing line of intent: who asks
    after that is told that it is too late.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._size = -1
        self._asked = False

    def __call__(self) -> bool:
        size = self._task.journal.path.stat().st_size
        if size != self._size:
            entries = list(self._task.journal.entries())
            intent = standing_intent(entries)
            before = entries if intent is None else entries[: entries.index(intent)]
            self._asked, self._size = any(map(_is_cancel, before)), size
        return self._asked


def _is_cancel(entry: dict[str, Any]) -> bool:
    return bool(entry["kind"] == "signal" and entry["name"] == CANCEL)
