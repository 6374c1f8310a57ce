"""A control plane of its own for a test, and databases for one on a PostgreSQL server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fix_servers import Servers, Source, majors
from landbridge.cloud import Cloud
from landbridge.store import Database

KEEPER_PASSWORD = "Keeper-5:päss"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An empty control plane, in `tmp_path`."""
    cloud = Cloud.open(tmp_path)
    yield cloud
    cloud.close()


@dataclass(frozen=True)
class Databases:
    """A server with the account `keeper`, and databases that belong to it."""

    server: Source
    passfile: Path

    def url(self, name: str, *, password: bool = True) -> str:
        """A database's URL; without `password` the passfile is not named in it."""
        more = f"?passfile={self.passfile}" if password else ""
        return f"postgresql://keeper@127.0.0.1:{self.server.port}/{name}{more}"

    def make(self, name: str, more: str = "") -> str:
        """A new database, and its URL."""
        self.server.sql(f'CREATE DATABASE "{name}" OWNER keeper {more}')
        return self.url(name)


def databases(servers: Servers, major: int) -> Databases:
    """A server of that major whose clients need a password."""
    server = servers.source(
        major, prepared=False, hba=["host all keeper 127.0.0.1/32 scram-sha-256"],
        settings={"password_encryption": "scram-sha-256"},
    )  # fmt: skip
    server.sql(f"CREATE ROLE keeper LOGIN PASSWORD '{KEEPER_PASSWORD}'")
    passfile = servers.root / "keeper.pgpass"
    escaped = KEEPER_PASSWORD.replace(":", "\\:")
    passfile.write_text(f"*:*:*:keeper:{escaped}\n")
    passfile.chmod(0o600)
    return Databases(server, passfile)


@pytest.fixture(scope="session")
def shared_databases() -> Iterator[Databases]:
    """A server that many tests share: make databases of your own in it."""
    root = Path(tempfile.mkdtemp(prefix="lb-test-"))
    root.chmod(0o755)
    made = Servers(root)
    try:
        yield databases(made, max(majors()))
    finally:
        made.end()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def new_url(shared_databases: Databases, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database on a server, of this test alone."""
    return shared_databases.make(f"d{abs(hash(request.node.nodeid))}")


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database: a file, then one on a server."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/db.sqlite" if is_file else request.getfixturevalue("new_url")
    db = Database(url)
    yield db
    db.close()
