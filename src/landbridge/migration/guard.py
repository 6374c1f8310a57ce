"""Puts the source back when a switchover's process died: `python -m landbridge.migration.guard`.

A guard is started, detached, before an attempt changes anything. It does nothing as long
as somebody works on the attempt; at the deadline it looks at the destination and, unless
that is promoted, undoes the fence.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from ..errors import LandbridgeError
from ..postgres.osaccount import clean_environment
from ..postgres.process import start_detached, wait_until
from .fence.attempt import Attempt, folder, switch_lock, try_lock
from .fence.undo import settle_attempt
from .task import Task

#: Seconds past the deadline that a living process gets to put things back itself.
_GRACE = 20.0
_TICK = 0.2


def start(task: Task) -> None:
    """Start the guard of a task unless one runs; return when it stands guard.

    Raises LandbridgeError (guard.not_started) when it does not come up.
    """
    if _is_guarded(task):
        return
    log = folder(task) / "guard.log"
    process = start_detached(
        [sys.executable, "-m", "landbridge.migration.guard", task.folder],
        output=log,
        environment=clean_environment(),
    )
    if not wait_until(lambda: _is_guarded(task) or not process.alive(), 20) or (
        not process.alive()
    ):
        raise LandbridgeError(
            f"the guard of the switchover did not start, see {log}", id="guard.not_started"
        )


def main(task: Task) -> None:
    """Guard the attempt under way until nothing is left to put back."""
    fd = os.open(folder(task) / "guard", os.O_RDWR | os.O_CREAT, 0o600)
    if not wait_until(lambda: try_lock(fd), 2):
        return
    while not _done(task, fd):
        time.sleep(_TICK)


def _done(task: Task, fd: int) -> bool:
    """Look once; True when the guard may go, which then nobody counts on any more."""
    attempt = Attempt.load(task)
    late = time.time() - attempt.deadline if attempt else 0.0
    if attempt and late > _GRACE and not attempt.intent(task):
        # It hangs, or it would have put things back long ago.
        attempt.worker_process.send(signal.SIGKILL)
    if attempt and late <= 0:
        return False
    try:
        with switch_lock(task, patience=0):
            if settle_attempt(task, by="guard"):
                os.close(fd)
                return True
    except LandbridgeError as error:
        # Retried until it succeeds: a fenced source must not stay so without a destination.
        if error.id != "switchover.busy":
            print(error, file=sys.stderr, flush=True)
            time.sleep(1.0)
    return False


def _is_guarded(task: Task) -> bool:
    fd = os.open(folder(task) / "guard", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return not try_lock(fd)
    finally:
        os.close(fd)


if __name__ == "__main__":
    main(Task(Path(sys.argv[1])))
