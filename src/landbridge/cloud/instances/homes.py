"""Where the servers of instances lie on this machine, and the way into one that runs.

::

    STATE/instances/        mode 0711
    ├── pgm-...             ours; its server's account may pass
    │   ├── data            the data directory, the account's
    │   ├── data.socket     the private socket, the account's
    │   └── data.landbridge ours, to be read by the account: pg_hba.conf, server.log;
    │                       server.json, the process; of a standby replicator.pgpass
    ├── .making             data directories that are being made; begun anew after a crash
    └── .removed            what is being removed; closed to everybody

Whatever is followed by name lies in folders that no server's account may write. Below `data`
nothing is trusted: no link is followed there, and no file is read that does not end.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Self

import psycopg

from ...errors import ServerFailed
from ...postgres import careful, wary
from ...postgres.cluster import Cluster
from ...postgres.distribution import Distribution, discover, find
from ...postgres.private import BoundedConnection
from ...servers.identity import own_account
from ..control import Cloud

#: Seconds for a server to take a connection, and for each answer.
_PATIENCE = 15
#: What servers were when somebody connected last, by data directory.
_versions: dict[Path, int] = {}
#: For what needs no program: to find a server's process, to stop it, to connect.
_NO_PROGRAMS = Distribution("0.0", Path("/"), "none")


def programs(major: int) -> Distribution:
    """The programs of a major; ServerProgramsMissing."""
    return find(major, installed())


@cache
def installed() -> tuple[Distribution, ...]:
    """All programs of servers, looked for once: every `postgres` is run for its version."""
    return tuple(discover())


class Homes:
    """The folders of all instances' servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, cloud: Cloud) -> Self:
        return cls(cloud.folder.parent / "instances")

    def home(self, id: str) -> Path:
        """The folder of one instance."""
        return self.folder / id

    def found(self, id: str, number: int) -> Cluster:
        """The server of an instance as it is, to be looked at, connected to or stopped."""
        data = self.home(id) / "data"
        account = own_account(self.folder, number)
        return Cluster(data, _NO_PROGRAMS, listens(data)[1], account=account)

    def open_way(self) -> None:
        """Let the servers' accounts through to their folders."""
        for folder in (self.folder, self._making):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711)

    def lay_out(self, cluster: Cluster) -> None:
        """Make the folders around a data directory; nobody who could change them may live."""
        home, account = cluster.data.parent, cluster.account
        home.mkdir(exist_ok=True)
        account.show(home, 0o710)
        if not cluster.is_guarded:
            # As earlier versions had it: all of it was the account's.
            _erase(cluster.side)
            account.make_dir(cluster.guard)
        cluster.make_side()

    def scratch(self, id: str, mark: str) -> Path:
        """Where a data directory is made; what was begun before goes."""
        for left in self._making.glob(f"{id}.*"):
            _erase(left)
        return self._making / f"{id}.{mark}"

    def version(self, id: str) -> str:
        """A server's version with the minor one, like 15.4, as `connect` met it last.

        No server is asked. Empty until then; the reconciler connects before one is Running, and
        soon after the service began.
        """
        number = _versions.get(self.home(id) / "data")
        return f"{number // 10000}.{number % 10000}" if number else ""

    def discard(self, id: str) -> None:
        """Remove all of an instance. Raises ServerFailed (server.not_removed)."""
        _versions.pop(self.home(id) / "data", None)
        grave = self.folder / ".removed"
        grave.mkdir(mode=0o700, exist_ok=True)
        there = grave / id
        _erase(there)
        if self.home(id).exists():
            self.home(id).rename(there)
        _erase(there)

    @property
    def _making(self) -> Path:
        return self.folder / ".making"


def _erase(path: Path) -> None:
    """Remove a tree however deep it is, with whatever is in it."""
    careful.erase(path)
    if path.exists() or path.is_symlink():
        raise ServerFailed(f"{path} could not be removed", id="server.not_removed")


def connect(cluster: Cluster, patience: int = _PATIENCE) -> psycopg.Connection[Any]:
    """The service's own connection to a running server; may write whatever its default is.

    Its commits wait for no standby: one that a migration awaits may be away.
    No function or operator of a tenant's is found in it, to be run as the superuser.
    `patience`: seconds for the connection, and for each answer.
    """
    options = wary.options(default_transaction_read_only="off", synchronous_commit="local")
    conn = cluster.connect(options=options, connect_timeout=patience)
    if isinstance(conn, BoundedConnection):
        conn.patience = patience
    _versions[cluster.data] = conn.info.server_version
    return conn


def listens(data: Path) -> tuple[str, int]:
    """Address and port of a running server, from its pid file; "" and 0 if none runs."""
    try:
        lines = careful.read(data, "postmaster.pid").decode().splitlines()
        return lines[5].strip(), int(lines[3])
    except (OSError, IndexError, ValueError):
        return "", 0
