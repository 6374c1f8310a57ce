"""`ExternalDriver`: the network is the user's - VPN, peering, leased line, public address.

Nothing is built, so nothing can be removed or metered either, and the bandwidth is whatever
the way gives; a copy is held back by its own limit (`--max-rate`) alone. What remains is to
look: `probe` from this host, and `measure` for what the way is worth.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address
from typing import NoReturn

from ...errors import NetworkRefused
from ..fabric import (
    Bandwidth,
    Capabilities,
    Endpoint,
    Isolation,
    Meter,
    Observed,
    Path,
    ProbeAnswer,
)
from ..pgwire import probe
from ..things import Attachment, Instance, Line, TransitRouter, Vpc, Vswitch


class ExternalDriver:
    """A `Fabric` that refuses to build (network.external) and probes from this host."""

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
        return ["the external network is not built from here: no VPC, attachment or line"]

    def ensure_vpc(self, vpc: Vpc) -> None:
        _refuse(f"VPC {vpc.id}")

    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        _refuse(f"vSwitch {vswitch.id}")

    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        _refuse(f"a place for instance {instance.id}")

    def ensure_transit_router(self, router: TransitRouter) -> None:
        _refuse(f"transit router {router.id}")

    def ensure_attachment(self, attachment: Attachment) -> None:
        _refuse(f"attachment {attachment.id}")

    def ensure_line(self, line: Line) -> None:
        _refuse(f"line {line.id}")

    def drop_vpc(self, id: str) -> None: ...
    def drop_vswitch(self, id: str) -> None: ...
    def drop_endpoint(self, id: str) -> None: ...
    def drop_transit_router(self, id: str) -> None: ...
    def drop_attachment(self, id: str) -> None: ...
    def drop_line(self, id: str) -> None: ...

    def endpoint(self, instance: str) -> Endpoint:
        _refuse(f"the place of instance {instance}")

    def path(self, client: str, server: str) -> Path:
        _refuse(f"a path from {client} to {server}")

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        """From this host, whichever instance `client` names."""
        return probe(
            lambda seconds: socket.create_connection((str(address), port), seconds), timeout
        )

    def command(self, instance: str, command: Sequence[str], account: str = "") -> list[str]:
        """The command itself: the only place is this host, and its caller switches accounts."""
        if account:
            _refuse(f"a command as {account}")
        return list(command)

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        _refuse(f"a published address of {instance}")

    def unpublish(self, instance: str) -> None: ...

    def meter(self, line: str) -> Meter:
        _refuse(f"a meter for line {line}")

    def observe(self) -> list[Observed]:
        return []

    def gc(self, valid: Collection[str]) -> list[Observed]:
        return []


def _refuse(what: str) -> NoReturn:
    raise NetworkRefused(
        f"{what} cannot be had: the external network is not ours to build",
        id="network.external",
        remedy="Have it made where the network is managed, or take the driver netns or relay.",
    )
