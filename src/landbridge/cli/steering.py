"""Asks whoever works on a task for something, and shows what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LandbridgeError, SwitchoverUndone
from ..migration import worker
from ..migration.fence.manual import declare_fenced
from ..migration.states import State
from .display.view import View
from .running import run_here

if TYPE_CHECKING:
    from .output import Output


def switch(view: View, out: Output) -> View:
    """Ask for the switchover and show it; returns when the migration is finished.

    Raises SwitchoverUndone, with the journal's words, when it was put back or refused.
    """
    view.update()
    asked = view.asked
    worker.request_switchover(view.task)
    view = run_here(view.task, out, until=lambda v: v.asked > asked and v.held is not None)
    if not view.is_over and view.held is not None:
        why = view.held
        raise SwitchoverUndone(str(why["message"]), id=str(why["id"]), remedy=why.get("remedy"))
    return view


def cancel(view: View, out: Output) -> View:
    """Ask for the cancellation and show it; returns when everything is put back."""
    worker.request_cancel(view.task)
    return run_here(view.task, out)


def say_fenced(view: View, *, unverified: bool) -> None:
    """Tell the switchover under way that the person has fenced the source.

    `unverified`: that nobody writes to it any more, although it would accept that.
    Raises LandbridgeError (switchover.not_fencing) where none waits for that.
    """
    if view.state is not State.FENCING or view.request.fence != "manual":
        raise LandbridgeError(
            f"task {view.task.id} does not wait for a manual fence: {view.label}",
            id="switchover.not_fencing",
        )
    declare_fenced(view.task, unverified=unverified)
