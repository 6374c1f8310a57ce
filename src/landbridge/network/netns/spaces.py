"""Network namespaces pinned as files, and work done inside them.

A namespace lives as long as a process is in it or a file is bound to it. A thread that has
entered one cannot always come back (not in a user namespace), so each piece of work gets a
thread of its own that ends with it; other threads never leave their namespace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...errors import NetworkFailed
from .. import linux
from .names import Kind, Names

T = TypeVar("T")


def enter(path: Path) -> None:
    """Put the calling thread into the namespace at `path`. For good; OSError if it is none."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.enter(fd, linux.Namespace.NET)
    finally:
        os.close(fd)


def inside(path: Path, work: Callable[[], T]) -> T:
    """What `work` returns when a thread of its own does it in the namespace at `path`."""

    def entered() -> T:
        enter(path)
        return work()

    return _in_thread(entered)


def in_new(work: Callable[[], T]) -> T:
    """What `work` returns in a new namespace that ends with it."""

    def entered() -> T:
        linux.unshare(linux.Namespace.NET)
        return work()

    return _in_thread(entered)


def _in_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(max_workers=1) as one:
        return one.submit(work).result()


def missing(what: str, id: str) -> NetworkFailed:
    """The error for something that should have been built before."""
    return NetworkFailed(
        f"{what} {id} is not built on this machine",
        id="network.missing",
        remedy="Build the network anew from what is wanted; what stands is kept.",
    )


@dataclass(frozen=True)
class Space:
    """A namespace of ours that is there."""

    kind: Kind
    id: str
    path: Path


class Spaces:
    """The pinned namespaces of one installation, in the folder `run`."""

    def __init__(self, names: Names, run: Path) -> None:
        self._names = names
        self._run = run

    def path(self, kind: Kind, id: str) -> Path:
        return self._run / self._names.file(kind, id)

    def has(self, kind: Kind, id: str) -> bool:
        return _is_namespace(self.path(kind, id))

    def need(self, kind: Kind, id: str) -> Path:
        """The namespace's path; NetworkFailed (network.missing) if it is not there."""
        path = self.path(kind, id)
        if not _is_namespace(path):
            raise missing(kind.value.replace("_", " "), id)
        return path

    def make(self, kind: Kind, id: str) -> Path:
        """The namespace's path, made if it is not there.

        A file without its namespace is left by a boot or by a process that was killed between
        the two calls below; it is thrown away.
        """
        path = self.path(kind, id)
        if _is_namespace(path):
            return path
        self._run.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        in_new(lambda: linux.mount("/proc/thread-self/ns/net", path, "", linux.Mount.BIND))
        return path

    def id(self, path: Path) -> str:
        """Whose namespace it is that `path` pins."""
        found = self._names.of_file(path.name)
        assert found is not None
        return found[1]

    def all(self, *kinds: Kind) -> Iterator[Space]:
        """Those that are there, of these kinds (of all, when none is named)."""
        for path, kind, id in self._files():
            if (not kinds or kind in kinds) and _is_namespace(path):
                yield Space(kind, id, path)

    def remove(self, kind: Kind, id: str) -> None:
        """Unpin one; nothing happens if it is not there."""
        _unpin(self.path(kind, id))

    def sweep(self) -> None:
        """Throw away files whose namespace is gone."""
        for path, _, _ in self._files():
            if not _is_namespace(path):
                _unpin(path)

    def _files(self) -> Iterator[tuple[Path, Kind, str]]:
        if not self._run.is_dir():
            return
        for path in sorted(self._run.iterdir()):
            if (found := self._names.of_file(path.name)) is not None:
                yield path, *found


def _is_namespace(path: Path) -> bool:
    """Whether a namespace is bound to the file: then it lies on the kernel's own file system."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except FileNotFoundError:
        return False


def _unpin(path: Path) -> None:
    while _is_namespace(path):
        linux.unmount(path)
    with suppress(FileNotFoundError):
        path.unlink()
