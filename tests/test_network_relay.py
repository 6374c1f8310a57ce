"""The relay: what the model forbids is said, what it allows is carried at the line's pace."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import psycopg
import pytest

from fix_network import two_regions
from fix_servers import QUICK, Servers, Source, free_port
from landbridge.errors import NetworkFailed
from landbridge.network.converge import converge
from landbridge.network.fabric import Driver, Meter, Observed, Outcome
from landbridge.network.relay import RelayDriver
from landbridge.network.things import (
    Attachment,
    Cen,
    Instance,
    Line,
    TransitRouter,
    Vpc,
    Vswitch,
)
from landbridge.network.topology import Topology
from landbridge.postgres.process import wait_until

ANYBODY = (IPv4Network("0.0.0.0/0"),)
MBIT = 1_000_000
LINE = Line("line-1", "tr-a", "tr-b", 10 * MBIT)


class Two:
    """Two accounts' VPCs in two regions, an instance in each: `a` is the client, `b` serves."""

    def __init__(self, driver: RelayDriver) -> None:
        self.driver = driver
        port = free_port()
        for letter, region, net in (("a", "cn-beijing", 10), ("b", "cn-hangzhou", 20)):
            block = IPv4Network(f"10.{net}.0.0/16")
            driver.ensure_vpc(Vpc(f"vpc-{letter}", f"account-{letter}", region, block))
            part = IPv4Network(f"10.{net}.1.0/24")
            driver.ensure_vswitch(Vswitch(f"vsw-{letter}", f"vpc-{letter}", "zone", part))
            driver.ensure_transit_router(TransitRouter(f"tr-{letter}", "cen-1", region))
        self.a = Instance("pgm-a", "vsw-a", IPv4Address("10.10.1.5"), port, ANYBODY)
        self.b = Instance("pgm-b", "vsw-b", IPv4Address("10.20.1.5"), port, ANYBODY)
        self.at_a = driver.ensure_endpoint(self.a)
        self.at_b = driver.ensure_endpoint(self.b)

    def attach(self) -> None:
        for letter in "ab":
            self.driver.ensure_attachment(
                Attachment(f"att-{letter}", f"tr-{letter}", f"vpc-{letter}")
            )

    def join(self, mbit: int = 10) -> None:
        self.attach()
        self.driver.ensure_line(replace(LINE, bits_per_second=mbit * MBIT))

    def dial(self) -> socket.socket:
        """A connection from a to b, as a program that asked for the path makes it."""
        path = self.driver.path("pgm-a", "pgm-b")
        return socket.create_connection((path.hostaddr, path.port), 10)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    driver = RelayDriver(f"test-{os.urandom(4).hex()}", tmp_path / "run")
    try:
        yield Two(driver)
    finally:
        driver.close()


