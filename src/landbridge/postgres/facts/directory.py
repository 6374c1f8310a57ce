"""What lies in a directory that is to become a data directory. Reads files, runs nothing."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path

from .. import careful
from ..osaccount import OsAccount

#: Objects made by initdb have lower oids and file numbers; those of users start here.
FIRST_USER_OID = 16384
#: Name of the marker in a directory that holds a partial copy.
PARTIAL_COPY_MARKER = "landbridge.partial"
#: Names of one folder that are looked at; its owner may have made any number.
_MOST = 100_000


class Occupant(Enum):
    """What is in the directory."""

    NOTHING = "nothing"
    """It does not exist, or is empty."""
    EMPTY_CLUSTER = "empty_cluster"
    """A stopped cluster as initdb leaves it: no database, tablespace or table of anybody's."""
    CLUSTER = "cluster"
    """A cluster with contents, or one that was not stopped."""
    PARTIAL_COPY = "partial_copy"
    """What an interrupted full copy left."""
    FILES = "files"
    """Something that is no cluster."""
    UNSEEN = "unseen"
    """It is closed to us."""


@dataclass(frozen=True)
class Directory:
    """A directory on this host as a place for data; sizes in bytes."""

    path: str
    occupant: Occupant
    major: int | None = None
    system_identifier: str | None = None
    samples: tuple[str, ...] = ()
    """Some of what is in the way, for the message."""
    free: int = 0
    device: int = 0
    writable: bool = True
    """Whether we may create or fill it."""
    reachable: bool = True
    """Whether the account that runs servers may get to it."""
    blocked_at: str | None = None
    """The folder that is closed to one of the two."""


def look_at(path: Path, account: OsAccount) -> Directory:
    """Facts about a directory that may not exist yet, or be closed to us."""
    path = path.absolute()
    existing = next(p for p in (path, *path.parents) if _is_seen(p))
    closed = next((p for p in (existing, *existing.parents) if not account.can_execute(p)), None)
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    occupant, samples = (
        (Occupant.FILES, (str(existing),)) if not existing.is_dir() else _occupant(path)
    )
    return Directory(
        str(path),
        occupant,
        major=_major(path),
        system_identifier=system_identifier(path),
        samples=samples,
        free=shutil.disk_usage(existing).free,
        device=existing.stat().st_dev,
        writable=writable,
        reachable=closed is None,
        blocked_at=str(closed) if closed else None if writable else str(existing),
    )


def _is_seen(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def system_identifier(data: Path) -> str | None:
    """From pg_control, whose first eight bytes it has been in every version."""
    try:
        head = careful.read(data, "global/pg_control", 8)
    except OSError:
        return None
    return str(struct.unpack("=Q", head)[0]) if len(head) == 8 else None


def free_space(path: Path) -> int | None:
    """Free bytes on the file system of a path, or None if we cannot get there."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _occupant(path: Path) -> tuple[Occupant, tuple[str, ...]]:
    try:
        names = sorted(p.name for p in islice(path.iterdir(), _MOST) if p.name != "lost+found")
    except FileNotFoundError:
        return Occupant.NOTHING, ()
    except PermissionError:
        return Occupant.UNSEEN, ()
    except OSError as problem:
        return Occupant.FILES, (problem.strerror or str(problem),)
    if not names:
        return Occupant.NOTHING, ()
    if os.path.lexists(path / PARTIAL_COPY_MARKER):
        return Occupant.PARTIAL_COPY, ()
    if not os.path.lexists(path / "PG_VERSION"):
        return Occupant.FILES, tuple(names[:5])
    unstopped = ["postmaster.pid"] if os.path.lexists(path / "postmaster.pid") else []
    users = (*unstopped, *_user_files(path))[:5]
    return (Occupant.CLUSTER, users) if users else (Occupant.EMPTY_CLUSTER, ())


def _user_files(data: Path) -> list[str]:
    """Databases, tablespaces and relations with numbers that only users' objects get."""
    found = [f"pg_tblspc/{p.name}" for p in _entries(data / "pg_tblspc")]
    for database in _entries(data / "base"):
        if not database.name.isdigit():
            continue
        if int(database.name) >= FIRST_USER_OID:
            found.append(f"base/{database.name}")
            continue
        for file in _entries(database):
            number = file.name.split(".")[0].split("_")[0]
            if number.isdigit() and int(number) >= FIRST_USER_OID:
                found.append(f"base/{database.name}/{file.name}")
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), _MOST))
    except OSError:
        return []


def _major(data: Path) -> int | None:
    try:
        return int(careful.read(data, "PG_VERSION").decode().split(".")[0])
    except (OSError, ValueError):
        return None
