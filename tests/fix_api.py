"""A real service on a port of its own, accounts of it, and the vendor's SDKs as clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from landbridge.api import client
from landbridge.api.action import Product
from landbridge.cloud import Cloud, Secret, accounts, audit, keys
from landbridge.network.connection import Connection
from landbridge.network.fabric import Fabric
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import Distribution
from landbridge.postgres.osaccount import OsAccount
from landbridge.servers.ending import end_all
from landbridge.servers.identity import is_own

_COMMAND = (sys.executable, "-m", "landbridge.cli")


@dataclass(frozen=True)
class Tenant:
    """An account of a service, and clients that sign as it."""

    endpoint: str
    uid: int
    key_id: str
    secret: str = field(repr=False)

    def config(self, **more: Any) -> Any:
        """What every client of the current SDKs is made with."""
        from alibabacloud_tea_openapi.models import Config

        return Config(
            access_key_id=self.key_id,
            access_key_secret=self.secret,
            endpoint=self.endpoint,
            region_id="cn-hangzhou",
            **{"protocol": "http", **more},
        )

    def vpc(self, **more: Any) -> Any:
        from alibabacloud_vpc20160428.client import Client

        return Client(self.config(**more))

    def cbn(self, **more: Any) -> Any:
        from alibabacloud_cbn20170912.client import Client

        return Client(self.config(**more))

    def rds(self, **more: Any) -> Any:
        from alibabacloud_rds20140815.client import Client

        return Client(self.config(**more))

    def sts(self, **more: Any) -> Any:
        from alibabacloud_sts20150401.client import Client

        return Client(self.config(**more))

    def legacy(self) -> Any:
        """A client of the older SDK."""
        from aliyunsdkcore.client import AcsClient

        return AcsClient(self.key_id, self.secret, "cn-hangzhou", auto_retry=False)

    def call(self, product: Product, action: str, **parameters: str) -> dict[str, Any]:
        """A call through our own client."""
        credentials = client.Credentials(self.key_id, Secret(self.secret))
        return client.call(self.endpoint, credentials, product.value, action, parameters)


def passable(folder: Path) -> Path:
    """Let the servers' accounts through to a folder of pytest's."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)
    return folder


class Running:
    """A process of `landbridge serve`."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = passable(state)
        self.log = state / "serve.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                (*_COMMAND, "serve", "--state", state, "--listen", "127.0.0.1:0", *options),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        assert self.ready.startswith("landbridge: ready on "), self.log.read_text()
        self.url = self.ready.split()[-1]
        self.endpoint = self.url.partition("//")[2]

    def tenant(self, name: str) -> Tenant:
        """A new account, made in the state directory while the service runs."""
        cloud = Cloud.open(self.state)
        with cloud.database.write() as session:
            account = accounts.create(session, name)
            key, secret = keys.create(session, cloud.vault, account)
        cloud.close()
        return Tenant(self.endpoint, account.uid, key.id, secret.reveal())

    def trail(self, tenant: Tenant) -> list[dict[str, Any]]:
        """The audit trail of an account, newest first."""
        cloud = Cloud.open(self.state)
        with cloud.database.read() as session:
            found = audit.trail(session, accounts.find(session, str(tenant.uid)))
            entries = [entry.as_dict() for entry in found]
        cloud.close()
        return entries

    def logged(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self) -> int:
        """Stop it as an operator does; its exit code."""
        self.process.terminate()
        return self._gone()

    def kill(self) -> int:
        """Kill it in the middle of whatever it does."""
        self.process.kill()
        return self._gone()

    def clean(self) -> None:
        """End what lives on when the service has ended: servers, and the network."""
        for data in self.state.glob("instances/*/data"):
            account = OsAccount.numbered(data.stat().st_uid)
            Cluster(data, Distribution("0.0", Path("/"), "none"), 0).stop("immediate")
            if is_own(account):  # then nothing is asked of the network
                end_all(cast(Fabric, None), data.parent.name, account)
        if (self.state / "network").exists():
            Connection(self.state / "network").remove()

    def _gone(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


Serve = Callable[..., Running]


@pytest.fixture
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs would send calls to this machine to a proxy, whatever NO_PROXY says (measured)."""
    for name in list(os.environ):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("service"))
    yield running
    running.kill()
    running.clean()


@pytest.fixture
def service(_shared_service: Running, without_proxy: None) -> Running:
    """A service that many tests share: make accounts of your own in it."""
    return _shared_service


@pytest.fixture
def serve(without_proxy: None) -> Iterator[Serve]:
    """Starts services that a test may end; `serve(state, *options)`."""
    started: list[Running] = []

    def start(state: Path, *options: str) -> Running:
        started.append(Running(state, *options))
        return started[-1]

    yield start
    for running in started:
        running.kill()
    for running in started:  # one that lives would start its network's daemon again
        running.clean()


@pytest.fixture
def tenant(service: Running, request: pytest.FixtureRequest) -> Tenant:
    """An account of the shared service, of this test alone."""
    return service.tenant(f"a{abs(hash(request.node.nodeid))}")
