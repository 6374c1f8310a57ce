"""Moves a PostgreSQL instance from one account to another, across two regions, under load.

This is the cross-account procedure of the vendor's documentation, from its first step to its
last, written with the vendor's own SDKs and nothing of ours. Against Landbridge:

    ./run serve --listen 127.0.0.1:8450 --state DIR
    LANDBRIDGE_STATE=DIR ./run example two_accounts --endpoint 127.0.0.1:8450

Account A owns the source in cn-beijing, account B the destination in cn-hangzhou and the CEN
that joins them. A client writes all the time; at the end every write that was acknowledged
has to be found at the destination. Ends 0 then, otherwise 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from alibabacloud_cbn20170912 import models as cbn
from alibabacloud_cbn20170912.client import Client as CbnClient
from alibabacloud_rds20140815 import models as rds
from alibabacloud_rds20140815.client import Client as RdsClient
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vpc20160428 import models as vpc
from alibabacloud_vpc20160428.client import Client as VpcClient
from darabonba.exceptions import DaraException

BEIJING, HANGZHOU = "cn-beijing", "cn-hangzhou"
#: The privileged account of the source; it reads the data that are migrated.
MIGRATOR, PASSWORD = "migrator", "Kranich-7_fliegt"
#: The application's account and its password.
APPLICATION, SECRET = "shop", "Reiher-5_steht"
#: The statement of the procedure, to the letter.
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity 
WHERE usename not in ('replicator', 'monitor', 'pgsql', 'aurora') AND pid != pg_backend_pid();
"""
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:7.1f} s  {text}", flush=True)


def wait_for(what: str, done: Callable[[], Any], seconds: float = 120) -> Any:
    """Ask until `done` gives something; ends the program when it does not."""
    end = time.monotonic() + seconds
    while not (found := done()):
        if time.monotonic() > end:
            sys.exit(f"gave up waiting: {what}")
        time.sleep(0.3)
    return found


class Account:
    """An account of the cloud, with the vendor's clients."""

    def __init__(self, name: str, endpoint: str, key: str, secret: str) -> None:
        def config(region: str) -> Config:
            return Config(
                access_key_id=key, access_key_secret=secret, endpoint=endpoint,
                protocol="http", region_id=region,
            )  # fmt: skip

        self.name = name
        self.rds = RdsClient(config(HANGZHOU))
        self.vpc = VpcClient(config(HANGZHOU))
        self.cbn = CbnClient(config(HANGZHOU))
        self.uid = int(StsClient(config(HANGZHOU)).get_caller_identity().body.account_id)

    @classmethod
    def create(cls, name: str, endpoint: str) -> Account:
        """A new account, made by the operator on the machine of the service."""
        command = [sys.executable, "-m", "landbridge.cli", "account", "create", name, "--json"]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        key = json.loads(made.stdout)["access_key"]
        return cls(name, endpoint, key["id"], key["secret"])


