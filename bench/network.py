"""Throughput and latency of each network driver against plain loopback, turn and turn about.

    bench/network.py [--rounds N] [--line-rounds N] [--seconds S] [--lines 10,100,1000] [--quick]

Two instances in VPCs of two accounts. First both hang on one transit router, so that nothing
is shaped: raw TCP from the server's place to the client's, pg_basebackup (tar, no WAL), and
the time to connect and to ask `SELECT 1`. Then they lie in two regions, joined by a line of
each bandwidth: which share of it is payload. Loopback is the relay's server, asked at its own
address. The first round of what is not shaped does not count. Drivers that this machine forbids are
named and left out; everything is removed at the end.
"""

from __future__ import annotations

import sys

# This folder first on the path would hide the library's own `copy` behind copy.py here.
sys.path.pop(0)

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(1, str(Path(__file__).parent.parent))

import pytest
from bench.machine import machine

from conftest import pytest_configure
from fix_network import Mode, Net, a_network, plain_python, two_regions
from landbridge.network.converge import converge
from landbridge.network.fabric import Endpoint
from landbridge.network.things import Attachment, Grant, Line
from landbridge.network.topology import Topology
from landbridge.postgres.cluster import Cluster

MBIT = 1_000_000
LOOPBACK = "loopback"
#: The PostgreSQL server and the raw one, and their client: near by, or beyond the line.
SERVER, RAW, NEAR, FAR = "pg-1hx", "pg-1hy", "pg-2h", "pg-2b"
#: Bytes that are over before a flow is timed: the checkpoint, and a line's burst.
_LEAD = 500_000

_SENDER = """
import socket, sys, threading
def send(client):
    try:
        while True:
            client.sendall(block)
    except OSError:
        client.close()
block = bytes(1 << 20)
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    threading.Thread(target=send, args=(listener.accept()[0],), daemon=True).start()
"""
_RECEIVER = """
import socket, sys, time
host, port, lead, seconds = sys.argv[1], *map(float, sys.argv[2:])
sock, room = socket.create_connection((host, int(port))), bytearray(1 << 20)
while lead > 0:
    lead -= sock.recv_into(room)
began, size = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    size += sock.recv_into(room)
print(size * 8 / (time.perf_counter() - began))
"""
#: A session in PostgreSQL's protocol and nothing else: "trust", one question again and again.
_ASKER = """
import json, socket, struct, sys, time
def ready(sock):
    data = sock.recv(65536)
    while not data.endswith(b"Z\\0\\0\\0\\5I"):
        data += sock.recv(65536)
def session():
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    words = b"\\0\\3\\0\\0user\\0pgsql\\0database\\0postgres\\0\\0"
    sock.sendall(struct.pack("!I", 4 + len(words)) + words)
    ready(sock)
    return sock
def ask(sock):
    sock.sendall(b"Q\\0\\0\\0\\rSELECT 1\\0")
    ready(sock)
def timed(count, work):
    found = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found
sock = session()
timed(50, lambda: ask(sock))
print(json.dumps([timed(100, lambda: session().close()), timed(2000, lambda: ask(sock))]))
"""


@dataclass(frozen=True)
class Way:
    """How a contestant's client gets to its two servers; without `net` it runs right here."""

    name: str
    net: Net | None
    cluster: Cluster
    server: tuple[str, int]
    raw: tuple[str, int]
    client: str = NEAR

    def raw_tcp(self, seconds: float) -> float:
        """bit/s of payload."""
        host, port = self.raw
        return float(self._told(_RECEIVER, host, port, _LEAD, seconds))

    def basebackup(self, seconds: float) -> float:
        """bit/s of tar, over the whole copy or so many seconds of it."""
        host, port = self.server
        command = [
            self.cluster.distribution.program("pg_basebackup"), "-h", host, "-p", port, "-U",
            "pgsql", "-D", "-", "-Ft", "-X", "none", "--checkpoint=fast", "--no-manifest",
        ]  # fmt: skip
        child = self._start(command)
        assert child.stdout is not None
        child.stdout.read(_LEAD)
        began, size = time.perf_counter(), 0
        while (piece := child.stdout.read1(1 << 20)) and time.perf_counter() - began < seconds:
            size += len(piece)
        took = time.perf_counter() - began
        child.kill()
        child.communicate()
        return size * 8 / took

    def latency(self) -> tuple[list[float], list[float]]:
        """Seconds of each connection, and of each question on an open one."""
        connects, questions = json.loads(self._told(_ASKER, *self.server))
        return connects, questions

    def _told(self, script: str, *arguments: object) -> str:
        child = self._start([plain_python(), "-I", "-S", "-c", script, *arguments])
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, f"{self.name}: {arguments}"
        return told.decode()

    def _start(self, command: Sequence[object]) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        if self.net is not None:
            return self.net.popen(self.client, *command, **quiet)
        return subprocess.Popen([str(word) for word in command], **quiet)


