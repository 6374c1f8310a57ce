"""The lock of a switchover: one process at a time acts on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import lock
from ..errors import LandbridgeError
from .task import Task


@contextmanager
def switch_lock(task: Task, patience: float = 20.0) -> Iterator[None]:
    """Be the only one who acts on a switchover; LandbridgeError (switchover.busy) otherwise.

    `patience` in seconds.
    """
    fd = lock.take(folder(task) / "lock", patience)
    if fd is None:
        raise LandbridgeError(
            "another process is switching this migration over",
            id="switchover.busy",
            retryable=True,
        )
    try:
        yield
    finally:
        os.close(fd)


def folder(task: Task) -> Path:
    """The folder of the switchover under way, mode 0700."""
    path = task.folder / "switchover"
    path.mkdir(mode=0o700, exist_ok=True)
    return path
