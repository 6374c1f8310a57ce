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

#: Seconds that others may hold the lock past the deadline; putting back takes up to 40.
_HUNG = 120.0
_TICK = 0.2


def start(task: Task, *, wait: bool = True) -> None:
    """Start the guard of a task unless one runs; return when it stands guard.

    Without `wait` it is only started. Raises LandbridgeError (guard.not_started) when it
    does not come up.
    """
    if _is_guarded(task):
        return
    log = folder(task) / "guard.log"
    process = start_detached(
        [sys.executable, "-m", "landbridge.migration.guard", task.folder],
        output=log,
        environment=clean_environment(),
    )
    if wait:
        wait_until(lambda: _is_guarded(task) or not process.alive(), 20)
        if not _is_guarded(task):
            raise LandbridgeError(
                f"the guard of the switchover did not start, see {log}", id="guard.not_started"
            )


def main(task: Task) -> None:
    """Guard the attempt under way until nothing is left to put back."""
    fd = os.open(folder(task) / "guard", os.O_RDWR | os.O_CREAT, 0o600)
    if not wait_until(lambda: try_lock(fd), 2):
        return
    busy_since: float | None = None
    while True:
        attempt = Attempt.load(task)
        if attempt is None or time.time() > attempt.deadline:
            try:
                with switch_lock(task, patience=0):
                    settle_attempt(task, by="guard")
                    # Closed under the lock, so that nobody counts on a guard that is leaving.
                    os.close(fd)
                    return
            except LandbridgeError as error:
                # Retried until it succeeds: no source may stay fenced without a destination.
                busy = error.id == "switchover.busy"
                busy_since = (busy_since or time.time()) if busy else None
                if attempt and busy_since and time.time() - busy_since > _HUNG:
                    _end_hung(task, attempt)
        time.sleep(_TICK)


def _end_hung(task: Task, attempt: Attempt) -> None:
    """Kill a process that holds the lock and does nothing, unless it was about to promote."""
    if not attempt.intent(task):
        attempt.worker_process.send(signal.SIGKILL)


def _is_guarded(task: Task) -> bool:
    fd = os.open(folder(task) / "guard", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return not try_lock(fd)
    finally:
        os.close(fd)


if __name__ == "__main__":
    main(Task(Path(sys.argv[1])))
