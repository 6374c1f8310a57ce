"""The data directory and the tablespace folders while they are a partial copy.

A partial copy holds the marker file and no global/pg_control, without which no server
starts. Every folder is written down (made.json) before anything is put into it, and
holds a file that names our task: whatever a killed attempt left can be told from what
belongs to somebody else, also when he has put his own into a folder that was ours.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from ...errors import CopyFailed
from ...postgres import careful
from ...postgres.osaccount import OsAccount
from ..task import read_json, write_json
from .model import MARKER

CONTROL = "global/pg_control"
#: Where pg_control lies until the copy is complete.
PENDING_CONTROL = "global/pg_control.landbridge"
#: In a tablespace's folder while the copy is partial: whose it is.
CLAIM = "landbridge.task"

# fsync spends its time waiting for the disk; this many at once keep its queue filled.
_SYNC_THREADS = 8


class Destination:
    """Prepares, cleans, makes durable and seals what a copy is written into."""

    def __init__(self, data: Path, task: str, folder: Path, os_account: int | None = None) -> None:
        self.data = data
        self.task = task
        self.account = OsAccount.numbered(os_account)
        self._is_alone = os_account is not None
        self._folder = folder
        self._record = folder / "made.json"

    @property
    def made(self) -> dict[Path, bool]:
        """The folders this task has put a copy into -> whether they existed (empty) before."""
        made = {Path(path): existed for path, existed in (read_json(self._record) or {}).items()}
        # Its own account writes the record: it names no folder that we would not know.
        return {p: e for p, e in made.items() if p == self.data or not self._is_alone}

    def hand_over(self) -> None:
        """Give the account what it copies into, and the folder where it says how far it is.

        It could make neither: the folders above are ours.
        """
        for folder in (self._folder, self.data):
            self.account.make_dir(folder)
        _fsync(self.data.parent)

    def prepare(self) -> None:
        """Make the data directory a partial copy of this task, without any file yet.

        Raises CopyFailed (copy.destination_not_empty) if somebody else's files are there.
        """
        self.clean()
        self.claim(self.data)
        for name in ("global", "pg_tblspc", "pg_wal", "pg_wal/archive_status"):
            self.account.make_dir(self.data / name)

    def check(self) -> None:
        """Refuse now, with nothing changed, what `prepare` would refuse."""
        if self.data.exists() and not self._is_ours(self.data):
            self._refuse_unless_empty(self.data)

    def claim(self, path: Path) -> None:
        """Take an empty or absent folder for the copy; CopyFailed if it is neither."""
        if self._is_alone and path != self.data:
            raise CopyFailed(
                f"the source has a tablespace in {path}: the destination has one folder for"
                " everything",
                id="copy.tablespace_conflict",
                remedy="Move what is in it to pg_default on the source, and drop the tablespace.",
            )
        existed = path.exists()
        if existed:
            self._refuse_unless_empty(path)
        write_json(self._record, {**{str(p): e for p, e in self.made.items()}, str(path): existed})
        self.account.make_dir(path)
        self.account.write(path / self._claim(path), f"{self.task}\n")

    def link(self, oid: int, target: Path) -> None:
        """Make pg_tblspc/OID point to a tablespace's folder."""
        link = self.data / "pg_tblspc" / str(oid)
        link.symlink_to(target)
        self.account.own(link)

    def holds(self, system_identifier: str) -> bool:
        """Whether the data directory is a complete copy of that cluster."""
        try:
            head = careful.read(self.data, CONTROL, 8)
        except OSError:
            return False
        # pg_control begins with it (struct ControlFileData), in the order of the host.
        return int.from_bytes(head, sys.byteorder) == int(system_identifier)

    def unseal(self) -> None:
        """Make a complete copy a partial one again, before it is removed: none starts."""
        links = {link.resolve() for link in (self.data / "pg_tblspc").iterdir()}
        for path in self.made:
            if path != self.data and path.resolve() in links:
                self.account.write(path / CLAIM, f"{self.task}\n")
        self.account.write(self.data / MARKER, f"{self.task}\n")
        with suppress(FileNotFoundError), _opened(self.data / "global", os.O_NOFOLLOW) as folder:
            os.unlink(Path(CONTROL).name, dir_fd=folder)

    def clean(self) -> None:
        """Remove every folder of this task's earlier attempt, and what it holds.

        One that holds somebody else's files by now is left alone.
        """
        for path, existed in self.made.items():
            if not path.is_dir() or not self._is_ours(path):
                continue
            with _opened(path) as folder:
                _empty(folder, last=self._claim(path))
            if not existed:
                path.rmdir()
        self._record.unlink(missing_ok=True)

    def write_manifest(self, manifest: bytes) -> None:
        """Keep the source's manifest beside the files, as pg_verifybackup wants it."""
        path = self.data / "backup_manifest"
        path.write_bytes(manifest)
        path.chmod(0o600)
        self.account.own(path)

    def sync(self) -> None:
        """Make every file and folder durable."""
        paths = [Path(root) for root in self.made]
        with ThreadPoolExecutor(_SYNC_THREADS) as pool:
            for root in paths:
                for _ in pool.map(_fsync, _tree(root), chunksize=1):
                    pass
        for root in paths if not self._is_alone else ():
            _fsync(root.parent)

    def seal(self, *, sync: bool = True) -> None:
        """Turn the complete partial copy into a cluster; idempotent."""
        pending = self.data / PENDING_CONTROL
        if pending.exists():
            pending.replace(self.data / CONTROL)
            if sync:
                _fsync(self.data / "global")
        for path in self.made:
            (path / self._claim(path)).unlink(missing_ok=True)
            if sync:
                _fsync(path)

    def _claim(self, path: Path) -> str:
        """Name of the file that says whose the folder is."""
        return MARKER if path == self.data else CLAIM

    def _is_ours(self, path: Path) -> bool:
        """Whether a partial copy's folder is this task's: it says so, or it is empty."""
        try:
            return careful.read(path, self._claim(path)).decode().strip() == self.task
        except OSError:
            return path.is_dir() and not any(path.iterdir())

    def _refuse_unless_empty(self, path: Path) -> None:
        found = sorted(p.name for p in islice(path.iterdir(), 4)) if path.is_dir() else [path.name]
        if not found:
            return
        whose = ""
        if MARKER in found or (path / MARKER).exists():
            with suppress(OSError):
                task = careful.read(path, MARKER).decode(errors="replace").strip()
                whose = f" (a partial copy of task {task})"
        raise CopyFailed(
            f"{path} is not empty{whose}: {', '.join(found)}",
            id="copy.destination_not_empty",
            remedy="Choose another folder, or remove what is in it.",
        )


def is_partial(data: Path) -> bool:
    """Whether a data directory is no cluster: half made or half removed, or nothing at all."""
    return (data / MARKER).exists() or not (data / CONTROL).exists()


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    """A folder, held so that nobody puts another one in its place."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)
    try:
        yield folder
    finally:
        os.close(folder)


def _empty(folder: int, *, last: str) -> None:
    """Remove all that is in an open folder, links themselves; the file `last` last.

    Until that is gone a half removed folder still says whose it is.
    """
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name == last)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.name, dir_fd=folder)
        else:
            os.unlink(entry.name, dir_fd=folder)


def _tree(root: Path) -> list[Path]:
    found = []
    for folder, _, files in os.walk(root):
        found.append(Path(folder))
        found += [Path(folder) / name for name in files]
    return found


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
