"""Networks for tests: a fabric as root, as an ordinary user and over the relay, and in it servers.

Each lies in a state folder of its own, is marked with a random word, and is taken down with
its processes when the test ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from fix_servers import QUICK
from landbridge import lock
from landbridge.errors import NetworkFailed, ServerProgramsMissing
from landbridge.network.daemon import FabricClient, remove, start
from landbridge.network.daemon.client import ask
from landbridge.network.daemon.layout import Layout
from landbridge.network.fabric import Endpoint, Outcome, ProbeAnswer
from landbridge.network.things import Cen, Instance, TransitRouter, Vpc, Vswitch, address, network
from landbridge.network.topology import Topology
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import Distribution, discover
from landbridge.postgres.osaccount import OsAccount
from landbridge.postgres.process import ProcessId, wait_until

EVERYBODY = (IPv4Network("0.0.0.0/0"),)
#: Neither root nor who runs servers for it; root starts an ordinary user's daemon for it.
ORDINARY = "nobody"
#: What a machine may forbid; everything else that goes wrong is a failure.
FORBIDDEN = ("network.namespaces_refused", "network.kernel", "network.denied", "network.not_linux")


class Mode(Enum):
    """What makes the network."""

    ROOT = "netns-root"
    ROOTLESS = "netns-rootless"
    RELAY = "relay"

    @property
    def driver(self) -> str:
        return "relay" if self is Mode.RELAY else "netns"


class Net:
    """A fabric, its daemon, and the processes that a test started at its instances."""

    def __init__(self, mode: Mode, root: Path) -> None:
        self.mode = mode
        self.state = root / "state"
        self._started: list[subprocess.Popen[bytes]] = []
        self._clusters: list[Cluster] = []
        self.fabric = self.start()

    @property
    def user(self) -> str:
        """The account for the daemon: as root an ordinary user's, for the rootless mode."""
        return ORDINARY if self.mode is Mode.ROOTLESS and os.geteuid() == 0 else ""

    @property
    def servers(self) -> OsAccount:
        """Who runs server programs: the daemon's account, as root whom root hands them to."""
        if not self.user:
            return OsAccount.for_servers()
        entry = pwd.getpwnam(self.user)
        return OsAccount(self.user, entry.pw_uid, entry.pw_gid, switch=True)

    def start(self) -> FabricClient:
        return start(self.state, self.mode.driver, user=self.user)

    def pid(self) -> int:
        """The daemon's process."""
        return int(ask(Layout(self.state).socket, "about"))

    def kill(self) -> None:
        """End the daemon in the hardest way, and wait."""
        process = ProcessId.of(self.pid())
        assert process is not None
        process.send(signal.SIGKILL)
        # The main thread is gone before the others let go of lock and socket.
        assert wait_until(lambda: not lock.is_taken(Layout(self.state).lock), 10)

    def popen(self, instance: str, *command: object, **keywords: object) -> subprocess.Popen[bytes]:
        """Start a program at the place of an instance; it is ended with the test."""
        arguments = [str(word) for word in command]
        account = self.servers.name if self.servers.switch else ""
        line = self.fabric.command(instance, arguments, account)
        child = subprocess.Popen(line, **{"cwd": "/", **keywords})  # type: ignore[call-overload]
        self._started.append(child)
        return child

    def run(self, instance: str, *command: object, **keywords: object) -> str:
        """What a program at the place of an instance prints; fails if it fails."""
        child = self.popen(instance, *command, stdout=subprocess.PIPE, **keywords)
        told, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        return told.decode()

    def postgres(self, topology: Topology, id: str) -> Cluster:
        """A PostgreSQL server at an instance, its cluster_name the instance's id."""
        endpoint = self.fabric.ensure_endpoint(topology.instances[id])
        data = self.state.parent / id
        cluster = Cluster(data, _client_programs(), endpoint.port, account=self.servers)
        cluster.init()
        listen = {"listen_addresses": endpoint.listen, "cluster_name": id}
        cluster.configure({**QUICK, **listen}, hba(topology.instances[id], endpoint))
        log = (self.state.parent / f"{id}.log").open("wb")
        program = cluster.distribution.program("postgres")
        with log:
            self.popen(id, program, "-D", data, stdout=log, stderr=log, start_new_session=True)
        target = topology.instances[id]
        assert wait_until(
            lambda: self.fabric.probe(id, target.address, target.port, 2).outcome is Outcome.OK, 30
        ), (self.state.parent / f"{id}.log").read_text()
        cluster.start()  # It runs: this waits until it accepts connections.
        self._clusters.append(cluster)
        return cluster

    def identify(self, topology: Topology, *instances: str) -> None:
        """At each instance start a server that tells every client who it is and who that is."""
        for id in instances:
            endpoint = self.fabric.ensure_endpoint(topology.instances[id])
            self.popen(id, *identity_server(id, endpoint), start_new_session=True)
        for id in instances:
            assert wait_until(lambda id=id: self.sees_itself(topology, id), 20), id

    def sees_itself(self, topology: Topology, id: str) -> bool:
        """Whether the server of an instance answers at its own place."""
        target = topology.instances[id]
        answer = self.fabric.probe(id, target.address, target.port, 2.0)
        return answer.outcome is Outcome.OK and answer.words.startswith(f"{id} ")

    def probe(self, topology: Topology, client: str, server: str, seconds: float) -> ProbeAnswer:
        target = topology.instances[server]
        return self.fabric.probe(client, target.address, target.port, seconds)

    def end(self) -> None:
        for cluster in self._clusters:
            cluster.stop("immediate")
        for child in self._started:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()
        remove(self.state)