@dataclass
class Site:
    """One account's network and instance in one region."""

    owner: Account
    region: str
    cidr: str
    vpc_id: str = ""
    vswitch_id: str = ""
    instance: str = ""

    @property
    def zone(self) -> str:
        return f"{self.region}-h"

    def build_network(self) -> None:
        client = self.owner.vpc
        self.vpc_id = client.create_vpc(
            vpc.CreateVpcRequest(region_id=self.region, cidr_block=self.cidr)
        ).body.vpc_id
        block = self.cidr.replace(".0.0/16", ".1.0/24")
        self.vswitch_id = client.create_vswitch(
            vpc.CreateVSwitchRequest(
                region_id=self.region, vpc_id=self.vpc_id, zone_id=self.zone, cidr_block=block
            )
        ).body.v_switch_id

    def order_newest(self) -> str:
        """Order the newest PostgreSQL that is offered, and say which that is."""
        for major in range(18, 9, -1):
            try:
                return self.order_instance(f"{major}.0")
            except DaraException as refused:
                if refused.code != "InvalidEngineVersion":
                    raise
        sys.exit("no PostgreSQL is offered")

    def order_instance(self, version: str) -> str:
        self.instance = self.owner.rds.create_dbinstance(
            rds.CreateDBInstanceRequest(
                region_id=self.region, engine="PostgreSQL", engine_version=version,
                dbinstance_class="pg.n2.1c.1m", dbinstance_storage=20,
                dbinstance_storage_type="cloud_essd", dbinstance_net_type="Intranet",
                security_iplist="127.0.0.1", pay_type="Postpaid", instance_network_type="VPC",
                vpcid=self.vpc_id, v_switch_id=self.vswitch_id, zone_id=self.zone,
            )
        ).body.dbinstance_id  # fmt: skip
        return version

    def status(self) -> str:
        body = self.owner.rds.describe_dbinstance_attribute(
            rds.DescribeDBInstanceAttributeRequest(dbinstance_id=self.instance)
        ).body
        return str(body.items.dbinstance_attribute[0].dbinstance_status)

    def until_running(self) -> None:
        wait_for(f"{self.instance} Running", lambda: self.status() == "Running")

    def endpoint(self, kind: str) -> tuple[str, int] | None:
        """Address and port, `Private` or `Public`."""
        body = self.owner.rds.describe_dbinstance_net_info(
            rds.DescribeDBInstanceNetInfoRequest(dbinstance_id=self.instance)
        ).body
        for info in body.dbinstance_net_infos.dbinstance_net_info:
            if info.iptype == kind:
                return str(info.connection_string), int(info.port)
        return None

    def open_to_public(self) -> tuple[str, int]:
        self.owner.rds.allocate_instance_public_connection(
            rds.AllocateInstancePublicConnectionRequest(
                dbinstance_id=self.instance, connection_string_prefix=self.instance, port="5432"
            )
        )
        found: tuple[str, int] = wait_for("a public endpoint", lambda: self.endpoint("Public"))
        return found

    def admit(self, group: str, entries: str) -> None:
        """Add a whitelist group."""
        self.owner.rds.modify_security_ips(
            rds.ModifySecurityIpsRequest(
                dbinstance_id=self.instance, dbinstance_iparray_name=group, security_ips=entries
            )
        )

    def create_account(self, name: str, password: str, kind: str) -> None:
        self.owner.rds.create_account(
            rds.CreateAccountRequest(
                dbinstance_id=self.instance, account_name=name, account_password=password,
                account_type=kind,
            )
        )  # fmt: skip

        def available() -> bool:
            rows = self.owner.rds.describe_accounts(
                rds.DescribeAccountsRequest(dbinstance_id=self.instance, account_name=name)
            ).body.accounts.dbinstance_account
            return any(row.account_status == "Available" for row in rows)

        wait_for(f"the database account {name}", available)


