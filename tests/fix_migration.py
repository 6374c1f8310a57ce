"""A service with two accounts: one with a source, one with a destination, in one CEN."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import Session

from fix_api import Running, Tenant
from fix_generations import Generation, Refused, current
from fix_servers import majors
from landbridge.api.action import Product
from landbridge.cloud import Cloud
from landbridge.cloud.instances.homes import Homes
from landbridge.cloud.instances.tables import DBInstance
from landbridge.postgres.process import wait_until

HZ = "cn-hangzhou"
PASSWORD = "Wanderer-7_path"
MOVER = "mover"
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE usename not in ('replicator', 'monitor', 'pgsql', 'aurora')"
    " AND pid != pg_backend_pid()"
)


@dataclass
class Site:
    """An account and what it has."""

    tenant: Tenant
    cidr: str
    major: int = field(default_factory=lambda: max(majors()))
    region: str = HZ
    vpc: str = ""
    vswitch: str = ""
    id: str = ""
    generation: Generation = current

    def rds(self, name: str, **arguments: Any) -> Any:
        """One call through the vendor's SDK; the answer's typed body."""
        return self.generation(self.tenant, name, arguments)

    def refused(self, code: str, name: str, **arguments: Any) -> str:
        from darabonba.exceptions import DaraException

        with pytest.raises((DaraException, Refused)) as refusal:
            self.rds(name, **arguments)
        assert refusal.value.code == code, refusal.value.message
        return str(refusal.value.message)

    def ours(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call to an action of ours."""
        given = {name: str(value) for name, value in parameters.items()}
        return self.tenant.call(Product.LANDBRIDGE, action, **given)

    def row(self) -> Any:
        body = self.rds("DescribeDBInstanceAttribute", dbinstance_id=self.id)
        return body.items.dbinstance_attribute[0]

    def status(self) -> str:
        return str(self.row().dbinstance_status)

    def until(self, status: str, seconds: float = 180) -> None:
        assert wait_until(lambda: self.status() == status, seconds, 0.1), self.row().to_map()

    def address(self) -> tuple[str, int]:
        body = self.rds("DescribeDBInstanceNetInfo", dbinstance_id=self.id)
        info = body.dbinstance_net_infos.dbinstance_net_info[0]
        return info.connection_string, int(info.port)

    def build(self) -> None:
        self.build_network()
        self.id = self.order()

    def build_network(self) -> None:
        from alibabacloud_vpc20160428 import models

        client = self.tenant.vpc()
        self.vpc = client.create_vpc(
            models.CreateVpcRequest(region_id=self.region, cidr_block=self.cidr)
        ).body.vpc_id
        self.vswitch = client.create_vswitch(
            models.CreateVSwitchRequest(
                region_id=self.region, vpc_id=self.vpc, zone_id=f"{self.region}-h",
                cidr_block=self.cidr.replace(".0.0/16", ".1.0/24"),
            )
        ).body.v_switch_id  # fmt: skip

    def order(self, **more: Any) -> str:
        """Order an instance in its VPC."""
        given = {
            "region_id": self.region, "engine": "PostgreSQL", "engine_version": f"{self.major}.0",
            "dbinstance_class": "pg.n2.1c.1m", "dbinstance_storage": 20,
            "dbinstance_net_type": "Intranet", "security_iplist": "127.0.0.1",
            "pay_type": "Postpaid", "vpcid": self.vpc, "v_switch_id": self.vswitch,
            "zone_id": f"{self.region}-h", "dbinstance_storage_type": "cloud_essd",
        }  # fmt: skip
        return str(self.rds("CreateDBInstance", **{**given, **more}).dbinstance_id)

    def admit(self, entries: str) -> None:
        self.rds(
            "ModifySecurityIps", dbinstance_id=self.id, dbinstance_iparray_name="migration",
            security_ips=entries,
        )  # fmt: skip

    def set(self, **parameters: str) -> None:
        self.rds("ModifyParameter", dbinstance_id=self.id, parameters=json.dumps(parameters))


