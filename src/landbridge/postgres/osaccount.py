"""The operating-system account that server programs run as.

PostgreSQL refuses to run as root, so root hands its server programs to an
unprivileged account; an ordinary user runs them as itself.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import careful

_PREFERRED = ("postgres", "nobody")


@dataclass(frozen=True)
class OsAccount:
    """An account of this host; `switch` says whether we must change to it."""

    name: str
    uid: int
    gid: int
    switch: bool

    @classmethod
    @cache
    def for_servers(cls) -> OsAccount:
        """Ourselves, or as root the first of `postgres` and `nobody` that exists."""
        if os.geteuid() != 0:
            entry = pwd.getpwuid(os.geteuid())
            return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=False)
        for name in _PREFERRED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
        raise OSError("no unprivileged account (postgres, nobody) on this host")

    @classmethod
    def numbered(cls, uid: int | None) -> OsAccount:
        """The account of that number, also one without an entry; None: the usual one."""
        if uid is None:
            return cls.for_servers()
        return cls(str(uid), uid, uid, switch=uid != os.geteuid())

    @property
    def home(self) -> Path:
        """Its home folder; one that does not exist for a number without an entry."""
        try:
            return Path(pwd.getpwuid(self.uid).pw_dir)
        except KeyError:
            return Path("/nonexistent")

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments that make `subprocess` run a child as this account."""
        arguments: dict[str, Any] = {"cwd": "/"}
        if self.switch:
            arguments |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return arguments

    def become(self) -> None:
        """Be this account from now on, for good, and nobody else."""
        if self.switch:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)

    def own(self, path: Path) -> None:
        """Give one file or folder to this account."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_fd(self, fd: int) -> None:
        """Give an open file to this account."""
        if self.switch:
            os.fchown(fd, self.uid, self.gid)

    def show(self, what: Path | int, mode: int) -> None:
        """Keep a file or folder for ourselves; its group, of `mode`, is this account's."""
        os.chmod(what, mode)  # noqa: PTH101 (also an open file)
        if self.switch:
            os.chown(what, os.geteuid(), self.gid)

    def own_tree(self, root: Path) -> None:
        """Give a whole tree to this account, links themselves rather than their targets."""
        if not self.switch:
            return
        self.own(root)
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                self.own(Path(folder) / name)

    def make_dir(self, path: Path, mode: int = 0o700) -> Path:
        """Create a folder (with its parents) that belongs to this account; keep one that is."""
        missing = [p for p in (path, *path.parents) if not p.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            self.own(folder)
        path.chmod(mode)
        self.own(path)
        return path

    def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a small file atomically, owned by this account."""
        with careful.replaced(path, mode) as file:
            self.own_fd(file)
            os.write(file, text.encode())
            os.fsync(file)

    def can_execute(self, program: Path) -> bool:
        """Whether this account, not we, may reach and run `program`."""
        if not self.switch:
            return os.access(program, os.X_OK)
        program = program.resolve()
        return all(self._allows(p, 0o1) for p in (program, *program.parents))

    def require_way(self, folder: Path, id: str) -> None:
        """See that this account gets through to a folder of ours, which may not be there yet.

        Raises UsageError with that `id`.
        """
        there = next(part for part in (folder, *folder.parents) if part.exists())
        if not self.can_execute(there):
            raise UsageError(
                f"the account {self.name}, which runs servers, cannot get through to {folder}",
                id=id,
                remedy="Make it and the folders above it passable (chmod o+x), or choose another"
                " folder for the state, e.g. /var/lib/landbridge.",
            )

    def _allows(self, path: Path, bit: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & (bit << 6))
        if status.st_gid == self.gid:
            return bool(status.st_mode & (bit << 3))
        return bool(status.st_mode & bit)


def which(program: str) -> Path | None:
    """Where a program lies on PATH."""
    found = shutil.which(program)
    return Path(found) if found else None


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Our environment without passwords and anything that libpq would read, plus `extra`."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("PG") and not k.endswith("PASSWORD")
    }
    return kept | {"LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")} | (extra or {})
