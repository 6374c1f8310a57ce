"""The process that works on a task: here, or detached with `python -m landbridge.migration.worker`.

A worker holds the task's lock, runs the durable engine in the task's folder and
may end at any moment: the copier and the destination are processes of their own,
and the next worker continues. Who asks for something writes it into the journal
and signals the body through the engine's database, from any process, whether a
worker lives or not; the one that lives, or the next, carries it out.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..engine import Engine, Status, send
from ..errors import LandbridgeError, SwitchoverRefused
from ..postgres.osaccount import clean_environment
from ..postgres.process import ProcessId, start_detached, wait_until
from .fence.attempt import standing_intent
from .fence.manual import note_fenced
from .orders import CANCEL, ORDERS, RESUME, SWITCHOVER, UNDO, order, switchover_ordered
from .procedure import HELD, Procedure
from .states import State, is_end
from .task import Task, Tasks

_BODY = "migrate"
#: Seconds between two looks at the journal while the body works.
_LOOK = 0.1
_DETACH_PATIENCE = 30.0
_GONE = "task.gone"


def run(
    task: Task,
    *,
    until: str = "end",
    stop: threading.Event | None = None,
    stay: bool = False,
    procedure: Callable[[Task], Procedure] = Procedure,
) -> State:
    """Work on the task in this process and return its state when there is no more to do.

    That is: an end state; something that only a person can put right (a switchover that
    was asked for by the request itself and put back, an undo or a clean-up that failed),
    unless `stay`; with `until="synchronizing"` that state; or `stop`.
    A task that was left in any state is continued.

    In the main thread SIGINT (as KeyboardInterrupt) and SIGTERM (as SystemExit) end it
    at the next stopping point, leaving everything as it stands; a second one ends the
    process at once. Raises LandbridgeError: task.busy, task.gone (its folder was removed),
    engine.foreign_value, and `internal` for a defect of ours (the task can be resumed).
    """
    if is_end(task.state):
        return task.state
    stop = stop or threading.Event()
    with task.locked(), _interruptible(stop) as interrupt:
        seen = _size(task)
        engine = Engine(task.folder, executor=task.id)
        engine.register(_BODY, procedure(task).migrate, topics=(ORDERS,))
        engine.launch()
        try:
            _set_off(task, engine)
            while not engine.join(task.id, _LOOK) and not stop.is_set():
                if until == "synchronizing" and task.state is State.SYNCHRONIZING:
                    break
                if not stay and _is_held(task, seen):
                    break
                if not task.folder.exists():
                    raise LandbridgeError(f"the folder of task {task.id} was removed", id=_GONE)
        finally:
            # Without its database no body can be woken: they end with the process.
            if task.folder.exists():
                engine.close()
        if engine.defect is not None and not stop.is_set():
            raise LandbridgeError(
                f"an error inside Landbridge: {type(engine.defect).__name__}",
                id="internal",
                remedy=f"The details are in {task.folder / 'engine.log'};"
                f" nothing was undone, `landbridge resume {task.id}` tries again.",
            ) from engine.defect
    interrupt()
    return task.state


def _set_off(task: Task, engine: Engine) -> None:
    me = f"{os.getpid()}@{socket.gethostname()}"
    task.journal.note("worker.started", f"Process {me} works on the task.", pid=os.getpid())
    status = engine.status(task.id)
    if status is None:
        engine.start(task.id, _BODY, task.id)
    elif status is not Status.RUNNING:
        raise LandbridgeError(
            f"the record of task {task.id} is closed, but the task is {task.state.value}",
            id="worker.closed",
        )
    else:
        engine.signal(task.id, ORDERS, order(RESUME))


def _is_held(task: Task, seen: int) -> bool:
    """Whether the journal says after byte `seen` that the body waits for a person.

    A request that waits for its switchover goes on waiting when one was put back.
    """
    held = [e[HELD] for e in task.journal.entries(seen) if e["kind"] == "error" and HELD in e]
    return any(h != "switchover" or task.request.switchover == "auto" for h in held)


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
    return entry


def detach(task: Task) -> ProcessId:
    """Start a worker that outlives this process; returns when it has taken the task.

    Raises LandbridgeError (worker.did_not_start) with its last words.
    """
    log = task.folder / "worker.log"
    seen = _size(task)
    environment = clean_environment({"LANDBRIDGE_STATE": str(task.folder.parent.parent)})
    process = start_detached(
        [sys.executable, "-m", "landbridge.migration.worker", task.id],
        output=log,
        environment=environment,
    )

    def started() -> bool:
        return not process.alive() or any(
            e["kind"] == "note" and e["id"] == "worker.started" for e in task.journal.entries(seen)
        )

    wait_until(started, _DETACH_PATIENCE, every=0.02)
    if not process.alive() and not is_end(task.state):
        words = log.read_text().strip().splitlines()[-1:] or ["it said nothing"]
        raise LandbridgeError(
            f"the worker of task {task.id} did not start: {words[0]}", id="worker.did_not_start"
        )
    return process


@contextmanager
def _interruptible(stop: threading.Event) -> Iterator[Any]:
    """Turn SIGINT and SIGTERM into `stop`; yields what raises them afterwards."""
    caught: list[int] = []

    def raise_caught() -> None:
        if caught:
            raise KeyboardInterrupt if caught[0] == signal.SIGINT else SystemExit(128 + caught[0])

    if threading.current_thread() is not threading.main_thread():
        yield raise_caught
        return

    def catch(number: int, _frame: object) -> None:
        if caught:
            os._exit(128 + number)
        caught.append(number)
        stop.set()

    before = {n: signal.signal(n, catch) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield raise_caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _size(task: Task) -> int:
    return task.journal.path.stat().st_size


def main(arguments: Sequence[str]) -> int:
    """The detached worker: `LANDBRIDGE_STATE` names the state directory."""
    (task_id,) = arguments
    try:
        state = run(Tasks(Path(os.environ["LANDBRIDGE_STATE"])).get(task_id), stay=True)
    except LandbridgeError as error:
        print(f"{error.id}: {error.message}", file=sys.stderr, flush=True)
        if error.id == _GONE:
            os._exit(error.exit_code)
        return error.exit_code
    return 0 if state is State.FINISHED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