@dataclass
class Two:
    """Ann's source and Ben's destination."""

    state: Path
    options: tuple[str, ...]
    major: int = field(default_factory=lambda: max(majors()))
    source_region: str = HZ
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.running = Running(self.state, *self.options)
        try:
            self._build()
        except BaseException:
            self.running.kill()
            self.running.clean()
            raise

    def _build(self) -> None:
        self.a = Site(self.running.tenant("ann"), "10.10.0.0/16", self.major)
        self.b = Site(self.running.tenant("ben"), "10.20.0.0/16", self.major)
        self.a.region = self.source_region
        for site in (self.a, self.b):
            site.build()
        self._fill()
        self._join()

    def another(self) -> Two:
        """A source and a destination more, in the same networks."""
        other = copy(self)
        other.a, other.b = (replace(site, id=site.order()) for site in (self.a, self.b))
        other._fill()
        return other

    def _fill(self) -> None:
        for site in (self.a, self.b):
            site.until("Running")
        self.a.rds(
            "CreateAccount", dbinstance_id=self.a.id, account_name=MOVER,
            account_password=PASSWORD, account_type="Super",
        )  # fmt: skip
        self.settled(self.a)
        with self.server(self.a) as conn:
            conn.execute("CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n")

    def _join(self) -> None:
        from alibabacloud_cbn20170912 import models as m

        owner = self.b.tenant.cbn()
        cen = owner.create_cen(m.CreateCenRequest(name="joined")).body.cen_id
        only = [m.DescribeCensRequestFilter(key="CenId", value=[cen])]

        def active() -> bool:
            rows = owner.describe_cens(m.DescribeCensRequest(filter=only)).body.cens.cen
            return bool(rows[0].status == "Active")

        assert wait_until(active, 90, 0.1)
        self.a.tenant.cbn().grant_instance_to_transit_router(
            m.GrantInstanceToTransitRouterRequest(
                cen_id=cen, cen_owner_id=self.b.tenant.uid, instance_id=self.a.vpc,
                instance_type="VPC",
            )
        )  # fmt: skip
        mapping = m.CreateTransitRouterVpcAttachmentRequestZoneMappings
        for site in (self.a, self.b):
            owner.create_transit_router_vpc_attachment(
                m.CreateTransitRouterVpcAttachmentRequest(
                    cen_id=cen, region_id=site.region, vpc_id=site.vpc,
                    vpc_owner_id=site.tenant.uid,
                    zone_mappings=[mapping(zone_id=f"{site.region}-h", v_switch_id=site.vswitch)],
                )
            )  # fmt: skip

        def attached() -> bool:
            body = owner.list_transit_router_vpc_attachments(
                m.ListTransitRouterVpcAttachmentsRequest(cen_id=cen)
            ).body
            return {a.status for a in body.transit_router_attachments} == {"Attached"}

        assert wait_until(attached, 90, 0.1)

    def again(self) -> None:
        """Kill the service and start another one on the same state."""
        self.running.kill()
        self.running = Running(self.state, *self.options)
        for site in (self.a, self.b):
            old = site.tenant
            site.tenant = Tenant(self.running.endpoint, old.uid, old.key_id, old.secret)

    def change_keys(self) -> None:
        """Another access key for Ben, and another key that seals the secrets."""

        def landbridge(*arguments: str) -> dict[str, Any]:
            command = [sys.executable, "-m", "landbridge.cli", "account", *arguments, "--json"]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True,
                env={**os.environ, "LANDBRIDGE_STATE": str(self.state)},
            )  # fmt: skip
            told: dict[str, Any] = json.loads(done.stdout)
            return told

        old = self.b.tenant
        key = landbridge("rotate", old.key_id)["access_key"]
        assert landbridge("reseal")["secrets"] > 0
        self.b.refused("InvalidAccessKeyId.Inactive", "DescribeDBInstances", region_id=HZ)
        self.b.tenant = Tenant(self.running.endpoint, old.uid, key["id"], key["secret"])

    @contextmanager
    def server(self, site: Site) -> Iterator[psycopg.Connection[Any]]:
        """A session over the server's own socket, as its superuser."""
        with self.stored() as (cloud, session):
            row = session.get_one(DBInstance, site.id)
            cluster = Homes.of(cloud).found(row.id, row.number)
        with cluster.connect() as conn:
            yield conn

    @contextmanager
    def stored(self) -> Iterator[tuple[Cloud, Session]]:
        """What the service has written down."""
        cloud = Cloud.open(self.state)
        try:
            with cloud.database.read() as session:
                yield cloud, session
        finally:
            cloud.close()

    def settled(self, site: Site) -> None:
        """Wait until its server was told all that is wanted."""

        def is_settled() -> bool:
            with self.stored() as (_, session):
                row = session.get_one(DBInstance, site.id)
                return row.applied == row.version

        assert wait_until(is_settled, 90, 0.1)

    def whence(self, **other: Any) -> dict[str, Any]:
        """The arguments that name source and destination."""
        address, port = self.a.address()
        return {
            "dbinstance_name": self.b.id, "source_ip_address": address, "source_port": port,
            "source_account": MOVER, "source_password": PASSWORD, "source_category": "aliyunRDS",
            **other,
        }  # fmt: skip

    def assess(self, **other: Any) -> tuple[int, str]:
        """Id and Detail of an assessment that is over."""
        made = self.b.rds("CreateCloudMigrationPrecheckTask", **self.whence(**other))
        request = {"dbinstance_name": self.b.id, "task_id": made.task_id,
                   "page_number": 1, "page_size": 30}  # fmt: skip

        def found() -> Any:
            return self.b.rds("DescribeCloudMigrationPrecheckResult", **request).items[0]

        assert wait_until(lambda: bool(found().detail), 180, 0.2), self.running.log.read_text()
        return made.task_id, found().detail

    def begin(self, **other: Any) -> int:
        return int(self.b.rds("CreateCloudMigrationTask", **self.whence(**other)).task_id)

    def look(self) -> Any:
        """The latest migration, as the vendor's SDK has it."""
        return self.b.rds(
            "DescribeCloudMigrationResult", dbinstance_name=self.b.id, page_number=1, page_size=30
        ).items[0]

    def close_source(self) -> None:
        """Have the source refuse writes, and end its sessions as the procedure says."""
        self.a.set(rds_force_trans_ro_non_sup="on")

        def is_on() -> bool:
            row = conn.execute(
                "SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only'"
            ).fetchone()
            return bool(row == ("on",))

        with self.server(self.a) as conn:
            assert wait_until(is_on, 60, 0.05)
            conn.execute(TERMINATE)

    def until(self, condition: Callable[[Any], bool], seconds: float = 180) -> Any:
        """Look until it holds of the migration."""
        assert wait_until(lambda: condition(self.look()), seconds, 0.2), (
            self.look().to_map(), self.running.log.read_text()[-3000:],
        )  # fmt: skip
        return self.look()

    def end(self) -> None:
        self.running.kill()
        for pid in workers(self.state):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.running.clean()
        shutil.rmtree(self.state, ignore_errors=True)


def workers(state: Path) -> list[int]:
    """Processes of migrations in this state folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            about = command + (process / "environ").read_bytes()
        except OSError:
            continue
        if b"landbridge.migration" in command and str(state).encode() in about:
            found.append(int(process.name))
    return found


@contextmanager
def two_sites(*options: str, major: int | None = None) -> Iterator[Two]:
    """The whole of it, removed however the test ends; of the newest major unless one is given."""
    state = Path(tempfile.mkdtemp(prefix="lb-move-"))
    state.chmod(0o755)
    try:
        two = Two(state, options, major or max(majors()))
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise
    try:
        yield two
    finally:
        two.end()
