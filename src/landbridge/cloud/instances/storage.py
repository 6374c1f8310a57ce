"""How much of its storage an instance uses, measured beside everything else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: More files, or folders in folders, than any server makes: they count as a full storage.
MOST_FILES, MOST_DEPTH = 300_000, 12
#: Bytes of an instance that has too many files to be measured.
BEYOND = 1 << 60
#: A measuring that takes long is made more seldom: it has this part of the time.
_SHARE = 0.05
_AT_ONCE = 2
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def used_bytes(home: Path) -> int:
    """What an instance's files take on the disk; BEYOND where nobody could count them.

    No link is followed, whatever is changed meanwhile.
    """
    total = 0
    try:
        for count, blocks in enumerate(_blocks(os.open(home, _FOLDER), MOST_DEPTH)):
            total += blocks * 512
            if count >= MOST_FILES:
                return BEYOND
    except FileNotFoundError:
        return 0
    except _TooDeep:
        return BEYOND
    return total


class _TooDeep(Exception):
    """Folders in folders, more than are followed."""


def _blocks(folder: int, depth: int) -> Iterator[int]:
    """Of everything below an open folder, which is closed."""
    try:
        if depth == 0:
            raise _TooDeep
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    inner = os.open(entry.name, _FOLDER, dir_fd=folder) if is_folder else None
                except OSError:  # it has just gone
                    continue
                yield status.st_blocks
                if inner is not None:
                    yield from _blocks(inner, depth - 1)
    finally:
        os.close(folder)


@dataclass
class _Measuring:
    """The last measuring of one instance."""

    job: Future[int]
    began: float = field(default_factory=time.monotonic)
    due: float = 0.0

    def settle(self) -> None:
        now = time.monotonic()
        self.due = now + (now - self.began) / _SHARE


class Scales:
    """Measures instances a few at a time; nobody waits for one that takes long."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="storage")
        self._last: dict[str, _Measuring] = {}
        self._known: dict[str, int] = {}

    def used(self, id: str, home: Path) -> int | None:
        """What was measured last, and let it be measured again; None before the first time."""
        last = self._last.get(id)
        if last is not None and last.job.done():
            with suppress(OSError):  # nothing could be read: what was known stays
                self._known[id] = last.job.result()
        if last is None or (last.job.done() and time.monotonic() >= last.due):
            self._last[id] = self._begin(home)
        return self._known.get(id)

    def forget(self, id: str) -> None:
        """It is no more."""
        self._last.pop(id, None)
        self._known.pop(id, None)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _begin(self, home: Path) -> _Measuring:
        made = _Measuring(self._pool.submit(used_bytes, home))
        made.job.add_done_callback(lambda _: made.settle())
        return made
