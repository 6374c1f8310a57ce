"""The process that works on a task: here, or detached with `python -m landbridge.migration.worker`.

A worker holds the task's lock, runs the durable engine in the task's folder and
may end at any moment: the copier and the destination are processes of their own,
and the next worker continues. What it is asked for comes from anywhere (requests.py).
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

from ..engine import Engine, Status
from ..errors import LandbridgeError
from ..postgres.osaccount import clean_environment
from ..postgres.process import ProcessId, start_detached, wait_until
from .notes import WORKER_STARTED
from .orders import ORDERS, RESUME, order
from .procedure import HELD, Procedure
from .requests import (
    declare_fenced,
    request_cancel,
    request_resume,
    request_switchover,
    request_undo,
)
from .states import State, is_end
from .task import Task, Tasks

__all__ = [
    "declare_fenced",
    "detach",
    "request_cancel",
    "request_resume",
    "request_switchover",
    "request_undo",
    "run",
]

_BODY = "migrate"
#: Seconds between two looks at the journal while the body works.
_LOOK = 0.1
_DETACH_PATIENCE = 30.0
#: Seconds that a body gets to come to a stopping point, once the process shall end.
GRACE = 2.0


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
    at the next stopping point, leaving everything as it stands; what comes to none within
    GRACE is cut off by the end of the process, and a second signal ends it at once. Raises
    LandbridgeError: task.busy, task.gone (its folder was removed), engine.foreign_value,
    and `internal` for a defect of ours (the task can be resumed).
    """
    if is_end(task.state):
        return task.state
    stop = stop or threading.Event()
    with task.locked(), _interruptible(task, stop) as interrupt:
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
                    raise LandbridgeError(
                        f"the folder of task {task.id} was removed", id="task.gone"
                    )
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
    task.journal.note(WORKER_STARTED, f"Process {me} works on the task.", pid=os.getpid())
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
            e["kind"] == "note" and e["id"] == WORKER_STARTED for e in task.journal.entries(seen)
        )

    wait_until(started, _DETACH_PATIENCE, every=0.02)
    if not process.alive() and not is_end(task.state):
        words = log.read_text().strip().splitlines()[-1:] or ["it said nothing"]
        raise LandbridgeError(
            f"the worker of task {task.id} did not start: {words[0]}", id="worker.did_not_start"
        )
    return process


@contextmanager
def _interruptible(task: Task, stop: threading.Event) -> Iterator[Any]:
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

    left = threading.Event()
    threading.Thread(target=_cut_off, args=(task, caught, left), daemon=True).start()
    before = {n: signal.signal(n, catch) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield raise_caught
    finally:
        left.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _cut_off(task: Task, caught: list[int], left: threading.Event) -> None:
    """End the process where a signal was `caught` and its work is not `left` in time.

    A call into libpq or the kernel cannot be ended otherwise. Every step may be cut off: the
    next worker looks at reality first.
    """
    while not left.wait(_LOOK):
        if not caught:
            continue
        if left.wait(GRACE):
            return
        if may_be_cut_off(task):  # looked at last: a switchover may have begun meanwhile
            os._exit(128 + caught[0])


def may_be_cut_off(task: Task) -> bool:
    """Not between the fence and the promotion: the source would wait for the guard, read-only."""
    return task.state not in (State.FENCING, State.DRAINED)


def _size(task: Task) -> int:
    return task.journal.path.stat().st_size


def main(arguments: Sequence[str]) -> int:
    """The detached worker: `LANDBRIDGE_STATE` names the state directory."""
    (task_id,) = arguments
    try:
        state = run(Tasks(Path(os.environ["LANDBRIDGE_STATE"])).get(task_id), stay=True)
    except LandbridgeError as error:
        print(f"{error.id}: {error.message}", file=sys.stderr, flush=True)
        return error.exit_code
    except SystemExit as ended:
        return int(str(ended.code))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0 if state is State.FINISHED else 1


if __name__ == "__main__":
    # At once: the interpreter would wait for the engine's threads.
    os._exit(main(sys.argv[1:]))