@dataclass
class Writer:
    """An application that counts: each number is one transaction, and acknowledged or not."""

    target: tuple[str, int]
    acknowledged: list[int] = field(default_factory=list)
    longest: float = 0.0
    """Seconds of the longest time without an acknowledged write."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        last, number = time.monotonic(), 0
        while not self._stop.is_set():
            try:
                with connect(self.target, APPLICATION, SECRET) as conn:
                    while not self._stop.is_set():
                        number += 1
                        conn.execute("INSERT INTO orders (number) VALUES (%s)", [number])
                        self.acknowledged.append(number)
                        self.longest = max(self.longest, time.monotonic() - last)
                        last = time.monotonic()
                        time.sleep(0.005)
            except psycopg.Error:
                time.sleep(0.05)

    @contextmanager
    def writing(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def connect(target: tuple[str, int], user: str, password: str) -> psycopg.Connection[Any]:
    host, port = target
    return psycopg.connect(
        host=host, port=port, user=user, password=password, dbname="postgres", autocommit=True,
        connect_timeout=5,
    )  # fmt: skip


# Step 1: in account B, a CEN that joins the two networks.


def join_networks(source: Site, target: Site) -> None:
    owner = target.owner
    cen = owner.cbn.create_cen(cbn.CreateCenRequest(name="migration")).body.cen_id
    only = [cbn.DescribeCensRequestFilter(key="CenId", value=[cen])]

    def active() -> bool:
        rows = owner.cbn.describe_cens(cbn.DescribeCensRequest(filter=only)).body.cens.cen
        return rows[0].status == "Active"

    wait_for("the CEN", active)
    say(f"B: CEN {cen}")
    source.owner.cbn.grant_instance_to_transit_router(
        cbn.GrantInstanceToTransitRouterRequest(
            cen_id=cen, cen_owner_id=owner.uid, instance_id=source.vpc_id, instance_type="VPC",
            region_id=source.region,
        )
    )  # fmt: skip
    say(f"A: grants {source.vpc_id} to the CEN of account {owner.uid}")
    for site in (source, target):
        attach(owner, cen, site)
        say(f"B: {site.vpc_id} of account {site.owner.uid} attached in {site.region}")
    give_bandwidth(owner, cen, source.region, target.region)


def attach(owner: Account, cen: str, site: Site) -> None:
    mapping = cbn.CreateTransitRouterVpcAttachmentRequestZoneMappings(
        zone_id=site.zone, v_switch_id=site.vswitch_id
    )
    id = owner.cbn.create_transit_router_vpc_attachment(
        cbn.CreateTransitRouterVpcAttachmentRequest(
            cen_id=cen, region_id=site.region, vpc_id=site.vpc_id, vpc_owner_id=site.owner.uid,
            zone_mappings=[mapping],
        )
    ).body.transit_router_attachment_id  # fmt: skip

    def attached() -> bool:
        rows = owner.cbn.list_transit_router_vpc_attachments(
            cbn.ListTransitRouterVpcAttachmentsRequest(transit_router_attachment_id=id)
        ).body.transit_router_attachments
        return rows[0].status == "Attached"

    wait_for("the attachment", attached)


def give_bandwidth(owner: Account, cen: str, a: str, b: str) -> None:
    plan = owner.cbn.create_cen_bandwidth_package(
        cbn.CreateCenBandwidthPackageRequest(
            bandwidth=200, geographic_region_aid="China", geographic_region_bid="China",
            name="plan", period=1, pricing_cycle="Month",
        )
    ).body.cen_bandwidth_package_id  # fmt: skip
    owner.cbn.associate_cen_bandwidth_package(
        cbn.AssociateCenBandwidthPackageRequest(cen_id=cen, cen_bandwidth_package_id=plan)
    )
    say(f"B: bandwidth plan {plan}, 200 Mbit/s, Mainland China")
    request = cbn.ListTransitRoutersRequest(cen_id=cen)
    routers = {
        row.region_id: row.transit_router_id
        for row in owner.cbn.list_transit_routers(request).body.transit_routers
    }
    owner.cbn.create_transit_router_peer_attachment(
        cbn.CreateTransitRouterPeerAttachmentRequest(
            cen_id=cen, transit_router_id=routers[a], region_id=a,
            peer_transit_router_id=routers[b], peer_transit_router_region_id=b,
            bandwidth_type="BandwidthPackage", cen_bandwidth_package_id=plan, bandwidth=200,
            default_link_type="Gold",
        )
    )  # fmt: skip

    def joined() -> bool:
        rows = owner.cbn.list_transit_router_peer_attachments(
            cbn.ListTransitRouterPeerAttachmentsRequest(cen_id=cen)
        ).body.transit_router_attachments
        return rows[0].status == "Attached"

    wait_for("the inter-region connection", joined)
    say(f"B: {a} and {b} joined with 200 Mbit/s of it")


# Step 2: the source instance.


def prepare_source(source: Site, target: Site) -> tuple[str, int]:
    """Whitelist, privileged account, an application with data; where the application writes."""
    source.admit("migration", target.cidr)
    say(f"A: whitelist of {source.instance} admits {target.cidr}")
    source.create_account(MIGRATOR, PASSWORD, "Super")
    source.create_account(APPLICATION, SECRET, "Normal")
    say(f"A: privileged account {MIGRATOR}, application account {APPLICATION}")
    private = source.endpoint("Private")
    assert private is not None
    source.admit("application", private[0])
    public = source.open_to_public()
    conn = wait_for("a login", lambda: try_connect(public, MIGRATOR, PASSWORD))
    with conn:
        conn.execute(
            "CREATE TABLE orders (number bigint PRIMARY KEY, at timestamptz DEFAULT now(),"
            " note text DEFAULT repeat('x', 200))"
        )
        conn.execute(f"GRANT ALL ON orders TO {APPLICATION}")
        conn.execute("INSERT INTO orders SELECT -n FROM generate_series(1, 100000) n")
    say("A: 100,000 orders are there, and an application adds more")
    return public


def prepare_target(target: Site) -> tuple[str, int]:
    """The application is let in before the switchover; where it will find its orders."""
    private = target.endpoint("Private")
    assert private is not None
    target.admit("application", private[0])
    return target.open_to_public()


def try_connect(target: tuple[str, int], user: str, password: str) -> Any:
    try:
        return connect(target, user, password)
    except psycopg.Error:
        return None


# Step 3: the destination instance.


@dataclass
class Migration:
    """The migration of one instance into another, as account B drives it."""

    source: Site
    target: Site

    def arguments(self) -> dict[str, Any]:
        private = self.source.endpoint("Private")
        assert private is not None
        return {
            "dbinstance_name": self.target.instance, "source_ip_address": private[0],
            "source_port": private[1], "source_account": MIGRATOR, "source_password": PASSWORD,
            "source_category": "aliyunRDS",
        }  # fmt: skip

    def assess(self) -> None:
        client = self.target.owner.rds
        made = client.create_cloud_migration_precheck_task(
            rds.CreateCloudMigrationPrecheckTaskRequest(**self.arguments())
        ).body
        say(f"B: feasibility assessment {made.task_name}; destination is {self.target.status()}")
        request = rds.DescribeCloudMigrationPrecheckResultRequest(
            dbinstance_name=self.target.instance, task_id=made.task_id, page_number=1, page_size=30
        )

        def detail() -> str:
            rows = client.describe_cloud_migration_precheck_result(request).body.items
            return str(rows[0].detail or "")

        report = wait_for("the assessment", detail)
        for line in report.splitlines():
            print(f"             {line}")
        if "*Migrate check success*" not in report:
            sys.exit("the assessment has failed")

    def begin(self) -> None:
        self.target.until_running()
        made = self.target.owner.rds.create_cloud_migration_task(
            rds.CreateCloudMigrationTaskRequest(**self.arguments())
        ).body
        say(f"B: migration {made.task_name}; destination is {self.target.status()}")

    def look(self) -> Any:
        request = rds.DescribeCloudMigrationResultRequest(
            dbinstance_name=self.target.instance, page_number=1, page_size=30
        )
        return self.target.owner.rds.describe_cloud_migration_result(request).body.items[0]

    def until(self, stage: str, replication: str | None = None) -> Any:
        """Follow it until it is there; says every stage on the way."""
        seen: list[str] = []

        def there() -> Any:
            found = self.look()
            if found.migrate_stage not in seen:
                seen.append(found.migrate_stage)
                say(f"B: stage {found.migrate_stage}, replication {found.replication_state}")
            is_far = found.migrate_stage == stage
            return found if is_far and replication in (None, found.replication_state) else None

        return wait_for(f"the stage {stage}", there)

    def accepts_writes(self) -> str:
        """When the destination was promoted; some of its tidying up is still to come then."""

        def switched() -> str:
            found = self.look()
            if found.migrate_stage == "increment" and "put back" in found.detail:
                sys.exit(f"the switchover was put back: {found.detail.splitlines()[-1]}")
            return str(found.switch_time or "")

        return str(wait_for("the destination to accept writes", switched))

    def switch_over(self, application: tuple[str, int]) -> None:
        client = self.source.owner.rds
        client.modify_parameter(
            rds.ModifyParameterRequest(
                dbinstance_id=self.source.instance,
                parameters=json.dumps({"rds_force_trans_ro_non_sup": "on"}),
            )
        )
        wait_for("the source to refuse writes", lambda: refuses_writes(application))
        with connect(application, MIGRATOR, PASSWORD) as conn:
            ended = conn.execute(TERMINATE.encode()).fetchall()
        say(f"A: the source is read-only; {len(ended)} sessions terminated")
        self.target.owner.rds.activate_migration_target_instance(
            rds.ActivateMigrationTargetInstanceRequest(
                dbinstance_name=self.target.instance, switch_time_mode="0"
            )
        )
        say("B: Switch Now")


def refuses_writes(target: tuple[str, int]) -> bool:
    with connect(target, MIGRATOR, PASSWORD) as conn:
        found = conn.execute("SHOW default_transaction_read_only").fetchone()
    return found == ("on",)


def missing(target: tuple[str, int], writer: Writer) -> tuple[int, int]:
    """How many orders there are, and how many that were acknowledged are not among them."""
    with connect(target, MIGRATOR, PASSWORD) as conn:
        found = {row[0] for row in conn.execute("SELECT number FROM orders")}
    wanted = {*range(-100000, 0), *writer.acknowledged}
    return len(found), len(wanted - found)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--endpoint", default="127.0.0.1:8450", help="HOST:PORT of the API")
    parser.add_argument("--engine-version", help="PostgreSQL of both, like 15.0; else the newest")
    chosen = parser.parse_args()
    for name in list(os.environ):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]  # the SDK would send calls to this machine there

    mark = f"{int(time.time()) % 1000000}"
    a = Account.create(f"example-a-{mark}", chosen.endpoint)
    b = Account.create(f"example-b-{mark}", chosen.endpoint)
    say(f"accounts A {a.uid} and B {b.uid}")
    source, target = Site(a, BEIJING, "10.10.0.0/16"), Site(b, HANGZHOU, "10.20.0.0/16")
    version = chosen.engine_version
    for site in (source, target):
        site.build_network()
        version = site.order_newest() if version is None else site.order_instance(version)
        say(f"{site.owner.name[8].upper()}: {site.instance} ordered in {site.region}")
    for site in (source, target):
        site.until_running()
    say("both instances are Running")

    join_networks(source, target)
    writer = Writer(prepare_source(source, target))
    destination = prepare_target(target)
    with writer.writing():
        migration = Migration(source, target)
        migration.assess()
        migration.begin()
        migration.until("increment", "streaming")
        say(f"{len(writer.acknowledged)} orders were written meanwhile")
        migration.switch_over(writer.target)
        say(f"B: switched over at {migration.accepts_writes()}")
        writer.target, before = destination, len(writer.acknowledged)
        wait_for(
            "the application at the destination", lambda: len(writer.acknowledged) > before + 100
        )
        say("the application writes to the destination")
        migration.until("success")
        say(f"B: {target.instance} is {target.status()}")
    there, lost = missing(writer.target, writer)
    say(f"{there} orders at the destination, {lost} missing; longest pause {writer.longest:.1f} s")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
