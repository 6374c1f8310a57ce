"""VPCs, transit routers and lines as network namespaces of the kernel.

::

    instance ── bridge of its vSwitch ┐             ┌ attachment ── transit router
    instance ── bridge of its vSwitch ┴ VPC router ─┘ (a /31)           │ line: a /31,
                                                                       │ token bucket at both ends
                                                              transit router ── VPC router ── ...

Each of instance, VPC router and transit router is a namespace, pinned by a file in `run`, so
that they outlive this process. The driver needs CAP_NET_ADMIN and CAP_SYS_ADMIN in its user
namespace, nothing else: the same code serves root and an ordinary user's user namespace.
What it must know it reads from the kernel each time; it keeps no memory of its own.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from types import MappingProxyType

from .. import pgwire
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
from ..forward import Forwarder
from ..things import Attachment, Instance, Line, LineType, TransitRouter, Vpc, Vswitch
from .census import Census
from .guard import alone, in_words
from .latency import is_possible
from .lines import Lines
from .names import Kind, Names
from .places import Places
from .routing import Routing
from .spaces import Spaces, inside
from .transit import Transit
from .trial import obstacles


class NetnsDriver:
    """Builds the network in the kernel; see `Driver` for what each verb guarantees."""

    def __init__(
        self,
        installation: str,
        run: FilePath,
        latency: Mapping[LineType, float] = MappingProxyType({}),
    ) -> None:
        """`run`: folder of the namespaces' files. `latency`: seconds one way by type of line.

        A line with a latency stops when this process ends, until it is ensured anew.
        """
        self.lock = threading.RLock()
        names = Names(installation)
        self._spaces = Spaces(names, run)
        routing = Routing(names, self._spaces)
        self._places = Places(names, self._spaces, routing)
        self._transit = Transit(names, self._spaces, routing)
        self._lines = Lines(names, self._spaces, routing, latency)
        self._census = Census(names, self._spaces, routing)
        self._published: dict[str, Forwarder] = {}

    def capabilities(self) -> Capabilities:
        return Capabilities(
            driver="netns",
            isolation=Isolation.KERNEL,
            bandwidth=Bandwidth.KERNEL,
            latency=is_possible(),
            encrypted=False,
            real_private_ip=True,
        )

    def status(self) -> list[str]:
        return obstacles()

    @alone
    def ensure_vpc(self, vpc: Vpc) -> None:
        self._places.ensure_vpc(vpc)

    @alone
    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        self._places.ensure_vswitch(vswitch)

    @alone
    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        return self._places.ensure_endpoint(instance)

    @alone
    def ensure_transit_router(self, router: TransitRouter) -> None:
        self._transit.ensure_router(router)

    @alone
    def ensure_attachment(self, attachment: Attachment) -> None:
        self._transit.ensure_attachment(attachment)

    @alone
    def ensure_line(self, line: Line) -> None:
        self._lines.ensure(line)

    @alone
    def drop_vpc(self, id: str) -> None:
        self._places.drop_vpc(id)

    @alone
    def drop_vswitch(self, id: str) -> None:
        self._places.drop_vswitch(id)

    @alone
    def drop_endpoint(self, id: str) -> None:
        self.unpublish(id)
        self._places.drop_space(Kind.ENDPOINT, id)

    @alone
    def drop_transit_router(self, id: str) -> None:
        self._places.drop_space(Kind.TRANSIT_ROUTER, id)
        self._lines.prune()

    @alone
    def drop_attachment(self, id: str) -> None:
        self._transit.drop_attachment(id)

    @alone
    def drop_line(self, id: str) -> None:
        self._lines.drop(id)

    def endpoint(self, instance: str) -> Endpoint:
        with in_words():
            return self._places.endpoint(instance)

    def path(self, client: str, server: str) -> Path:
        there = self.endpoint(server)
        return Path(host=server, hostaddr=there.listen, port=there.port)

    def namespace(self, instance: str) -> FilePath:
        """The file that pins the instance's namespace; NetworkFailed if it has none."""
        return self._spaces.need(Kind.ENDPOINT, instance)

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        self.namespace(client)
        return pgwire.probe(lambda left: self._dial(client, str(address), port, left), timeout)

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        with self.lock:
            there = self.path(instance, instance)
            self.unpublish(instance)
            self._published[instance] = Forwarder(
                host, port, lambda left: self._dial(instance, there.hostaddr, there.port, left)
            )
            return self._published[instance].address

    def unpublish(self, instance: str) -> None:
        with self.lock:
            if (forwarder := self._published.pop(instance, None)) is not None:
                forwarder.close()

    def _dial(self, instance: str, host: str, port: int, timeout: float) -> socket.socket:
        """Connect from the place of an instance: a socket belongs where it was created."""
        sock = inside(self.namespace(instance), socket.socket)
        try:
            sock.settimeout(timeout)
            sock.connect((host, port))
        except OSError:
            sock.close()
            raise
        return sock

    @alone
    def meter(self, line: str) -> Meter:
        return self._lines.meter(line)

    @alone
    def observe(self) -> list[Observed]:
        return self._census.observe()

    @alone
    def gc(self, valid: Collection[str]) -> list[Observed]:
        removed = self._census.gc(valid)
        for thing in removed:
            self.unpublish(thing.id)
        self._lines.prune()
        return removed
