"""Locks between processes: a file that one of them holds (flock) until it closes it or dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds between two tries.
_EVERY = 0.005


def take(path: Path, patience: float = 0.0) -> int | None:
    """Lock `path`, which is made if need be; the open file, which is the lock until closed.

    None where another held it for all of `patience` seconds. A child that inherits the
    open file holds the lock as well.
    """
    fd = _open(path)
    try:
        end = time.monotonic() + patience
        while not _try(fd, fcntl.LOCK_EX):
            if time.monotonic() >= end:
                os.close(fd)
                return None
            time.sleep(_EVERY)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_taken(path: Path) -> bool:
    """Whether somebody holds it; any number may look at the same time."""
    fd = _open(path)
    try:
        return not _try(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def staying(path: Path) -> Callable[[], bool]:
    """What says whether `path` is still the file or folder that it is now.

    Where it was removed a lock in it keeps nobody out: another one is made under its name.
    """
    before = path.stat()

    def stays() -> bool:
        try:
            return os.path.samestat(path.stat(), before)
        except (FileNotFoundError, NotADirectoryError):
            return False

    return stays


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _try(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
