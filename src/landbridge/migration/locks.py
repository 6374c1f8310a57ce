"""Locks between processes: files that the kernel unlocks when whoever holds them dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LandbridgeError
from ..postgres.process import wait_until
from .task import Task


@contextmanager
def switch_lock(task: Task, patience: float = 20.0) -> Iterator[None]:
    """Be the only one who acts on a switchover; LandbridgeError (switchover.busy) otherwise.

    `patience` in seconds.
    """
    fd = os.open(folder(task) / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not wait_until(lambda: try_lock(fd), patience):
            raise LandbridgeError(
                "another process is switching this migration over",
                id="switchover.busy",
                retryable=True,
            )
        yield
    finally:
        os.close(fd)


def folder(task: Task) -> Path:
    """The folder of the switchover under way, mode 0700."""
    path = task.folder / "switchover"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def try_lock(fd: int) -> bool:
    """Whether this open file is, or could be, locked by us."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
