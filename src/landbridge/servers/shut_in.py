"""Becomes a program that is shut in, as an account that it cannot leave.

    python -m landbridge.servers.shut_in JSON PROGRAM ARGUMENT...

JSON is a `Room`. What it prints where that fails reads like a server's own last words.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import ServerFailed
from ..postgres.cluster import Cluster
from ..postgres.osaccount import OsAccount
from . import ending, sandbox
from .cgroup import Group
from .identity import is_own
from .sandbox import Use

#: Processes of a server: at most 1000 connections, its own, and programs.
_PROCESSES = 1500
#: What it sees of our environment; the rest may be nothing for a tenant.
_SEEN = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Limits:
    """What a server gets of the machine, where that can be kept; 0: as much as there is."""

    memory_mb: int = 0
    cpus: int = 0


@dataclass(frozen=True)
class Room:
    """What a program may do."""

    uses: tuple[tuple[str, str], ...]
    """Folders, and the name of what may be done with each; the rest of the system is closed."""
    account: tuple[int, int] | None = None
    """User and group that it runs as; None: ours."""
    processes: int = 0
    """How many the account may have; 0: any number."""
    group: str = ""
    """The control group that it joins where one can be made."""
    memory_mb: int = 0
    cpus: int = 0
    server: str = ""
    """The instance whose server this becomes: what is left of an earlier one ends first."""
    outside: int = 0
    """The service's network namespace."""

    @classmethod
    def of(cls, cluster: Cluster, limits: Limits) -> Room:
        """A server's: its data, its socket, its programs."""
        data, account = cluster.data, cluster.account
        uses = {
            data: Use.DATA,
            # Where a standby makes the links of tablespaces that are made at its primary.
            data / "pg_tblspc": Use.LINKS,
            cluster.socket_dir: Use.SOCKETS,
            cluster.side: Use.LOOK,
            **dict.fromkeys(cluster.distribution.folders, Use.LOOK),
        }
        group = Group.of(data.parent.name, account)
        return cls(
            _named(uses),
            (account.uid, account.gid) if account.switch else None,
            _PROCESSES if is_own(account) else 0,
            str(group.path) if group else "",
            **asdict(limits),
            server=data.parent.name,
            outside=Path("/proc/self/ns/net").stat().st_ino,
        )

    @classmethod
    def copying(cls, cluster: Cluster, target: Path) -> Room:
        """Of a program that makes a copy in `target`."""
        uses = {target: Use.DATA, cluster.side: Use.LOOK}
        uses |= dict.fromkeys(cluster.distribution.folders, Use.LOOK)
        return replace(cls.of(cluster, Limits()), uses=_named(uses), server="")

    def enter(self) -> None:
        """Shut this process in, for good. Raises OSError, and ServerFailed if others stay."""
        if self.server:
            self._be_alone()
        self._join()
        if self.processes:
            resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))
        uses = [(Path(path), Use[name]) for path, name in self.uses]
        if self.account is not None:
            uid, gid = self.account
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        sandbox.enter(uses)

    def _be_alone(self) -> None:
        account = OsAccount.numbered(self.account[0] if self.account else os.geteuid())
        group = Group(Path(self.group)) if self.group else None
        ending.end_before_start(self.server, group, account, self.outside)

    def _join(self) -> None:
        group = Group(Path(self.group))
        if self.group and group.make(memory_mb=self.memory_mb, cpus=self.cpus):
            entry = group.entry()
            os.write(entry, b"0")
            os.close(entry)


def _named(uses: Mapping[Path, Use]) -> tuple[tuple[str, str], ...]:
    return tuple((str(path), use.name) for path, use in uses.items())


def command(cluster: Cluster, limits: Limits | None = None) -> list[str]:
    """What starts a server shut in; see `Cluster`."""
    return through(Room.of(cluster, limits or Limits()))


def through(room: Room) -> list[str]:
    """The begin of a command line whose rest is run in `room`."""
    return [sys.executable, "-P", "-m", "landbridge.servers.shut_in", json.dumps(asdict(room))]


def main(arguments: Sequence[str]) -> None:
    room, *program = arguments
    try:
        Room(**json.loads(room)).enter()
        seen = {name: value for name, value in os.environ.items() if name in _SEEN}
        os.execve(program[0], program, seen)
    except (OSError, ServerFailed) as problem:
        sys.exit(f"FATAL:  the server cannot be shut in: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