class Peer:
    """One end of a raw connection: what it got, and whether the other side closed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(None)
        self.got = 0
        self.digest = hashlib.sha256()
        self.closed = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def flood(self) -> None:
        """Send as fast as the way takes it, until the connection ends."""

        def send() -> None:
            with contextlib.suppress(OSError):
                while True:
                    self.sock.sendall(bytes(65536))

        threading.Thread(target=send, daemon=True).start()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.sock.recv(65536):
                self.got += len(data)
                self.digest.update(data)
        self.closed.set()


@pytest.fixture
def meet(two: Two) -> Iterator[Callable[[], tuple[Peer, Peer]]]:
    """Makes connections between a client at `a` and a raw server at `b`: (client, server)."""
    listener = socket.create_server((two.at_b.listen, two.at_b.port))
    listener.settimeout(10)
    peers: list[Peer] = []

    def connect() -> tuple[Peer, Peer]:
        client = Peer(two.dial())
        server = Peer(listener.accept()[0])
        peers.extend((client, server))
        return client, server

    try:
        yield connect
    finally:
        for peer in peers:
            peer.end()
        listener.close()


def rate(*peers: Peer, seconds: float) -> list[float]:
    """Mbit/s that each received over so many seconds."""
    began, before = time.monotonic(), [peer.got for peer in peers]
    time.sleep(seconds)
    after, took = [peer.got for peer in peers], time.monotonic() - began
    return [(y - x) * 8 / took / MBIT for x, y in zip(before, after, strict=True)]


def mbits(*peers: Peer) -> float:
    """What they have received since they were connected."""
    return sum(peer.got for peer in peers) * 8 / MBIT


def delivered(two: Two, data: bytes) -> bytes:
    """What a server at `b` gets when a client at `a` sends this."""
    with socket.create_server((two.at_b.listen, two.at_b.port)) as listener, two.dial() as client:
        client.sendall(data)
        with listener.accept()[0] as server:
            return server.recv(len(data), socket.MSG_WAITALL)


def served(servers: Servers, two: Two) -> Source:
    """A real server at the place of `b`, which leaves the whitelist to the fabric."""
    source = servers.source(15, start=False)
    source.port = two.at_b.port
    source.configure(
        {**QUICK, "listen_addresses": two.at_b.listen},
        [f"host {what} all {block} trust" for block in two.at_b.clients
         for what in ("all", "replication")],
    )  # fmt: skip
    source.start()
    return source


def words_of_every_client(source: Source, two: Two, tmp_path: Path) -> list[str]:
    """What psql, pg_basebackup and psycopg say when they try to get from a to b."""
    path = two.driver.path("pgm-a", "pgm-b")
    way = f"host={path.host} hostaddr={path.hostaddr} port={path.port} user=pgsql"
    said = []
    for command in (
        [source.distribution.program("psql"), "-d", f"{way} dbname=postgres", "-c", "SELECT 1"],
        [source.distribution.program("pg_basebackup"), "-d", way, "-D", tmp_path / "copy"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode
        said.append(done.stderr)
    with pytest.raises(psycopg.OperationalError) as failed:
        psycopg.connect(f"{way} dbname=postgres")
    return [*said, str(failed.value)]


def test_clients_are_told_what_is_in_the_way_until_nothing_is(
    servers: Servers, two: Two, tmp_path: Path
) -> None:
    source = served(servers, two)
    driver, target = two.driver, (two.b.address, two.b.port)

    for said in words_of_every_client(source, two, tmp_path):
        assert "no route from 10.10.1.5 to 10.20.1.5: vpc-a has no attachment" in said
    two.attach()
    missing = driver.probe("pgm-a", *target, 5)
    assert missing.outcome is Outcome.UNREACHABLE
    assert "no line between cn-beijing and cn-hangzhou" in missing.words

    two.join(1000)
    driver.ensure_endpoint(replace(two.b, whitelist=(IPv4Network("10.30.0.0/16"),)))
    psql, basebackup, python = words_of_every_client(source, two, tmp_path)
    for said in (psql, python):
        assert 'no pg_hba.conf entry for host "10.10.1.5", user "pgsql"' in said
    assert 'replication connection from host "10.10.1.5", user "pgsql"' in basebackup
    assert "Add 10.10.1.5 to the whitelist of pgm-b." in psql
    assert driver.probe("pgm-a", *target, 5).outcome is Outcome.NOT_WHITELISTED

    driver.ensure_endpoint(replace(two.b, whitelist=(IPv4Network("10.10.0.0/16"),)))
    assert driver.probe("pgm-a", *target, 5).outcome is Outcome.OK
    path = driver.path("pgm-a", "pgm-b")
    way = f"host={path.host} hostaddr={path.hostaddr} port={path.port} user=pgsql dbname=postgres"
    with psycopg.connect(way) as conn:
        row = conn.execute("SELECT host(inet_client_addr()), host(inet_server_addr())").fetchone()
        assert row == (two.at_a.listen, two.at_b.listen)
        driver.ensure_endpoint(replace(two.b, whitelist=()))
        assert conn.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match=r'host "10\.10\.1\.5"'):
            psycopg.connect(way)

    two.driver.ensure_endpoint(two.b)
    assert driver.probe("pgm-a", two.b.address, two.b.port + 1, 5).outcome is Outcome.REFUSED
    nobody = driver.probe("pgm-a", IPv4Address("10.20.1.9"), two.b.port, 5)
    assert nobody.outcome is Outcome.UNREACHABLE
    source.stop("immediate")
    assert driver.probe("pgm-a", *target, 5).outcome is Outcome.REFUSED


def test_line_keeps_its_bandwidth_in_each_direction_for_all_connections_together(
    two: Two, meet: Callable[[], tuple[Peer, Peer]]
) -> None:
    two.join(10)
    (client, server), (second, second_server) = meet(), meet()
    began = time.monotonic()
    for sender in (client, second, server):
        sender.flood()
    assert wait_until(lambda: min(p.got for p in (client, server, second_server)) > 100_000, 10)
    ends = (client,), (server, second_server)
    for _ in range(8):  # a busy machine may wake a thread too late, which may then catch up
        back, there, there_too = rate(client, server, second_server, seconds=2)
        assert max(mbits(*end) for end in ends) <= 10.2 * (time.monotonic() - began)
        is_fair = there == pytest.approx(there_too, rel=0.2)
        if min(back, there + there_too) >= 9.8 and is_fair:
            break
    else:
        pytest.fail("never reached its bandwidth, and evenly")

    changed = time.monotonic()
    two.join(40)  # changed while all three run
    for _ in range(8):
        back, there, there_too = rate(client, server, second_server, seconds=1)
        allowed = 10.2 * (changed - began) + 42 * (time.monotonic() - changed)
        assert max(mbits(*end) for end in ends) <= allowed
        if min(back, there + there_too) >= 34:
            break
    else:
        pytest.fail("never reached its new bandwidth")
    for peer in (client, second, server, second_server):
        peer.end()
    meter = two.driver.meter("line-1")
    assert meter.a_to_b >= server.got + second_server.got
    assert meter.a_to_b - (server.got + second_server.got) < 1_000_000
    assert 0 <= meter.b_to_a - client.got < 1_000_000


def test_line_without_bandwidth_lets_connect_but_not_work(
    two: Two, meet: Callable[[], tuple[Peer, Peer]]
) -> None:
    two.attach()
    two.driver.ensure_line(replace(LINE, bits_per_second=None))
    client, server = meet()
    client.sock.sendall(bytes(100))
    assert wait_until(lambda: server.got == 100, 10)
    client.sock.sendall(bytes(3000))
    assert not wait_until(lambda: server.got == 3100, 1.5)
    two.join(10)
    assert wait_until(lambda: server.got == 3100, 10)
    assert two.driver.meter("line-1") == Meter(3100, 0)
    # The same id the other way round is another line; what runs goes over it.
    two.driver.ensure_line(Line("line-1", "tr-b", "tr-a", 10 * MBIT))
    client.sock.sendall(bytes(500))
    assert wait_until(lambda: server.got == 3600, 10)
    assert two.driver.meter("line-1") == Meter(0, 500)


def hold(two: Two, how: str) -> Callable[[], None]:
    """Take the way away; the answer brings it back."""
    if how == "detach":
        two.driver.drop_attachment("att-b")
    else:
        two.driver.drop_line("line-1")
    return lambda: two.join(50)


@pytest.mark.parametrize("how", ["detach", "remove the line"])
def test_cut_under_load_holds_connections_and_loses_nothing(
    two: Two, meet: Callable[[], tuple[Peer, Peer]], how: str
) -> None:
    two.join(50)
    client, server = meet()
    payload = os.urandom(4_000_000)
    threading.Thread(target=lambda: client.sock.sendall(payload), daemon=True).start()
    assert wait_until(lambda: server.got > 500_000, 10)
    mend = hold(two, how)
    held = -1
    while held < server.got:  # what was on its way arrives
        held = server.got
        wait_until(lambda held=held: server.got > held, 0.5)
    assert held < len(payload) and not client.closed.is_set()
    with contextlib.closing(two.dial()) as late:
        late.sendall(b"\0\0\0\x11\0\3\0\0user\0ann\0\0")
        assert b"no route from 10.10.1.5" in late.recv(1000)
    mend()
    assert wait_until(lambda: server.got == len(payload), 30)
    assert server.digest.digest() == hashlib.sha256(payload).digest()
    mend = hold(two, how)
    client.end()  # nobody hears of it while the wire is cut
    assert not server.closed.wait(0.3)
    mend()
    assert server.closed.wait(20)


def test_restarted_process_serves_the_same_addresses(two: Two, tmp_path: Path) -> None:
    two.join()
    before = two.driver.path("pgm-a", "pgm-b")
    published = two.driver.publish("pgm-b")
    assert two.driver.publish("pgm-b") == published
    assert delivered(two, b"x" * 1000) == b"x" * 1000
    two.driver.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((before.hostaddr, before.port), 5)

    again = RelayDriver("another name of the installation", tmp_path / "run")
    try:
        rebuilt = Two(again)
        assert (rebuilt.at_a.listen, rebuilt.at_b.listen) == (two.at_a.listen, two.at_b.listen)
        rebuilt.join()
        # Before anybody asks for it: a standby only knows the address from before.
        socket.create_connection((before.hostaddr, before.port), 5).close()
        socket.create_connection(published, 5).close()
        assert again.path("pgm-a", "pgm-b").hostaddr == before.hostaddr
        assert again.publish("pgm-b") == published
        assert again.meter("line-1") == Meter(1000, 0)
        again.unpublish("pgm-b")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(published, 5)
    finally:
        again.close()


def test_what_is_built_is_observed_and_what_is_not_valid_collected(two: Two) -> None:
    two.join()
    driver: Driver = two.driver
    path = driver.path("pgm-a", "pgm-b")
    seen = driver.observe()
    assert Observed("line", "line-1") in seen
    assert len(seen) == 11
    two.join()
    assert driver.ensure_endpoint(two.b) == two.at_b
    assert (driver.observe(), driver.path("pgm-a", "pgm-b")) == (seen, path)
    assert driver.status() == []

    assert driver.endpoint("pgm-b") == two.at_b
    removed = driver.gc(["vpc-a", "vsw-a", "pgm-a"])
    assert {it.id for it in seen} - {it.id for it in removed} == {"vpc-a", "vsw-a", "pgm-a"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((path.hostaddr, path.port), 5)
    for drop in (driver.drop_line, driver.drop_endpoint, driver.drop_vpc):
        drop("never was")
    asks = (lambda: driver.path("pgm-a", "pgm-b"), lambda: driver.endpoint("pgm-b"),
            lambda: driver.meter("line-1"), lambda: driver.ensure_line(LINE))  # fmt: skip
    for ask in asks:
        with pytest.raises(NetworkFailed) as unknown:
            ask()
        assert unknown.value.id == "network.missing"


def test_any_network_can_become_any_other(tmp_path: Path) -> None:
    """Each is valid; on the way from one to the other rules are broken."""
    one = two_regions()
    one.put(Attachment("at-1h", "tr-1h", "vpc-1h"))
    other = two_regions()
    instances, vpcs = other.instances, other.vpcs
    x, y = instances["pg-1hx"], instances["pg-1hy"]
    instances[x.id] = replace(x, address=y.address)
    instances[y.id] = replace(y, address=x.address)
    vpcs["vpc-2h"] = replace(vpcs["vpc-2h"], cidr=IPv4Network("10.20.0.0/20"))
    # The only thing that stands on a router moves, and the router goes.
    other.cens["cen-3"] = Cen("cen-3", "1")
    other.transit_routers["tr-3h"] = TransitRouter("tr-3h", "cen-3", "hangzhou")
    del other.transit_routers["tr-1h"]
    other.attachments["at-1h"] = Attachment("at-1h", "tr-3h", "vpc-1h")
    assert Topology.from_dict(other.as_dict()) == other
    driver = RelayDriver(f"test-{os.urandom(4).hex()}", tmp_path / "run")
    try:
        for wanted in (one, other, one):
            converge(driver, wanted)
            assert {it.id for it in driver.observe()} == {
                thing.id for thing in wanted.things() if not isinstance(thing, Cen)
            }
            assert converge(driver, wanted) == []
            for id, place in wanted.instances.items():
                found = driver._exchange.at(id, place.address)
                assert found is not None and found.id == id
    finally:
        driver.close()


def test_what_a_restart_remembers_is_collected_too(two: Two, tmp_path: Path) -> None:
    two.join()
    two.driver.path("pgm-a", "pgm-b")
    two.driver.publish("pgm-b")
    two.driver.close()
    again = RelayDriver("x", tmp_path / "run")
    assert again.gc(["pgm-a"]) == []
    left = (tmp_path / "run" / "relay.json").read_text()
    assert "pgm-a" in left and "pgm-b" not in left
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["relay.json"]


def test_a_line_that_cannot_be_counted_is_not_there(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.attach()
    two.driver.path("pgm-a", "pgm-b")
    with monkeypatch.context() as full:
        full.setattr("mmap.mmap", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space"):
            two.join()
    two.attach()  # the connections that are there are led anew
    assert "no line between" in two.driver.probe("pgm-a", two.b.address, two.b.port, 5).words
    two.join()
    assert delivered(two, b"x" * 1000) == b"x" * 1000


def test_two_installations_of_the_same_names_do_not_meet(two: Two, tmp_path: Path) -> None:
    other = RelayDriver(f"test-{os.urandom(4).hex()}", tmp_path / "other")
    try:
        twin = Two(other)
        assert twin.at_b.listen != two.at_b.listen
    finally:
        other.close()


def test_one_loopback_address_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for user in ("ledger", "exchange", "driver"):
        monkeypatch.setattr(f"landbridge.network.relay.{user}.has_block", lambda: False)
    driver = RelayDriver("small", tmp_path)
    try:
        two = Two(driver)
        two.join()
        assert {two.at_a.listen, two.at_b.listen} == {"127.0.0.1"}
        assert two.at_a.port != two.at_b.port
        assert delivered(two, b"hello") == b"hello"
        assert len(driver.capabilities().reasons) == 3
    finally:
        driver.close()


def test_damaged_memory_of_addresses_is_named(tmp_path: Path) -> None:
    (tmp_path / "relay.json").write_text("[{]")
    with pytest.raises(NetworkFailed, match=r"relay\.json") as failed:
        RelayDriver("x", tmp_path)
    assert failed.value.remedy
