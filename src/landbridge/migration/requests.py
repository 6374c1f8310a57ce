"""What people ask of a task, from any process, whether a worker lives or not.

Who asks writes it into the journal and signals the body through the engine's database;
the worker that lives, or the next, carries it out.
"""

from __future__ import annotations

from typing import Any

from ..engine import send
from ..errors import LandbridgeError, SwitchoverRefused
from .fence.attempt import standing_intent
from .fence.manual import note_fenced
from .fence.orders import switchover_ordered
from .orders import CANCEL, ORDERS, RESUME, SWITCHOVER, UNDO, order
from .states import State, is_end
from .task import Task


def request_switchover(task: Task, *, fenced: bool = False, unverified: bool = False) -> None:
    """Ask for the switchover; returns at once.

    `fenced`, `unverified`: what is said of a manual fence, as in `declare_fenced`; then
    nothing more is waited for.

    The worker that has the task carries it out, or the next one: call `run` if
    `task.is_worked_on()` is False. Raises SwitchoverRefused (switchover.not_yet,
    switchover.too_late) in any state but SYNCHRONIZING.
    """
    state = task.state
    if state is not State.SYNCHRONIZING:
        late = state is State.PROMOTED or is_end(state)
        raise SwitchoverRefused(
            f"task {task.id} is {state.value}: a switchover begins while it is synchronizing",
            id="switchover.too_late" if late else "switchover.not_yet",
            remedy=_how_to_go_on(task, state),
        )
    if fenced or unverified:
        note_fenced(task, unverified=unverified)
    _ask(task, SWITCHOVER)


def _how_to_go_on(task: Task, state: State) -> str | None:
    if is_end(state):
        return None
    if task.is_worked_on():
        return f"Follow it: landbridge watch {task.id}"
    return f"Nobody works on it. Go on: landbridge resume {task.id}"


def request_undo(task: Task) -> None:
    """Ask to put a switchover back, and to go on following; returns at once.

    Whoever switches over does so, as in `request_switchover`. Raises LandbridgeError:
    switchover.not_under_way, or switchover.too_late past the point of no return.
    """
    entries = list(task.journal.entries())
    _refuse_late_undo(task, entries)
    if task.state not in (State.FENCING, State.DRAINED) and not switchover_ordered(entries):
        raise LandbridgeError(
            f"task {task.id} is {task.state.value}: no switchover is under way",
            id="switchover.not_under_way",
        )
    entry = task.journal.append("signal", name=UNDO)
    entries = list(task.journal.entries())
    # The line of intent may have come first; if not, whoever wrote it heeds ours.
    _refuse_late_undo(task, entries[: entries.index(entry)])


def _refuse_late_undo(task: Task, entries: list[dict[str, Any]]) -> None:
    if standing_intent(entries) is not None:
        raise LandbridgeError(
            f"too late: the destination of task {task.id} is promoted, or about to be",
            id="switchover.too_late",
            remedy=_how_to_go_on(task, task.state),
        )


def declare_fenced(task: Task, *, unverified: bool = False) -> None:
    """Say, for a person, that the source is fenced, which is then verified.

    `unverified`: that it would accept writes, but that nobody writes any more. Raises
    LandbridgeError (switchover.not_fencing) where no switchover waits for that.
    """
    if task.state is not State.FENCING or task.request.fence != "manual":
        raise LandbridgeError(
            f"task {task.id} does not wait for a manual fence: it is {task.state.value}",
            id="switchover.not_fencing",
        )
    note_fenced(task, unverified=unverified)


def request_resume(task: Task) -> None:
    """Ask the worker that has the task to try again what it waits for; returns at once."""
    _ask(task, RESUME)


def request_cancel(task: Task) -> None:
    """Ask to cancel and put everything back; returns at once, as `request_switchover`.

    A switchover under way is put back. Raises LandbridgeError (cancel.too_late) past the
    point of no return, or at the end.
    """
    _refuse_too_late(task, list(task.journal.entries()))
    entry = _ask(task, CANCEL)
    entries = list(task.journal.entries())
    # The line of intent may have come first; if not, whoever wrote it heeds ours.
    _refuse_too_late(task, entries[: entries.index(entry)])


def _refuse_too_late(task: Task, entries: list[dict[str, Any]]) -> None:
    states = [State(e["state"]) for e in entries if e["kind"] == "state"]
    state = states[-1] if states else State.ASSESSING
    if is_end(state) or state is State.PROMOTED or standing_intent(entries) is not None:
        raise LandbridgeError(
            f"task {task.id} is {state.value} and cannot be cancelled", id="cancel.too_late"
        )


def _ask(task: Task, what: str) -> dict[str, Any]:
    entry = task.journal.append("signal", name=what)
    try:
        send(task.folder, task.id, ORDERS, order(what, at=entry["at"]))
    except LandbridgeError as error:
        # A body that was never started reads the order to cancel from the journal.
        if error.id != "engine.unknown":
            raise
    except Exception:
        if what == SWITCHOVER:  # no body hears of it: nobody shall wait for it
            said = LandbridgeError(
                "the switchover was asked for, but the order could not be written",
                id="switchover.not_ordered",
                remedy=f"Ask for it again: landbridge switchover {task.id}",
            )
            task.journal.append("error", **said.as_dict(), held=SWITCHOVER)
        raise
    return entry
