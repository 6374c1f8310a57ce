"""A service on a network of somebody else, in a namespace of the test's with addresses on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alibabacloud_cbn20170912 import models as m

from fix_api import Serve, Tenant
from fix_migration import MOVER, PASSWORD, Site, Two
from fix_party import BJ, HZ, Party
from fix_servers import Servers, majors
from landbridge.api.action import Product
from landbridge.network.choose import Wanted, choose
from landbridge.network.netns.spaces import in_new
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import find
from landbridge.postgres.process import wait_until
from test_service_removal import processes_of

T = TypeVar("T")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        os.geteuid() != 0 or choose(Wanted.AUTO).driver is not Wanted.NETNS,
        reason="needs root and namespaces",
    ),
]

SOURCE, TARGET, OTHER, LONE = "10.10.1.10", "10.20.1.10", "10.20.1.11", "10.20.1.12"
STRANGER = "10.30.1.10"
MBITS = 40


def on_a_host(work: Callable[[], T]) -> T:
    """What `work` returns on a host that has the addresses above and no other network."""

    def there() -> T:
        for words in (
            "link set lo up",
            *(f"addr add {a}/32 dev lo" for a in (SOURCE, TARGET, OTHER, LONE, STRANGER)),
        ):
            subprocess.run(["ip", *words.split()], check=True)
        return work()

    return in_new(there)


class Far(Two):
    """Two accounts in two regions, with a line between them."""

    def _join(self) -> None:
        super()._join()
        owner = Party(self.b.tenant)
        cen = owner.attachments()[0].cen_id
        routers = owner.routers(cen)
        owner.cbn.create_transit_router_peer_attachment(
            m.CreateTransitRouterPeerAttachmentRequest(
                cen_id=cen, region_id=BJ, transit_router_id=routers[BJ].transit_router_id,
                peer_transit_router_id=routers[HZ].transit_router_id,
                peer_transit_router_region_id=HZ, bandwidth_type="BandwidthPackage",
                cen_bandwidth_package_id=owner.plan(cen), bandwidth=MBITS,
                default_link_type="Gold",
            )
        )  # fmt: skip
        assert wait_until(lambda: owner.peers()[0].status == "Attached", 30)


@contextmanager
def far() -> Iterator[Far]:
    state = Path(tempfile.mkdtemp(prefix="lb-move-"))
    state.chmod(0o755)
    try:
        two = Far(state, ("--network", "external"), source_region=BJ)
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise
    try:
        yield two
    finally:
        two.end()


def sample(count: int) -> str:
    """SQL that makes a table of so many rows of 25 kB that do not compress."""
    return (
        "CREATE TABLE public.bulk AS SELECT n, (SELECT"
        " string_agg(sha256((random()::text || n || k)::bytea), ''::bytea)"
        f" FROM generate_series(1, 800) k) FROM generate_series(1, {count}) n"
    )


def refused_addresses(site: Site) -> None:
    """What is no address of this host, or is taken, no instance gets."""
    for address in ("10.10.1.99", "10.20.1.10", "10.10.1.255"):
        with pytest.raises(Exception) as refusal:
            site.order(private_ip_address=address)
        assert getattr(refusal.value, "code", "") == "InvalidPrivateIpAddress", refusal.value
    site.order(private_ip_address=SOURCE)
    with pytest.raises(Exception) as refusal:
        site.order()
    assert getattr(refusal.value, "code", "") == "InsufficientIpAddr.vsw", refusal.value


def test_an_instance_lies_at_an_address_of_this_host(serve: Serve, servers: Servers) -> None:
    state = servers.root / "state"
    state.mkdir()

    def work() -> None:
        running = serve(state, "--network", "external")
        site = Site(running.tenant("ann"), "10.10.0.0/16")
        site.build_network()
        refused_addresses(site)
        (site.id,) = [r.dbinstance_id for r in site.rds(
            "DescribeDBInstances", region_id=site.region).items.dbinstance]  # fmt: skip
        site.until("Running")
        with socket.create_connection((SOURCE, 5432), 5):
            assert site.address() == (SOURCE, 5432)
        running.kill()

    on_a_host(work)
    assert processes_of(state), "the server lives on"
    removed = landbridge("service", "remove", "--state", state, "--yes")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert not processes_of(state)
    assert not list(state.glob("[!s]*")), "all but the log that the test keeps there"


@pytest.mark.slow
def test_a_read_only_instance_follows_on_the_same_host(serve: Serve, servers: Servers) -> None:
    major = max((m for m in majors() if "pg_basebackup" in find(m).tools), default=0)
    if not major:
        pytest.skip("no pg_basebackup")

    def work() -> None:
        running = serve(servers.root, "--network", "external")
        site = Site(running.tenant("ben"), "10.20.0.0/16", major)
        site.build()
        site.until("Running")
        standby = replace(site, id=site.rds(
            "CreateReadOnlyDBInstance", region_id=HZ, zone_id=f"{HZ}-h", dbinstance_id=site.id,
            engine_version=f"{site.major}.0", dbinstance_class="pg.n2.1c.1m",
            dbinstance_storage=20, pay_type="Postpaid", category="Basic", v_switch_id=site.vswitch,
        ).dbinstance_id)  # fmt: skip
        standby.until("Running")
        assert (site.address()[0], standby.address()[0]) == (TARGET, OTHER)
        site.rds("DeleteDBInstance", dbinstance_id=standby.id)

    on_a_host(work)


def landbridge(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "landbridge.cli", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_procedure_over_a_network_of_somebody_else(without_proxy: None) -> None:
    def work() -> None:
        with far() as two:
            assert (two.a.address(), two.b.address()) == ((SOURCE, 5432), (TARGET, 5432))
            other = copy(two)
            other.b = replace(two.b, id=two.b.order(private_ip_address=OTHER))
            from_instance_to_instance(two)
            from_elsewhere(other)

    on_a_host(work)


def from_instance_to_instance(two: Far) -> None:
    a, b = two.a, two.b
    assert_unattached_is_closed(two)
    _, refused = two.assess()
    assert f"lacks {b.cidr}" in refused and refused.endswith("*Migrate check failure*")
    a.admit(b.cidr)
    two.settled(a)
    b.until("Running")
    _, passed = two.assess()
    assert passed.endswith("*Migrate check success*"), passed
    way = b.ours("DescribeReachability", SourceId=b.id, DestinationId=a.id)
    assert (way["Passes"], way["Probe"]["Outcome"]) == (True, "ok")
    assert_measured(b.tenant)

    acknowledged: list[int] = []
    with two.server(a) as conn:
        conn.execute(sample(1000))

        def streams(seen: Any) -> bool:
            number = 1001 + len(acknowledged)
            conn.execute("INSERT INTO public.orders VALUES (%s)", [number])
            acknowledged.append(number)
            return bool(seen.replication_state == "streaming")

        task = two.begin()
        two.until(streams)
    two.close_source()
    b.rds("ActivateMigrationTargetInstance", dbinstance_name=b.id)
    two.until(lambda it: it.migrate_stage == "success")
    with two.server(b) as conn:
        found = conn.execute("SELECT count(*), max(n) FROM public.orders").fetchone()
        assert acknowledged and found == (acknowledged[-1], acknowledged[-1])
        assert conn.execute("SELECT count(*) FROM public.bulk").fetchone() == (1000,)
    evidence = b.ours("DescribeMigrationEvidence", TaskId=task)["Evidence"]
    copied = evidence["full_copy"]
    assert copied["wire_bytes"] > 25_000_000
    assert copied["wire_bytes"] * 8 / copied["seconds"] < MBITS * 1.02e6, copied


def assert_unattached_is_closed(two: Far) -> None:
    """However a destination names what is in no CEN of its own, by this host it would reach it."""
    lone = Site(two.running.tenant("eve"), "10.20.0.0/16")
    lone.build_network()
    lone.id = lone.order(private_ip_address=LONE)
    lone.until("Running")
    eve = copy(two)
    eve.b = lone
    for name in (SOURCE, f"::ffff:{SOURCE}"):
        _, refused = eve.assess(source_ip_address=name, source_category="other")
        assert "nothing that is attached leads" in refused, refused


def assert_measured(tenant: Tenant) -> None:
    """Attachments and the line say when servers at their ends answered."""
    for action, ends in (
        ("ListTransitRouterVpcAttachments", ("1 of 1", "2 of 2")),
        ("ListTransitRouterPeerAttachments", ("3 of 3",)),
    ):

        def told(action: str = action) -> list[str]:
            rows = tenant.call(Product.CBN, action)["TransitRouterAttachments"]
            return [row.get("StatusReason", "") for row in rows]

        def is_told(ends: tuple[str, ...] = ends, told: Callable[[], list[str]] = told) -> bool:
            return len(found := told()) == len(ends) and all(
                any(f"{end} servers at its ends answered at 20" in words for words in found)
                for end in ends
            )

        assert wait_until(is_told, 90, 0.5), told()


def from_elsewhere(two: Far) -> None:
    """From a server that is no instance."""
    source = Cluster(two.state / "elsewhere", find(max(majors())), 5432, superuser="postgres")
    source.init()
    lines = [f"host {what} all {STRANGER}/32 scram-sha-256" for what in ("all", "replication")]
    source.configure({"listen_addresses": STRANGER, "max_connections": 50}, lines)
    source.start()
    try:
        with source.connect() as conn:
            conn.execute(f"CREATE ROLE {MOVER} LOGIN CREATEROLE REPLICATION PASSWORD '{PASSWORD}'")
            conn.execute(f"GRANT pg_monitor TO {MOVER}")
            conn.execute("CREATE TABLE public.orders AS SELECT n FROM generate_series(1, 777) n")
        two.b.until("Running")
        whence = {"source_ip_address": STRANGER, "source_port": 5432, "source_category": "other"}
        _, passed = two.assess(**whence)
        assert passed.endswith("*Migrate check success*"), passed
        two.begin(**whence)
        two.until(lambda it: it.replication_state == "streaming")
        with source.connect() as conn:
            conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            conn.execute("SELECT pg_reload_conf()")
        two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
        two.until(lambda it: it.migrate_stage == "success")
        with two.server(two.b) as conn:
            assert conn.execute("SELECT count(*) FROM public.orders").fetchone() == (777,)
    finally:
        source.stop("immediate")
