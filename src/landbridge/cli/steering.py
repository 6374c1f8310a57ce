"""Asks whoever works on a task for something, and shows what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LandbridgeError, SwitchoverUndone
from ..migration import worker
from .display.view import View
from .running import Condition, run_here

if TYPE_CHECKING:
    from .output import Output


def switch(view: View, out: Output) -> View:
    """Ask for the switchover and show it; returns when the migration is finished.

    Raises SwitchoverUndone, with the journal's words, when it was put back or refused.
    """
    view.update()
    asked = view.asked
    worker.request_switchover(view.task)
    return _see_through(view, out, lambda v: v.asked > asked and v.held is not None)


def say_fenced(view: View, out: Output, *, unverified: bool) -> View:
    """Tell the switchover under way that the person has fenced the source, and show the rest.

    `unverified`: that nobody writes to it any more, although it would accept that. Returns
    when the migration is finished; raises LandbridgeError (switchover.not_fencing) where
    none waits for that, (fence.not_effective) where it is not so and the switchover waits on,
    SwitchoverUndone as `switch` does.
    """
    view.update()
    before = view.not_fenced
    worker.declare_fenced(view.task, unverified=unverified)
    view = _see_through(view, out, lambda v: v.held is not None or v.not_fenced != before)
    if not view.is_over and (note := view.not_fenced) is not None and note != before:
        why = note["error"]
        raise LandbridgeError(why["message"], id=why["id"], remedy=why["remedy"])
    return view


def undo(view: View, out: Output) -> View:
    """Ask for the switchover under way to be put back; returns when it is.

    Raises LandbridgeError (switchover.too_late, switchover.not_under_way), and whatever
    else became of it.
    """
    view.update()
    asked = view.asked
    worker.request_undo(view.task)
    view = run_here(view.task, out, until=lambda v: v.asked > asked and v.held is not None)
    if view.held is not None and view.held["id"] != "switchover.interrupted":
        raise _undone(view)
    return view


def resume(view: View, out: Output) -> View:
    """Go on, or have the worker that lives try again what it waits for, and show that."""
    view.update()
    if not view.task.is_worked_on() or not (view.held or view.waiting):
        return run_here(view.task, out)
    asked = view.asked
    worker.request_resume(view.task)
    return run_here(view.task, out, until=lambda v: v.asked > asked and v.held is not None)


def cancel(view: View, out: Output) -> View:
    """Ask for the cancellation and show it; returns when everything is put back."""
    worker.request_cancel(view.task)
    return run_here(view.task, out)


def _see_through(view: View, out: Output, until: Condition) -> View:
    view = run_here(view.task, out, until=until)
    if not view.is_over and view.held is not None:
        raise _undone(view)
    return view


def _undone(view: View) -> SwitchoverUndone:
    assert view.held is not None
    why = view.held
    return SwitchoverUndone(str(why["message"]), id=str(why["id"]), remedy=why.get("remedy"))