class Site:
    """One driver's network with its two servers."""

    def __init__(self, net: Net, megabytes: int) -> None:
        self.net = net
        self.topology = attached()
        converge(net.fabric, self.topology)
        self.cluster = net.postgres(self.topology, SERVER)
        lines = [f"host {what} all 0.0.0.0/0 trust" for what in ("all", "replication")]
        self.cluster.write_hba(lines)
        self.cluster.reload()
        with self.cluster.connect() as conn:
            conn.execute(
                "CREATE TABLE filler AS SELECT repeat(md5(i::text), 8)"
                f" FROM generate_series(1, {megabytes * 3400}) i"
            )
        raw = self.endpoint(RAW)
        command = [plain_python(), "-I", "-S", "-c", _SENDER, raw.listen, raw.port]
        sender = net.popen(RAW, *command, stdout=subprocess.PIPE)
        assert sender.stdout is not None and sender.stdout.readline() == b"ready\n"

    def endpoint(self, instance: str) -> Endpoint:
        return self.net.fabric.ensure_endpoint(self.topology.instances[instance])

    def way(self, client: str = NEAR) -> Way:
        """From a client's place."""
        server, raw = (self.net.fabric.path(client, there) for there in (SERVER, RAW))
        return Way(
            self.net.mode.value, self.net, self.cluster, (server.hostaddr, server.port),
            (raw.hostaddr, raw.port), client,
        )  # fmt: skip

    def directly(self) -> Way:
        """Past the relay: plain loopback."""
        server, raw = (self.endpoint(there) for there in (SERVER, RAW))
        return Way(
            LOOPBACK, None, self.cluster, (server.listen, server.port), (raw.listen, raw.port)
        )

    def set_line(self, mbit: int) -> None:
        self.net.fabric.ensure_line(Line("line-1", "tr-1h", "tr-1b", mbit * MBIT))


def attached() -> Topology:
    """The servers and the near client in one region, the far one beyond a line."""
    topology = two_regions()
    for name in ("1h", "2h", "2b"):
        if name != "1h":
            topology.put(Grant(f"vpc-{name}", "cen-1"))
        topology.put(Attachment(f"at-{name}", f"tr-1{name[1]}", f"vpc-{name}"))
    topology.put(Line("line-1", "tr-1h", "tr-1b", 100 * MBIT))
    return topology


@dataclass
class Series:
    """What one way was found to do; one entry for each round, latencies all together."""

    raw: list[float] = field(default_factory=list)
    basebackup: list[float] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    questions: list[float] = field(default_factory=list)


def compare(ways: list[Way], rounds: int, seconds: float) -> dict[str, Series]:
    """Rounds of everything, each way once in each."""
    found = {way.name: Series() for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            raw, basebackup = way.raw_tcp(seconds), way.basebackup(60)
            connects, questions = way.latency()
            say(f"round {number}: {way.name} {raw / 1e9:.1f} Gbit/s, {basebackup / 1e9:.2f}")
            if number:
                series = found[way.name]
                series.raw.append(raw)
                series.basebackup.append(basebackup)
                series.connects += connects
                series.questions += questions
    return found


def show(found: dict[str, Series]) -> None:
    """Medians, and the ratio to loopback of each round."""
    plain = found[LOOPBACK]
    print(f"\n{'nothing shaped':16}{'raw Gbit/s':>14}{'ratio':>7}{'basebackup':>12}{'ratio':>7}"
          f"{'connect ms p50/p99':>21}{'SELECT 1 us p50/p99':>22}")  # fmt: skip
    for name, series in found.items():
        connect = "/".join(f"{1e3 * x:.2f}" for x in _percentiles(series.connects))
        question = "/".join(f"{1e6 * x:.0f}" for x in _percentiles(series.questions))
        print(f"{name:16}{statistics.median(series.raw) / 1e9:>14.1f}"
              f"{_ratio(series.raw, plain.raw):>7.2f}"
              f"{statistics.median(series.basebackup) / 1e9:>12.2f}"
              f"{_ratio(series.basebackup, plain.basebackup):>7.2f}"
              f"{connect:>21}{question:>22}")  # fmt: skip


def _percentiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


def _ratio(series: list[float], plain: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(series, plain, strict=True))


def shares(sites: list[Site], mbit: int, rounds: int, seconds: float) -> None:
    """Payload's share of a line's bandwidth, each driver once in each round."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for number in range(rounds):
        for site in sites:
            site.set_line(mbit)
            way = site.way(FAR)
            pair = (way.raw_tcp(seconds), way.basebackup(seconds))
            say(f"{mbit} Mbit/s, round {number}: {way.name} {pair[0] / MBIT:.1f}, "
                f"{pair[1] / MBIT:.1f}")  # fmt: skip
            for values, value in zip(found.setdefault(way.name, ([], [])), pair, strict=True):
                values.append(value)
    for name, both in found.items():
        raw, basebackup = (f"{statistics.median(x) / (mbit * MBIT):.1%}" for x in both)
        print(f"{mbit:>5} Mbit/s  {name:16}{raw:>12}{basebackup:>14}")


def say(progress: str) -> None:
    print(f"  {progress}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--line-rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each shaped flow")
    parser.add_argument("--lines", default="10,100,1000", help="Mbit/s, separated by commas")
    parser.add_argument("--megabytes", type=int, default=600, help="of data in each server")
    parser.add_argument("--quick", action="store_true", help="two rounds of each, short ones")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.line_rounds, chosen.seconds, chosen.megabytes = 2, 1, 2.0, 150
    pytest_configure(None)  # type: ignore[arg-type]
    print(f"{machine()}, {chosen.megabytes} MB in each server")
    with ExitStack() as networks:
        sites = []
        for mode in Mode:
            try:
                net = networks.enter_context(a_network(mode))
            except pytest.skip.Exception as reason:
                print(f"left out: {mode.value}, {reason}")
                continue
            sites.append(Site(net, chosen.megabytes))
        relay = next(site for site in sites if site.net.mode is Mode.RELAY)
        ways = [relay.directly(), *(site.way() for site in sites)]
        show(compare(ways, chosen.rounds, 1.0))
        print(f"\n{'payload of a line of':30}{'raw':>12}{'basebackup':>14}")
        for mbit in (int(x) for x in chosen.lines.split(",") if x):
            shares(sites, mbit, chosen.line_rounds, chosen.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
