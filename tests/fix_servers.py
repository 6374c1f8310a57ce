"""Real PostgreSQL servers for tests."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from landbridge.errors import ServerProgramsMissing
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.distribution import discover, find
from landbridge.postgres.process import wait_until

MIGRATOR = "migrator"
MIGRATOR_PASSWORD = "Wanderer-7:päss\\word"
OWNER_PASSWORD = "0wner-s3cret"

#: Cheap servers: the tests kill tools and servers, never the machine.
QUICK: dict[str, str | int] = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
}


#: Below those that the kernel gives to outgoing connections (32768 and above): between the
#: choice and the server's start nobody else gets it. Every process begins elsewhere.
_PORTS = itertools.cycle(random.SystemRandom().sample(range(10_000, 32_000), 22_000))


def free_port() -> int:
    """A port nobody listens on; other workers of this run get others."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the cycle does not end")


def majors() -> list[int]:
    """The majors that this machine has, lowest first."""
    return sorted({d.major for d in discover()})


class Source(Cluster):
    """A prepared source: the spec's migration account, a superuser for the fence, hba lines."""

    def conninfo(self, user: str = MIGRATOR, password: str = MIGRATOR_PASSWORD) -> Conninfo:
        """A TCP connection as the migration account, with its password."""
        return Conninfo.parse(
            f"host=127.0.0.1 port={self.port} user={user} dbname=postgres"
        ).with_password(password)

    def reload(self) -> None:
        """Read the configuration again; over when new sessions find it."""
        if self.process() is None:
            return
        before = self.sql("SELECT pg_conf_load_time()")
        super().reload()
        assert wait_until(lambda: self.sql("SELECT pg_conf_load_time()") != before, 10)

    def admin(self) -> Conninfo:
        """A TCP connection as the superuser `boss`, for fences and verification."""
        return self.conninfo("boss", OWNER_PASSWORD)

    def sql(self, statement: str, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the bootstrap superuser; rows, or an empty list."""
        with self.connect(dbname) as conn:
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []


#: Clusters as initdb made them, of this process: kind -> data directory.
_made: dict[tuple[object, ...], Path] = {}


def _begin(cluster: Cluster, checksums: bool, locale: str, encoding: str) -> None:
    """As `cluster.init`, by a copy of one that initdb made: in a tenth of its time."""
    kind = (cluster.distribution.bin, cluster.superuser, checksums, locale, encoding)
    if kind not in _made:
        root = Path(tempfile.mkdtemp(prefix="lb-made-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        first = Cluster(root / "data", cluster.distribution, 0, superuser=cluster.superuser)
        first.init(checksums=checksums, locale=locale, encoding=encoding)
        _made[kind] = first.data
    subprocess.run(["cp", "-a", "--reflink=auto", _made[kind], cluster.data], check=True)
    _become_another(cluster.data)


def _become_another(data: Path) -> None:
    """Give a copied cluster a system identifier of its own: in pg_control and in its WAL."""
    id = secrets.randbits(63).to_bytes(8, sys.byteorder)
    control = data / "global/pg_control"
    content = bytearray(control.read_bytes())
    sizes = range(8, 1024, 4)  # of what the checksum is about; it differs between majors
    end = next(n for n in sizes if _crc(content[:n]) == bytes(content[n : n + 4]))
    content[:8] = id
    content[end : end + 4] = _crc(content[:end])
    control.write_bytes(content)
    for segment in (data / "pg_wal").glob("0*"):
        with segment.open("r+b") as file:
            file.seek(24)
            file.write(id)


def _crc(content: bytearray) -> bytes:
    return google_crc32c.value(bytes(content)).to_bytes(4, sys.byteorder)


class Servers:
    """Makes clusters in a folder of the test's own and ends all their servers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[Cluster] = []

    def source(
        self,
        major: int,
        *,
        settings: dict[str, str | int] | None = None,
        hba: list[str] | None = None,
        prepared: bool = True,
        checksums: bool = True,
        start: bool = True,
        encoding: str = "UTF8",
    ) -> Source:
        """A running server; `prepared` adds the accounts and hba lines a migration needs."""
        try:
            distribution = find(major)
        except ServerProgramsMissing as error:
            pytest.skip(str(error))
        name = f"source{len(self.made)}"
        cluster = Source(self.root / name, distribution, free_port())
        self.made.append(cluster)
        locale = "C.UTF-8" if encoding == "UTF8" else "C"
        _begin(cluster, checksums, locale, encoding)
        lines = ["host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"]
        cluster.configure({**QUICK, **(settings or {})}, lines if hba is None else hba)
        if start:
            cluster.start()
        if prepared and start:
            with cluster.connect() as conn:
                for statement in (
                    f"CREATE ROLE {MIGRATOR} LOGIN CREATEROLE REPLICATION PASSWORD"
                    " '" + MIGRATOR_PASSWORD.replace("'", "''") + "'",
                    f"GRANT pg_monitor TO {MIGRATOR}",
                    f"CREATE ROLE boss LOGIN SUPERUSER PASSWORD '{OWNER_PASSWORD}'",
                ):
                    conn.execute(statement)
        return cluster

    def destination(self, name: str = "destination") -> tuple[Path, int]:
        """A data directory that does not exist yet (its server is ended too), and a port."""
        data, port = self.root / name, free_port()
        return data, port

    def adopt(self, cluster: Cluster) -> Cluster:
        """End this cluster's server too."""
        self.made.append(cluster)
        return cluster

    def end(self) -> None:
        adopted = {c.data for c in self.made}
        for cluster in self.made:
            cluster.stop("immediate")
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)
        for pid_file in self.root.glob("*/postmaster.pid"):
            if pid_file.parent not in adopted and self.made:
                stray = Cluster(pid_file.parent, self.made[0].distribution, 0)
                stray.stop("immediate")
                shutil.rmtree(stray.socket_dir, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture
def servers() -> Iterator[Servers]:
    """A factory of servers; all are ended with the test."""
    root = Path(tempfile.mkdtemp(prefix="lb-test-"))
    root.chmod(0o755)
    made = Servers(root)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, used by every command the test runs."""
    folder = tmp_path / "state"
    monkeypatch.setenv("LANDBRIDGE_STATE", str(folder))
    return folder


def contents(*roots: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below these folders with what is in it; one that goes meanwhile is passed over."""
    for root in roots:
        for path in root.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def fill(source: Source, rows: int = 20_000, dbname: str = "postgres") -> None:
    """Some user data: a table with text, an index on it, a sequence."""
    source.sql(
        f"CREATE TABLE items AS SELECT i AS id, md5(i::text) AS t FROM generate_series(1,{rows}) i",
        dbname,
    )
    source.sql("ALTER TABLE items ADD PRIMARY KEY (id)", dbname)
    source.sql("CREATE INDEX items_t ON items (t)", dbname)
    source.sql("CREATE SEQUENCE numbers", dbname)


Fill = Callable[[Source, int], None]
