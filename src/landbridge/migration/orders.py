"""What people, and the watching, tell the durable body."""

from __future__ import annotations

from typing import Any

from ..engine import Context
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
    return any(map(is_cancel, task.journal.entries()))


def is_cancel(entry: dict[str, Any]) -> bool:
    """Whether a journal entry is an order to cancel."""
    return bool(entry["kind"] == "signal" and entry["name"] == CANCEL)
