"""The demonstration's servers: a source of our own, and the place for its copy.

Everything lies in one folder that only this run knows; removing it and ending
what runs in it leaves the machine as it was.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from pathlib import Path

from psycopg import sql

from ...errors import ServerProgramsMissing
from ...postgres.cluster import Cluster
from ...postgres.conninfo import Conninfo
from ...postgres.distribution import Distribution, discover, find, reachable
from ...postgres.osaccount import OsAccount
from . import data

#: Roles of the demonstration; every one gets a random password.
MIGRATOR = "migrator"
"""The privileged account: CREATEROLE, REPLICATION, pg_monitor."""
DBA = "dba"
"""A superuser: fences the source, and reads every table for the comparison."""
APPLICATION = "shop"
"""Owns the application's database; the writer and the load are its sessions."""
_ROLES = (MIGRATOR, DBA, APPLICATION, "reporter")

_SETTINGS: dict[str, str | int] = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": 120,
}
_HBA = (
    "host all all 127.0.0.1/32 scram-sha-256",
    "host replication all 127.0.0.1/32 scram-sha-256",
)


def choose(major: int | None) -> Distribution:
    """The programs to demonstrate with: of that major, or the best equipped, newest ones.

    Raises ServerProgramsMissing, with how to get them.
    """
    if major is not None:
        return find(major)
    preferred: dict[int, Distribution] = {}
    for distribution in discover():
        preferred.setdefault(distribution.major, distribution)
    if not preferred:
        raise ServerProgramsMissing(
            "no PostgreSQL server programs on this host",
            remedy="Install them (Debian: apt-get install postgresql).",
        )
    return reachable(
        max(preferred.values(), key=lambda d: (len(d.tools), d.origin != "embedded", d.major))
    )


class Servers:
    """The source with its data, and the ports, folders and accounts of one run."""

    def __init__(self, distribution: Distribution) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="landbridge-demo-"))
        self.root.chmod(0o755)  # the server account passes through
        account = OsAccount.for_servers()
        for name in ("source", "destination"):
            account.make_dir(self.root / "tablespaces" / name)
        self.state = self.root / "state"
        self._passwords = {role: secrets.token_urlsafe(12) for role in _ROLES}
        self.distribution = distribution
        source_port, destination_port = _free_ports(2)
        self.source = Cluster(self.root / "source", distribution, source_port)
        self.destination = Cluster(self.root / "destination", distribution, destination_port)

    @property
    def tablespaces(self) -> dict[str, str]:
        """Location on the source -> location on the destination."""
        where = [str(self.root / "tablespaces" / n / data.TABLESPACE) for n in _SIDES]
        return {where[0]: where[1]}

    def start_source(self) -> None:
        """Create the source, start it, and make its roles and databases."""
        self.source.init()
        self.source.configure(_SETTINGS, _HBA)
        self.source.start()
        location = OsAccount.for_servers().make_dir(Path(next(iter(self.tablespaces))))
        rights = {MIGRATOR: "CREATEROLE REPLICATION", DBA: "SUPERUSER"}
        with self.source.connect() as conn:
            for role, password in self._passwords.items():
                conn.execute(
                    sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                        sql.Identifier(role), sql.SQL(rights.get(role, "")), sql.Literal(password)
                    )
                )
            conn.execute(f"GRANT pg_monitor TO {MIGRATOR}")
            conn.execute(
                sql.SQL("CREATE TABLESPACE {} OWNER {} LOCATION {}").format(
                    sql.Identifier(data.TABLESPACE),
                    sql.Identifier(APPLICATION),
                    sql.Literal(str(location)),
                )
            )
            for name in (data.DATABASE, data.ARCHIVE):
                conn.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(name), sql.Identifier(APPLICATION)
                    )
                )

    def fill_source(self, scale: int) -> int:
        """Create the data as the application; bytes of both databases together."""
        with (
            self.conninfo(APPLICATION, dbname=data.DATABASE).connect() as shop,
            self.conninfo(APPLICATION, dbname=data.ARCHIVE).connect() as archive,
        ):
            data.create_tables(shop, archive, scale)
            shop.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporter")
            row = shop.execute(
                "SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname = ANY(%s)",
                [[data.DATABASE, data.ARCHIVE]],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def conninfo(self, role: str, *, dbname: str = "postgres") -> Conninfo:
        """A TCP connection to the source, with the role's password."""
        parameters = {
            "host": "127.0.0.1", "port": str(self.source.port), "user": role, "dbname": dbname
        }  # fmt: skip
        return Conninfo(parameters).with_password(self._passwords[role])

    def application(self) -> Conninfo:
        """What the application is configured with: both servers, whichever can be written."""
        passfile = self.root / "application.pgpass"
        alone = self.conninfo(APPLICATION, dbname=data.DATABASE)
        alone.write_passfile(passfile)
        return alone.with_passfile(passfile).with_(
            host="127.0.0.1,127.0.0.1",
            port=f"{self.source.port},{self.destination.port}",
            target_session_attrs="read-write",
        )

    def stop(self) -> None:
        """End both servers at once; their data is not needed any more."""
        for cluster in (self.destination, self.source):
            cluster.stop("immediate")

    def remove(self) -> None:
        """Remove every file and socket of this run."""
        for cluster in (self.destination, self.source):
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)


_SIDES = ("source", "destination")


def _free_ports(number: int) -> list[int]:
    """Ports of loopback nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
