"""Removes System V memory, semaphores and queues that an account has left on this machine.

They belong to an IPC namespace, not to a process: where a server has none of its own, what it
made lives on, counts against the machine's limits, and is open to all.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_REMOVE = 0


def sweep(uid: int) -> None:
    """Remove what account `uid` has made, as far as we may; nothing of it shall run any more."""
    for id in _made_by(uid, "shm", "shmid"):
        _libc.shmctl(id, _REMOVE, None)
    for id in _made_by(uid, "sem", "semid"):
        _libc.semctl(id, 0, _REMOVE)
    for id in _made_by(uid, "msg", "msqid"):
        _libc.msgctl(id, _REMOVE, None)


def _made_by(uid: int, kind: str, column: str) -> Iterator[int]:
    try:
        names, *lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        row = dict(zip(names.split(), line.split(), strict=False))
        # Its maker may give a thing to another account, and stays its maker.
        if row.get("cuid") == str(uid):
            yield int(row[column])
