"""A network of somebody else: nothing is built, what it is worth is measured."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from fix_servers import Servers
from landbridge.errors import NetworkRefused, ServerUnreachable, UsageError
from landbridge.network.bucket import Bucket
from landbridge.network.external import ExternalDriver, Measured, measure
from landbridge.network.fabric import Bandwidth, Fabric, Isolation, Outcome
from landbridge.network.forward import Forwarder
from landbridge.network.things import Attachment, Instance, Vpc, Vswitch
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.facts import line
from test_network_pgwire import reloaded, to
from test_standby_tls import certificate, switch_tls_on


class Throttle:
    """A gate that is nothing but a bucket."""

    def __init__(self, bits_per_second: int) -> None:
        self._bucket = Bucket(bits_per_second)
        self.piece = self._bucket.burst

    def enter(self, count: int) -> None:
        self._bucket.take(count)


def test_nothing_is_built_and_a_place_is_an_address_of_this_host() -> None:
    driver: Fabric = ExternalDriver()
    found = driver.capabilities()
    assert (found.isolation, found.bandwidth) == (Isolation.NONE, Bandwidth.NONE)
    block = IPv4Network("127.7.0.0/16")
    driver.ensure_vpc(Vpc("vpc-a", "1", "cn-beijing", block))
    driver.ensure_vswitch(Vswitch("vsw-a", "vpc-a", "cn-beijing-h", block))
    here = Instance("pgm-a", "vsw-a", IPv4Address("127.7.0.1"))
    assert driver.ensure_endpoint(here).listen == "127.7.0.1"
    with pytest.raises(NetworkRefused) as refused:
        driver.ensure_endpoint(Instance("pgm-b", "vsw-a", IPv4Address("192.0.2.1")))
    assert (refused.value.id, bool(refused.value.remedy)) == ("network.not_here", True)
    with pytest.raises(NetworkRefused) as unmetered:
        driver.meter("line-1")
    assert unmetered.value.id == "network.external"
    assert {it.id for it in driver.observe()} == {"vpc-a", "vsw-a", "pgm-a"}
    assert {it.id for it in driver.gc(["vpc-a", "vsw-a"])} == {"pgm-a"}


def test_what_nobody_attached_is_not_reached_from_another_vpc() -> None:
    driver = ExternalDriver()
    for n in (1, 2):
        block = IPv4Network(f"127.{n}.0.0/16")
        driver.ensure_vpc(Vpc(f"vpc-{n}", str(n), "cn-beijing", block))
        driver.ensure_vswitch(Vswitch(f"vsw-{n}", f"vpc-{n}", "cn-beijing-h", block))
        driver.ensure_endpoint(Instance(f"pgm-{n}", f"vsw-{n}", block[1], 1))
    there = IPv4Address("127.2.0.1")
    assert driver.probe("pgm-1", there, 1, 2).outcome is Outcome.UNREACHABLE
    for n in (1, 2):
        driver.ensure_attachment(Attachment(f"tr-attach-{n}", "tr-1", f"vpc-{n}"))
    assert driver.probe("pgm-1", there, 1, 2).outcome is Outcome.REFUSED


def test_line_to_a_server_is_measured_as_it_is(servers: Servers, tmp_path: Path) -> None:
    source = servers.source(15)
    answer = ExternalDriver().probe("", IPv4Address("127.0.0.1"), source.port, 5)
    assert answer.outcome is Outcome.OK
    switch_tls_on(source, *certificate(tmp_path))
    slow = Forwarder("127.0.0.1", 0, to(source.port), back=Throttle(40_000_000))
    try:
        way = source.conninfo().with_(port=slow.address[1])
        found = measured_at(way, 40e6 / 8)
        plain = measure(source.conninfo().with_(sslmode="disable"), budget=0.1)
    finally:
        slow.close()
    assert found.login.outcome is found.replication.outcome is Outcome.OK
    assert found.quality is not None and found.quality.tls is not None
    assert found.quality.tls.startswith("TLSv1.")
    assert 0 < found.quality.round_trip < 0.5
    assert plain.quality is not None and plain.quality.tls is None
    assert plain.quality.line.rate and plain.quality.line.rate > 2 * found.quality.line.rate


def measured_at(way: Conninfo, rate: float) -> Measured:
    """What was measured of a line of that rate, in bytes per second."""
    for _ in range(8):  # a busy machine may take longer, never less
        found = measure(way)
        assert found.quality is not None and found.quality.line.rate is not None
        assert found.quality.line.rate <= rate * 1.05
        if found.quality.line.rate >= rate * 0.95:
            return found
    raise AssertionError(f"never more than {found.quality.line.rate} of {rate}")


def test_line_that_only_trickles_is_no_line(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_LONGEST", 1.0)
    source = servers.source(15)
    thin = Forwarder("127.0.0.1", 0, to(source.port), back=Throttle(20_000))
    try:
        found = measure(source.conninfo().with_(port=thin.address[1]))
    finally:
        thin.close()
    assert found.login.outcome is Outcome.OK, "connecting works"
    assert found.quality is not None and found.quality.line.rate is None, "working does not"


def test_what_stands_in_the_way_is_told_apart(servers: Servers) -> None:
    source = servers.source(15)
    with pytest.raises(ServerUnreachable, match="password") as failed:
        measure(source.conninfo(password="wr0ng-s3cret"))
    assert "wr0ng" not in str(failed.value)
    reloaded(source, "host all migrator 127.0.0.1/32 md5")
    found = measure(source.conninfo(), budget=0.1)
    assert found.quality is not None
    assert found.replication.outcome is Outcome.NOT_WHITELISTED
    own = Conninfo.parse(f"host={source.socket_dir} port={source.port} user={source.superuser}")
    assert measure(own.with_(dbname="postgres"), budget=0.1).login.outcome is Outcome.OK
    source.stop()
    gone = measure(source.conninfo())
    assert (gone.login.outcome, gone.quality) == (Outcome.REFUSED, None)
    with pytest.raises(UsageError):
        measure(Conninfo.parse("host=a,b user=x"))
