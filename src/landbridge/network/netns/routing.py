"""Which routes a router needs, from what is there: its devices and what their labels say.

A VPC sends what is not its own to its transit router; the transit router knows every block
that may be reached from it, its own attachments' and those at the other end of its lines,
and no other. With strict reverse path this stops forged source addresses too.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from .links import Device, Links, links_inside
from .names import Kind, Label, Names
from .routes import ANYWHERE, Route
from .spaces import Spaces, missing

#: Both ends of an attachment or a line have an address of their own, which nobody routes.
LINK_LOCAL = IPv4Network("169.254.0.0/16")


class Routing:
    """Keeps the routes of VPCs and transit routers of one installation."""

    def __init__(self, names: Names, spaces: Spaces) -> None:
        self._names = names
        self._spaces = spaces

    def labelled(self, links: Links, kind: Kind) -> Iterator[tuple[Device, Label]]:
        """Devices of a kind that carry packets: up and addressed; ordered by name."""
        for _, device in sorted(links.devices().items()):
            label = self._names.label(device.alias)
            if label is not None and label.kind is kind and device.up and device.address:
                yield device, label

    def block(self, links: Links) -> IPv4Network:
        """The block of the VPC whose namespace this is; NetworkFailed if it is half made."""
        cidr = self._block(links)
        if cidr is None:
            raise missing("the VPC", "of this namespace")
        return cidr

    def _block(self, links: Links) -> IPv4Network | None:
        label = self._names.label(links.device("lo").alias)
        return None if label is None else IPv4Network(label.facts[0])

    def route_vpc(self, links: Links) -> None:
        """Inside a VPC: to the transit router if there is an attachment, else nowhere.

        The router answers with its gateway address: one of the link to the transit router is
        routed nowhere, so the other side would drop what comes from it (measured).
        """
        gateway = next((_ip(d) for d, _ in self.labelled(links, Kind.VSWITCH)), None)
        cidr = self._block(links)
        wanted = {Route.nowhere()} | ({Route.nowhere(cidr)} if cidr is not None else set())
        for device, _ in self.labelled(links, Kind.ATTACHMENT):
            wanted.add(Route(ANYWHERE, other_end(device), device.index, gateway))
        links.route(wanted)

    def route_router(self, id: str) -> None:
        """A transit router: to each block behind it, everything else nowhere."""
        path = self._spaces.need(Kind.TRANSIT_ROUTER, id)
        beyond = {peer: self._blocks_at(peer) for peer in self.neighbours(id)}

        def route(links: Links) -> None:
            wanted = {Route.nowhere()}
            for device, label in self.labelled(links, Kind.ATTACHMENT):
                cidr = IPv4Network(label.facts[-1])
                wanted.add(Route(cidr, other_end(device), device.index))
            for device, label in self.labelled(links, Kind.LINE):
                for cidr in beyond.get(label.facts[-1], ()):
                    wanted.add(Route(cidr, other_end(device), device.index))
            links.route(wanted)

        links_inside(path, route)

    def route_around(self, id: str) -> None:
        """A transit router and those that its lines lead to."""
        for router in (id, *self.neighbours(id)):
            self.route_router(router)

    def neighbours(self, id: str) -> list[str]:
        """The transit routers at the other ends of a transit router's lines."""
        path = self._spaces.need(Kind.TRANSIT_ROUTER, id)
        return links_inside(
            path, lambda links: [label.facts[-1] for _, label in self.labelled(links, Kind.LINE)]
        )

    def _blocks_at(self, id: str) -> list[IPv4Network]:
        if not self._spaces.has(Kind.TRANSIT_ROUTER, id):
            return []
        return links_inside(
            self._spaces.path(Kind.TRANSIT_ROUTER, id),
            lambda links: [
                IPv4Network(label.facts[-1]) for _, label in self.labelled(links, Kind.ATTACHMENT)
            ],
        )


def other_end(device: Device) -> IPv4Address:
    """The address at the other end of a link with a /31."""
    assert device.address is not None
    first, second = device.address.network
    return second if device.address.ip == first else first


def _ip(device: Device) -> IPv4Address:
    assert device.address is not None
    return device.address.ip