_SERVER = """
import socket, struct, sys, threading

def answer(client, peer):
    client.settimeout(20)
    try:
        while True:
            length, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
            if length > 8:
                client.recv(length - 8, socket.MSG_WAITALL)
            if code >> 16 == 3:
                break
            client.sendall(b"N")
        words = f"{sys.argv[1]} sees {peer}".encode()
        body = b"SFATAL\\0VFATAL\\0C57P03\\0M" + words + b"\\0\\0"
        client.sendall(b"E" + struct.pack("!I", 4 + len(body)) + body)
    except (OSError, struct.error):
        pass
    finally:
        client.close()

listener = socket.create_server((sys.argv[2], int(sys.argv[3])), backlog=64)
while True:
    client, (peer, _) = listener.accept()
    threading.Thread(target=answer, args=(client, peer), daemon=True).start()
"""


def identity_server(id: str, endpoint: Endpoint) -> Sequence[object]:
    """A command: a server that greets as PostgreSQL does while it starts up, by name."""
    return (plain_python(), "-I", "-S", "-c", _SERVER, id, endpoint.listen, endpoint.port)


def hba(instance: Instance, endpoint: Endpoint) -> list[str]:
    """pg_hba lines for the whitelist of an instance, or for the fabric that keeps it."""
    blocks = endpoint.clients if endpoint.decides_whitelist else map(str, instance.whitelist)
    return [f"host all all {block} trust" for block in blocks]


def _client_programs() -> Distribution:
    """Server programs that came with psql."""
    for found in discover():
        with contextlib.suppress(ServerProgramsMissing):
            found.program("psql")
            return found
    pytest.skip("no psql")


def plain_python() -> str:
    """An interpreter that every account of this machine may run."""
    everybody = OsAccount("everybody", 65534, 65534, switch=True)
    for program in (sys.executable, "/usr/bin/python3"):
        if Path(program).exists() and everybody.can_execute(Path(program)):
            return program
    pytest.skip("no Python that other accounts may run")


def two_regions() -> Topology:
    """Two accounts with a VPC in each of two regions, two CENs, a transit router everywhere.

    Account 1 owns cen-1, account 2 owns cen-2. vpc-1n lies inside the block of vpc-1h: the
    two never fit into one CEN. Nothing is attached, granted or joined.
    """
    topology = Topology()
    places = (
        ("1h", "1", "hangzhou", "10.10.0.0/16", ("10.10.1.0/24", 2)),
        ("2h", "2", "hangzhou", "10.20.0.0/16", ("10.20.1.0/24", 1)),
        ("2b", "2", "beijing", "10.30.0.0/16", ("10.30.1.0/24", 1)),
        ("1n", "1", "beijing", "10.10.128.0/17", ("10.10.130.0/24", 1)),
    )
    for name, account, region, block, (subnet, count) in places:
        topology.put(Vpc(f"vpc-{name}", account, region, network(block)))
        vswitch = Vswitch(f"vsw-{name}", f"vpc-{name}", f"{region}-a", network(subnet))
        topology.put(vswitch)
        for number in range(count):
            place = address(str(vswitch.cidr[5 + number]))
            letter = "xy"[number] if count > 1 else ""
            topology.put(Instance(f"pg-{name}{letter}", vswitch.id, place, whitelist=EVERYBODY))
    for number in ("1", "2"):
        topology.put(Cen(f"cen-{number}", number))
        for region in ("hangzhou", "beijing"):
            topology.put(TransitRouter(f"tr-{number}{region[0]}", f"cen-{number}", region))
    return topology


def matrix(net: Net, topology: Topology, forbidden_seconds: float = 0.3) -> dict[str, ProbeAnswer]:
    """Every ordered pair, probed at the same time; "client>server" -> what was seen.

    A pair that may pass gets all the time of the world; only for one that may not is a short
    wait enough.
    """

    def one(pair: tuple[str, str]) -> tuple[str, ProbeAnswer]:
        client, server = pair
        seconds = 20.0 if topology.verdict(client, server).passes else forbidden_seconds
        return f"{client}>{server}", net.probe(topology, client, server, seconds)

    ids = list(topology.instances)
    pairs = [(a, b) for a in ids for b in ids if a != b]
    with ThreadPoolExecutor(len(pairs)) as pool:
        return dict(pool.map(one, pairs))


@contextlib.contextmanager
def a_network(mode: Mode) -> Iterator[Net]:
    """A network of this mode; the test is skipped where the machine forbids it, and says why."""
    if mode is Mode.ROOT and os.geteuid() != 0:
        pytest.skip("not root")
    root = Path(tempfile.mkdtemp(prefix="lb-net-"))
    root.chmod(0o1777)
    try:
        try:
            net = Net(mode, root)
        except NetworkFailed as error:
            if error.id not in FORBIDDEN:
                raise
            pytest.skip(f"{mode.value}: {error}")
        try:
            yield net
        finally:
            net.end()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=list(Mode), ids=lambda mode: mode.value)
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    """A network of every mode that this machine allows."""
    with a_network(request.param) as made:
        yield made


@pytest.fixture
def fabric(net: Net) -> FabricClient:
    return net.fabric
