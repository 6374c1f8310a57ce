"""A control plane whose networks and servers are real: both reconcilers at work."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from fix_network import Mode, Net, a_network
from landbridge.cloud import Cloud, accounts, fabric, vpcs
from landbridge.cloud.accounts import Account
from landbridge.cloud.instances import dbaccounts, lifecycle, reconciler, whitelist
from landbridge.cloud.instances.states import AccountType, Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.network.daemon import FabricClient
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until
from landbridge.servers import room

PASSWORD = "Wanderer-7_path"
_ENVIRONMENT = {"PGPASSWORD": PASSWORD, "PATH": "/usr/bin:/bin", "PGCONNECT_TIMEOUT": "30"}


@dataclass
class Managed:
    """A cloud with one account, one VPC and two vSwitches."""

    cloud: Cloud
    network: Net
    account: int
    vswitch: str = ""
    _work: ExitStack = field(default_factory=ExitStack)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def net(self) -> FabricClient:
        return self.network.fabric

    def begin(self) -> None:
        """Start both reconcilers, as the service does."""
        self._work.enter_context(fabric.running(self.cloud, lambda: self.net))
        self.keeper = self._work.enter_context(reconciler.running(self.cloud, lambda: self.net))

    def cease(self) -> None:
        """End them; servers and networks live on."""
        self._work.close()

    def order(self, major: int, entries: tuple[str, ...] = whitelist.NOBODY) -> str:
        """Order a primary instance; its id."""
        with self.cloud.database.write() as session:
            order = lifecycle.Order("cn-hangzhou", self.vswitch, major, "pg.n2.1c.1m", 20, entries)
            return lifecycle.create(session, self.owner(session), order).id

    def owner(self, session: Any) -> Account:
        return session.get_one(Account, self.account)

    def change(self, id: str, edit: Callable[[Any, DBInstance], Any]) -> Any:
        """Change an instance in a transaction."""
        with self.cloud.database.write() as session:
            return edit(session, lifecycle.find(session, self.owner(session), id))

    def read(self, id: str) -> DBInstance | None:
        with self.cloud.database.read() as session:
            found = session.get(DBInstance, id)
            if found is not None:
                assert found.whitelist is not None and found.accounts is not None
                assert found.replicas is not None and found.parameters is not None
            return found

    def settled(self, id: str, seconds: float = 180) -> DBInstance:
        """The instance once it runs and has all that is wanted of it."""

        def done() -> bool:
            row = self.read(id)
            return row is not None and row.status is Status.RUNNING and row.applied == row.version

        assert wait_until(done, seconds, 0.05), vars(self.read(id))
        row = self.read(id)
        assert row is not None
        return row

    def create_account(self, id: str, name: str, type: AccountType = AccountType.SUPER) -> None:
        vault = self.cloud.vault
        self.change(id, lambda s, i: dbaccounts.create(s, vault, i, name, PASSWORD, type=type))

    def cluster(self, id: str) -> Cluster:
        row = self.read(id)
        assert row is not None
        return self.keeper.homes.found(id, row.number)

    def psql(
        self, place: str, server: str, user: str, statement: str, database: str = "postgres"
    ) -> subprocess.CompletedProcess[str]:
        """psql at the place of one instance, to the server of another, over the network."""
        command = [*self.client(place, server, user, database), "-c", statement]
        return subprocess.run(
            self.net.command(place, command), capture_output=True, text=True, env=_ENVIRONMENT,
            check=False, timeout=120,
        )  # fmt: skip

    def client(self, place: str, server: str, user: str, database: str = "postgres") -> list[str]:
        """A command line of psql, to be run at `place`."""
        path = self.net.path(place, server)
        conninfo = f"host={path.hostaddr} port={path.port} user={user} dbname={database}"
        return [str(psql_program()), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo]

    def popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program; it is ended with the cloud."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._started.append(subprocess.Popen(command, env=_ENVIRONMENT, **quiet))
        return self._started[-1]

    @contextlib.contextmanager
    def session(self, id: str, user: str = "pgsql") -> Iterator[psycopg.Connection[Any]]:
        """A session over the server's own socket."""
        cluster = self.cluster(id)
        cluster.superuser = user
        with cluster.connect() as conn:
            yield conn

    def end(self) -> None:
        for child in self._started:
            child.kill()
            child.wait()
        self.cease()
        with self.cloud.database.read() as session:
            rows = session.scalars(select(DBInstance)).all()
        for row in rows:
            cluster = self.keeper.homes.found(row.id, row.number)
            cluster.stop("immediate")
            room.end_all(self.net, row.id, cluster.account)
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)
        self.cloud.close()


def psql_program() -> Path:
    for found in discover():
        if (found.bin / "psql").exists():
            return found.bin / "psql"
    pytest.skip("no psql")


@contextlib.contextmanager
def a_managed_cloud(mode: Mode) -> Iterator[Managed]:
    """A control plane in a folder of its own; its servers are ended, however the test ends."""
    root = Path(tempfile.mkdtemp(prefix="lb-cloud-"))
    root.chmod(0o755)
    try:
        with a_network(mode) as net:
            cloud = Cloud.open(root)
            with cloud.database.write() as session:
                account = accounts.create(session, "ann")
                vpc = vpcs.create_vpc(session, account, "cn-hangzhou", cidr="10.10.0.0/16")
                vswitch = vpcs.create_vswitch(session, vpc, "cn-hangzhou-h", "10.10.1.0/24")
                uid, place = account.uid, vswitch.id
            made = Managed(cloud, net, uid, place)
            made.begin()
            try:
                yield made
            finally:
                made.end()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def managed() -> Iterator[Managed]:
    """A control plane shared by the tests of a module, in the strictest network there is."""
    with a_managed_cloud(best_mode()) as made:
        yield made


def best_mode() -> Mode:
    """The kernel's isolation as root, otherwise the relay."""
    return Mode.ROOT if os.geteuid() == 0 else Mode.RELAY
