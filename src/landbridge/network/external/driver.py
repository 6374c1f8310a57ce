"""`ExternalDriver`: the network is the user's - VPN, peering, leased line, addresses of its own.

Nothing is built. VPCs, routers, attachments and lines are remembered as they are ordered, so
that what nobody attached is not migrated from; but no packet is kept out. An instance's place
is this host: its address must be one of this host's. A line carries whatever the way gives;
only a copy keeps to its bandwidth (`--max-rate`), and `measure` finds what the way is worth.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any, NoReturn

from ...errors import NetworkFailed, NetworkRefused
from ..fabric import (
    Bandwidth,
    Capabilities,
    Endpoint,
    Isolation,
    Meter,
    Observed,
    Outcome,
    Path,
    ProbeAnswer,
)
from ..forward import Forwarder
from ..pgwire import probe
from ..things import Attachment, Instance, Line, TransitRouter, Vpc, Vswitch

_KINDS: dict[type[Any], str] = {
    Vpc: "vpc", Vswitch: "vswitch", Instance: "endpoint", TransitRouter: "transit_router",
    Attachment: "attachment", Line: "line",
}  # fmt: skip
#: Seconds for a server of this host to answer.
_PATIENCE = 0.5
#: "May we speak TLS?": a server answers before it asks who we are, and logs nothing.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


@dataclass(frozen=True)
class Seen:
    """What was found the last time that the servers of some VPCs were tried from this host."""

    at: datetime
    answered: int
    servers: int


class ExternalDriver:
    """A `Fabric` of this process, for any number of threads; it knows what it was told since."""

    def __init__(self) -> None:
        self._things: dict[str, Any] = {}
        self._published: dict[str, Forwarder] = {}
        self._seen: dict[str, Seen] = {}
        self._lock = threading.RLock()

    def capabilities(self) -> Capabilities:
        return Capabilities(
            driver="external",
            isolation=Isolation.NONE,
            bandwidth=Bandwidth.NONE,
            latency=False,
            encrypted=False,
            real_private_ip=False,
            reasons=(
                "The network belongs to somebody else: nothing is built, only measured.",
                "Encryption is the servers' own TLS; `measure` says whether a login used it.",
                "A server sees the address that the network gives us, behind NAT not our own.",
            ),
        )

    def status(self) -> list[str]:
        """Addresses of instances that this host has no longer."""
        return [
            f"{it.address} of {it.id} is no address of this host"
            for it in self._every(Instance)
            if not has_address(it.address)
        ]

    def ensure_vpc(self, vpc: Vpc) -> None:
        self._keep(vpc)

    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        self._keep(vswitch)

    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        """NetworkRefused (network.not_here) for an address that is none of this host's."""
        if not has_address(instance.address):
            raise NetworkRefused(
                f"{instance.address} is no address of this host",
                id="network.not_here",
                remedy="Give the address to this host, or order the instance at one that it has.",
            )
        self._keep(instance)
        return self.endpoint(instance.id)

    def ensure_transit_router(self, router: TransitRouter) -> None:
        self._keep(router)

    def ensure_attachment(self, attachment: Attachment) -> None:
        """Also tries the servers of its VPC, for `seen`."""
        self._keep(attachment)
        places = [it for it in self._every(Instance) if self._vpc(it) == attachment.vpc]
        answered = sum(_answers(it) for it in places)
        with self._lock:
            self._seen[attachment.id] = Seen(datetime.now(UTC), answered, len(places))

    def seen(self, id: str) -> Seen | None:
        """What was found of an attachment, or of those at both ends of a line."""
        with self._lock:
            thing = self._things.get(id)
            ends = (thing.a, thing.b) if isinstance(thing, Line) else ()
            ids = [a.id for a in self._every(Attachment) if a.id == id or a.transit_router in ends]
            found = [self._seen[id] for id in ids if id in self._seen]
        if not found:
            return None
        return Seen(
            min(it.at for it in found),
            sum(it.answered for it in found),
            sum(it.servers for it in found),
        )

    def ensure_line(self, line: Line) -> None:
        self._keep(line)

    def drop_vpc(self, id: str) -> None:
        self._forget(id)

    def drop_vswitch(self, id: str) -> None:
        self._forget(id)

    def drop_endpoint(self, id: str) -> None:
        self._forget(id)

    def drop_transit_router(self, id: str) -> None:
        self._forget(id)

    def drop_attachment(self, id: str) -> None:
        self._forget(id)

    def drop_line(self, id: str) -> None:
        self._forget(id)

    def endpoint(self, instance: str) -> Endpoint:
        place = self._instance(instance)
        # The kernel gives a connection to an address of its own that same address to come from.
        own = (f"{place.address}/32",)
        return Endpoint(str(place.address), place.port, decides_whitelist=False, clients=own)

    def path(self, client: str, server: str) -> Path:
        place = self._instance(server)
        return Path(str(place.address), str(place.address), place.port)

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        """From this host; another instance only over what is attached and joined."""
        server = next((it for it in self._every(Instance) if it.address == address), None)
        if server is not None and client and not self._are_joined(client, server.id):
            words = f"nothing that is attached leads from {client} to {address}"
            return ProbeAnswer(Outcome.UNREACHABLE, 0.0, words)
        return probe(
            lambda seconds: socket.create_connection((str(address), port), seconds), timeout
        )

    def command(
        self, instance: str, command: Sequence[str], account: str = "", *, apart: bool = False
    ) -> list[str]:
        """The command itself: the only place is this host, and its caller switches accounts."""
        if account:
            _refuse(f"a command as {account}")
        return list(command)

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Lasts as long as this process; clients come from the instance's own address."""
        place = self._instance(instance)
        there = (str(place.address), place.port)
        with self._lock:
            if (found := self._published.get(instance)) is None:
                found = Forwarder(host, port, lambda wait: socket.create_connection(there, wait))
                self._published[instance] = found
        return found.address

    def unpublish(self, instance: str) -> None:
        with self._lock:
            if (found := self._published.pop(instance, None)) is not None:
                found.close()

    def meter(self, line: str) -> Meter:
        _refuse(f"a meter for line {line}")

    def observe(self) -> list[Observed]:
        with self._lock:
            return [Observed(_KINDS[type(it)], it.id) for it in self._things.values()]

    def gc(self, valid: Collection[str]) -> list[Observed]:
        gone = [it for it in self.observe() if it.id not in valid]
        for it in gone:
            self._forget(it.id)
        return gone

    def _keep(self, thing: Any) -> None:
        with self._lock:
            self._things[thing.id] = thing

    def _forget(self, id: str) -> None:
        self.unpublish(id)
        with self._lock:
            self._things.pop(id, None)
            self._seen.pop(id, None)

    def _every(self, kind: type[Any]) -> list[Any]:
        with self._lock:
            return [it for it in self._things.values() if type(it) is kind]

    def _instance(self, id: str) -> Instance:
        found = self._things.get(id)
        if not isinstance(found, Instance):
            raise NetworkFailed(f"instance {id} has no place", id="network.missing")
        return found

    def _vpc(self, instance: Instance) -> str:
        """The VPC that an instance lies in. NetworkFailed while we were not told of its vSwitch."""
        found = self._things.get(instance.vswitch)
        if not isinstance(found, Vswitch):
            raise NetworkFailed(f"{instance.id} has no vSwitch yet", id="network.missing")
        return found.vpc

    def _are_joined(self, client: str, server: str) -> bool:
        """Whether two instances share a VPC, or their VPCs a router or the ends of a line."""
        vpcs = [self._vpc(self._instance(id)) for id in (client, server)]
        routers = [
            a.transit_router for vpc in vpcs for a in self._every(Attachment) if a.vpc == vpc
        ]
        ends = set(routers)
        lines = self._every(Line)
        return len(set(vpcs)) == 1 or (
            len(routers) == len(vpcs)
            and (len(ends) == 1 or any({line.a, line.b} == ends for line in lines))
        )


def has_address(address: IPv4Address) -> bool:
    """Whether this host has an address, found out by taking a port of it; nothing is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((str(address), 0))
            trial.connect(trial.getsockname())  # refused where it is a broadcast's
        except OSError:
            return False
    return True


def _answers(place: Instance) -> bool:
    """Whether a PostgreSQL server is there."""
    try:
        with socket.create_connection((str(place.address), place.port), _PATIENCE) as server:
            server.sendall(_SSL_REQUEST)
            return server.recv(1) in (b"S", b"N")
    except OSError:
        return False


def _refuse(what: str) -> NoReturn:
    raise NetworkRefused(
        f"{what} cannot be had: the external network is not ours to build",
        id="network.external",
        remedy="Have it made where the network is managed, or take the driver netns or relay.",
    )
