"""Where the servers of instances lie on this machine, and the way into one that runs.

::

    STATE/instances/        mode 0711
    └── pgm-...             mode 0700, of the server's own account: its sandbox
        ├── data            the data directory
        ├── data.landbridge pg_hba.conf, server.log, the private socket
        ├── data.new.*      a data directory that is being made; begun anew after a crash
        └── replicator.pgpass   of a standby
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Self

import psycopg

from ...postgres.cluster import Cluster
from ...postgres.distribution import Distribution, find
from ...servers.identity import own_account
from ..control import Cloud

#: For what needs no program: to find a server's process, to stop it, to connect.
_NO_PROGRAMS = Distribution("0.0", Path("/"), "none")


@cache
def programs(major: int) -> Distribution:
    """The programs of a major, looked for once; ServerProgramsMissing."""
    return find(major)


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


def connect(cluster: Cluster, **more: Any) -> psycopg.Connection[Any]:
    """The service's own connection to a running server; may write whatever its default is."""
    return cluster.connect(options="-c default_transaction_read_only=off", **more)


def listens(data: Path) -> tuple[str, int]:
    """Address and port of a running server, from its pid file; "" and 0 if none runs."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return lines[5].strip(), int(lines[3])
    except (OSError, IndexError, ValueError):
        return "", 0


def used_bytes(home: Path) -> int:
    """What an instance's files take on the disk."""
    return sum(
        _blocks(os.path.join(folder, name))  # noqa: PTH118 (thousands of files, every few seconds)
        for folder, _, files in os.walk(home)
        for name in files
    )


def _blocks(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
