"""What the tests of the netns driver share: a network of two accounts, and a look at all of it.

`python netns_lab.py RUN INSTALLATION ROUNDS SEED` builds that network in children that are
killed at random points; see `kill_builders`.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from landbridge.network.converge import converge
from landbridge.network.fabric import Outcome, ProbeAnswer
from landbridge.network.netns import NetnsDriver
from landbridge.network.netns.links import Links, links_inside
from landbridge.network.netns.names import Kind, Names
from landbridge.network.netns.spaces import inside
from landbridge.network.things import (
    Attachment,
    Cen,
    Grant,
    Instance,
    Line,
    TransitRouter,
    Vpc,
    Vswitch,
)
from landbridge.network.topology import Topology

A, B = IPv4Address("10.10.1.5"), IPv4Address("10.20.1.5")
PORT = 5432
MBIT = 1_000_000


def two_accounts(rate: int | None = 100 * MBIT) -> Topology:
    """VPCs of two accounts in two regions with an instance each, joined by a line."""
    topology = Topology()
    for thing in (
        Vpc("vpc-a", "1001", "cn-beijing", IPv4Network("10.10.0.0/16")),
        Vpc("vpc-b", "1002", "cn-hangzhou", IPv4Network("10.20.0.0/16")),
        Vswitch("vsw-a", "vpc-a", "zone-1", IPv4Network("10.10.1.0/24")),
        Vswitch("vsw-b", "vpc-b", "zone-1", IPv4Network("10.20.1.0/24")),
        Instance("pgm-a", "vsw-a", A),
        Instance("pgm-b", "vsw-b", B),
        Cen("cen-1", "1001"),
        Grant("vpc-b", "cen-1"),
        TransitRouter("tr-a", "cen-1", "cn-beijing"),
        TransitRouter("tr-b", "cen-1", "cn-hangzhou"),
        Attachment("att-a", "tr-a", "vpc-a"),
        Attachment("att-b", "tr-b", "vpc-b"),
        Line("line-ab", "tr-a", "tr-b", rate),
    ):
        topology.put(thing)
    return topology


class Lab:
    """A driver, the network that is wanted, and sockets at the places of its instances."""

    def __init__(self, run: Path, installation: str, topology: Topology, **options: Any) -> None:
        self.run = run
        self.driver = NetnsDriver(installation, run, **options)
        self.topology = topology
        self._names = Names(installation)
        self._open: list[socket.socket] = []

    def build(self) -> None:
        converge(self.driver, self.topology)

    def listen(self, instance: str) -> socket.socket:
        """A listening socket where an instance's server would listen."""
        path = self.driver.path(instance, instance)
        space = self.driver.namespace(instance)
        listener = inside(space, lambda: socket.create_server((path.hostaddr, path.port)))
        listener.settimeout(20)
        self._open.append(listener)
        return listener

    def connect(self, client: str, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection from the place of `client`; OSError if no packet passes."""
        near = inside(self.driver.namespace(client), socket.socket)
        self._open.append(near)
        near.settimeout(20)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
        self._open.append(far)
        far.settimeout(20)
        return near, far

    def probe(self, client: str, address: IPv4Address, timeout: float = 0.5) -> ProbeAnswer:
        return self.driver.probe(client, address, PORT, timeout)

    def assert_passes(self) -> None:
        """From b to a, and a sees b's private address."""
        with self.listen("pgm-a") as listener:
            near, far = self.connect("pgm-b", listener)
            assert far.getpeername()[0] == str(B)
            near.close()
            far.close()

    def assert_cut(self) -> None:
        """Neither reaches the other; which of the kernel's answers comes is not fixed."""
        for client, address in (("pgm-a", B), ("pgm-b", A)):
            outcome = self.probe(client, address).outcome
            assert outcome in (Outcome.UNREACHABLE, Outcome.TIMEOUT), outcome

    def space(self, kind: str, id: str) -> Path:
        """The file of a namespace."""
        return self.run / self._names.file(Kind(kind), id)

    def devices(self, kind: str, id: str) -> dict[str, Any]:
        return links_inside(self.space(kind, id), Links.devices)

    def device(self, kind: str, id: str, letter: str) -> str:
        """Name of the first device of a role in a namespace."""
        return next(n for n in self.devices(kind, id) if len(n) == 13 and n[0] == letter)

    def picture(self) -> dict[str, Any]:
        """All that the kernel knows of it, with the numbers that change when a thing is remade."""
        return {
            path.name: (path.stat().st_ino, links_inside(path, _all_of))
            for path in sorted(self.run.glob(f"{self._names.prefix}*"))
        }

    def remove(self) -> None:
        for sock in self._open:
            sock.close()
        self.driver.gc([])
        assert list(self.run.glob(f"{self._names.prefix}*")) == []


def _all_of(links: Links) -> Any:
    netlink = links.netlink
    shapes = [
        (q["index"], q["handle"], str(q.get_attr("TCA_OPTIONS"))) for q in netlink.get_qdiscs()
    ]
    return links.devices(), links.routes(), shapes


def kill_builders(run: Path, installation: str, rounds: int, seed: int) -> None:
    """So many times: kill a child that builds (or rebuilds, or removes) at a random point.

    The children go on from what the ones before them left; after every third kill, and at
    the end, one `converge` has to make it whole.
    """
    chance = random.Random(seed)
    lab = Lab(run, installation, two_accounts())
    try:
        for number in range(1, rounds + 1):
            child = os.fork()
            if child == 0:
                _work_until_killed(lab, chance.random() < 0.5)
            time.sleep(chance.uniform(0, 0.3))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if number % 3 == 0 or number == rounds:
                lab.build()
                lab.assert_passes()
                assert len(lab.driver.observe()) == 11
                if number % 2:
                    lab.driver.gc([])
    finally:
        lab.remove()


def _work_until_killed(lab: Lab, remove_first: bool) -> None:
    """Never returns; ends by itself only when its parent is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        if remove_first:
            lab.driver.gc([])
        remove_first = True
        lab.build()
    os._exit(0)


if __name__ == "__main__":
    kill_builders(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
