"""Clusters that a directory would get in the way of, or would get into.

Known are the running servers of this host (from /proc), the source's own directories
where the source runs here, and whatever cluster lies around the directory. Directories
are compared by device and inode, so that no link and no bind mount hides one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..process import pids, stat
from .directory import PARTIAL_COPY_MARKER, system_identifier

#: A tablespace holds one folder a version, such as PG_15_202209061.
_VERSION_FOLDER = re.compile(r"PG_\d+(\.\d+)?_\d{9}")
#: What a server's process is called; `postmaster` by PGDG's units for RHEL.
_SERVERS = ("postgres", "postmaster")
#: Device and inode of a directory; its path where it is closed to us.
_Key = tuple[int, int] | str


class Relation(Enum):
    """How a directory lies to one of a cluster."""

    SAME = "is"
    INSIDE = "lies inside"
    AROUND = "holds"


@dataclass(frozen=True)
class Home:
    """Where a server says that it lives, on whatever host."""

    data: str
    tablespaces: tuple[str, ...] = ()
    system_identifier: str | None = None


@dataclass(frozen=True)
class Neighbour:
    """A directory of a cluster that ours is, lies in, or holds."""

    relation: Relation
    path: str
    tablespace: bool = False
    """A tablespace's folder; otherwise the data directory."""
    source: bool = False
    """It is the source's own."""
    pid: int | None = None
    """The server that runs on it, as far as we can see."""


def neighbours(path: Path, source: Home | None = None) -> tuple[Neighbour, ...]:
    """Every cluster's directory that `path`, which may not exist yet, touches."""
    ours = _chain(path)
    found: dict[_Key, Neighbour] = {}
    for place in (*_of_source(source), *_of_servers(), *_around(path)):
        relation = _relation(ours, place.chain)
        key = place.chain[0]
        if relation is not None and key is not None and key not in found:
            found[key] = Neighbour(
                relation, str(place.path), place.tablespace, place.source, place.pid
            )
    return tuple(found.values())


@dataclass(frozen=True)
class _Place:
    path: Path
    chain: list[_Key | None]
    tablespace: bool = False
    source: bool = False
    pid: int | None = None


def _relation(ours: list[_Key | None], theirs: list[_Key | None]) -> Relation | None:
    mine, other = ours[0], theirs[0]
    if other is None:
        return None
    if mine == other:
        return Relation.SAME
    if other in ours:
        return Relation.INSIDE
    return Relation.AROUND if mine is not None and mine in theirs else None


def _chain(path: Path) -> list[_Key | None]:
    """A directory and all above it; None for those that do not exist."""
    whole = path.resolve()
    return [_key(p) for p in (whole, *whole.parents)]


def _key(path: Path) -> _Key | None:
    try:
        status = path.stat()
    except PermissionError:
        return str(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _of_source(home: Home | None) -> Iterator[_Place]:
    """The source's directories, unless they are provably not on this host."""
    if home is None or not home.data.startswith("/"):
        return
    data = Path(home.data)
    here = system_identifier(data)
    if _key(data / "global/pg_control") is None or (
        here is not None and home.system_identifier not in (None, here)
    ):
        return
    pid = running_pid(data)
    yield _Place(data, _chain(data), source=True, pid=pid)
    for location in (Path(t) for t in home.tablespaces if t.startswith("/")):
        yield _Place(location, _chain(location), tablespace=True, source=True, pid=pid)


def _of_servers() -> Iterator[_Place]:
    """Directories of every running server whose working directory we may see."""
    servers = {pid: parent for pid, parent in _processes() if _name(pid) in _SERVERS}
    for pid, parent in servers.items():
        link = Path(f"/proc/{pid}/cwd")
        if parent in servers or (key := _key(link)) is None or isinstance(key, str):
            continue  # a server's child, gone, or somebody else's
        if _key(link / "global") is None:
            continue  # a server that has not yet entered its data directory
        data = link.resolve()
        # In another mount namespace the path means something else; the inode does not.
        same = _key(data) == key
        yield _Place(data, _chain(data) if same else [key], pid=pid)
        for tablespace in _links(data / "pg_tblspc") if same else ():
            yield _Place(tablespace, _chain(tablespace), tablespace=True, pid=pid)


def _around(path: Path) -> Iterator[_Place]:
    """Clusters, running or not, that the path lies in."""
    for folder in path.resolve().parents:
        if _is_data_directory(folder):
            yield _Place(folder, _chain(folder), pid=running_pid(folder))
        elif any(_VERSION_FOLDER.fullmatch(name) for name in _names(folder)):
            yield _Place(folder, _chain(folder), tablespace=True)


def _is_data_directory(folder: Path) -> bool:
    def there(name: str) -> bool:
        return isinstance(_key(folder / name), tuple)

    # A database's own folder has a PG_VERSION too.
    return there(PARTIAL_COPY_MARKER) or (there("PG_VERSION") and there("global"))


def _names(folder: Path) -> Iterable[str]:
    try:
        return [p.name for p in folder.iterdir()]
    except OSError:
        return []


def _links(folder: Path) -> list[Path]:
    return [(folder / name).resolve() for name in _names(folder)]


def _processes() -> Iterator[tuple[int, int]]:
    """Process id and parent's of every process there is."""
    for pid in pids():
        if (fields := stat(pid)) is not None:
            yield pid, int(fields[1])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def running_pid(data: Path) -> int | None:
    """The living server that a data directory's postmaster.pid names."""
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if _name(pid) in _SERVERS else None
