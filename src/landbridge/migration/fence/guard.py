"""Puts the source back when a switchover's process died.

A guard (`python -m landbridge.migration.fence.guard`) is started, detached, before an attempt
changes anything. It does nothing as long as somebody works on the attempt; at the deadline, or
when the migration was given up, it looks at the destination and, unless that is promoted, undoes
the fence. It tries until it succeeds, whatever fails: no source may stay fenced without a
destination.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from ... import lock
from ...errors import LandbridgeError
from ...postgres.osaccount import clean_environment
from ...postgres.process import start_detached, wait_until
from ..journal import now
from ..locks import folder, switch_lock
from ..states import is_end
from ..task import Task
from .attempt import Attempt
from .undo import settle_attempt

#: Seconds past the deadline that a worker may hold the lock: stopped, and while it seems to work;
#: putting back takes up to 40.
_STOPPED, _HUNG = 2.0, 120.0
#: Seconds between two looks; up to the longest while putting back fails.
_TICK, _LONGEST = 0.2, 5.0


def start(task: Task, *, wait: bool = True) -> None:
    """Start the guard of a task unless one runs; return when it stands guard.

    Without `wait` it is only started. Raises LandbridgeError (guard.not_started) when it
    does not come up.
    """
    if is_guarded(task):
        return
    log = folder(task) / "guard.log"
    process = start_detached(
        [sys.executable, "-m", "landbridge.migration.fence.guard", task.folder],
        output=log,
        environment=clean_environment(),
    )
    if wait:
        wait_until(lambda: is_guarded(task) or not process.alive(), 20)
        if not is_guarded(task):
            raise LandbridgeError(
                f"the guard of the switchover did not start, see {log}", id="guard.not_started"
            )


def main(task: Task) -> None:
    """Guard the attempt under way until nothing is left to put back, or to put it back with."""
    if (fd := lock.take(folder(task) / "guard", patience=2)) is None:
        return
    busy_since: float | None = None
    pause = _TICK
    while task.folder.exists():
        try:
            if not _is_due(task):
                busy_since = None
            elif _put_back(task, fd):
                return
            else:
                busy_since = busy_since or time.monotonic()
                _end_hung(task, time.monotonic() - busy_since)
        except Exception as error:
            busy_since, pause = None, min(2 * pause, _LONGEST)
            print(f"{now()} {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        time.sleep(pause)


def _put_back(task: Task, guard: int) -> bool:
    """Put back what there is, and leave the lock `guard`; False while others act on it."""
    try:
        with switch_lock(task, patience=0):
            settle_attempt(task, by="guard")
            if is_end(task.state):
                task.remove_secrets()
            # Closed under the lock, so that nobody counts on a guard that is leaving.
            os.close(guard)
    except LandbridgeError as error:
        if error.id != "switchover.busy":
            raise
        return False
    return True


def _is_due(task: Task) -> bool:
    attempt = Attempt.load(task)
    return attempt is None or time.time() > attempt.deadline or is_end(task.state)


def _end_hung(task: Task, held: float) -> None:
    """Kill the worker that has `held` the lock for so many seconds and does nothing.

    Also past the line of intent where it is stopped: until it goes on nobody could write
    anywhere. Whoever takes the lock after it sees whether the destination is promoted.
    """
    attempt = Attempt.load(task)
    if attempt is None or task.cluster().left_recovery():
        return
    worker = attempt.worker_process
    if worker.is_stopped():
        patience = _STOPPED
    elif attempt.intent(task) is None:
        patience = _HUNG
    else:
        return
    if held > patience:
        worker.send(signal.SIGKILL)


def is_guarded(task: Task) -> bool:
    """Whether a guard lives."""
    path = task.folder / "switchover" / "guard"
    return path.exists() and lock.is_taken(path)


if __name__ == "__main__":
    main(Task(Path(sys.argv[1])))
