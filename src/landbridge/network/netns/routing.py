"""Which routes a router needs, from what is there: its devices and what their labels say.

A VPC sends what is not its own to its transit router; the transit router knows every block
that may be reached from it, its own attachments' and those at the other end of its lines,
and no other. With strict reverse path this stops forged source addresses too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network

from .links import Device, Links, links_inside
from .names import Kind, Label, Names
from .routes import ANYWHERE, Route
from .spaces import Spaces, missing

#: Both ends of an attachment or a line have an address of their own, which nobody routes.
LINK_LOCAL = IPv4Network("169.254.0.0/16")

Looked = list[tuple[Device, Label]]


class Routing:
    """Keeps the routes of VPCs and transit routers of one installation."""

    def __init__(self, names: Names, spaces: Spaces) -> None:
        self._names = names
        self._spaces = spaces

    def labelled(self, links: Links, *kinds: Kind) -> Iterator[tuple[Device, Label]]:
        """Devices of these kinds that carry packets: up and addressed; ordered by name."""
        for _, device in sorted(links.devices().items()):
            label = self._names.label(device.alias)
            if label is not None and label.kind in kinds and device.up and device.address:
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

    def route_routers(self, *ids: str) -> None:
        """Transit routers: to each block behind them, everything else nowhere."""
        self._route(ids, cache(self._look))

    def route_around(self, id: str) -> None:
        """A transit router and those that its lines lead to."""
        look = cache(self._look)
        self._route((id, *_peers(look(id))), look)

    def neighbours(self, id: str) -> list[str]:
        """The transit routers at the other ends of a transit router's lines."""
        return _peers(self._look(id))

    def _route(self, ids: Iterable[str], look: Callable[[str], Looked]) -> None:
        for id in ids:
            path = self._spaces.need(Kind.TRANSIT_ROUTER, id)
            wanted = {Route.nowhere()}
            for device, label in look(id):
                behind = [label] if label.kind is Kind.ATTACHMENT else _attached(look, label)
                wanted |= {
                    Route(IPv4Network(at.facts[-1]), other_end(device), device.index)
                    for at in behind
                }
            links_inside(path, partial(Links.route, wanted=wanted))

    def _look(self, id: str) -> Looked:
        """The attachments and lines of a transit router; none where it is not there."""
        if not self._spaces.has(Kind.TRANSIT_ROUTER, id):
            return []
        return links_inside(
            self._spaces.path(Kind.TRANSIT_ROUTER, id),
            lambda links: [*self.labelled(links, Kind.ATTACHMENT, Kind.LINE)],
        )


def _peers(router: Looked) -> list[str]:
    return [label.facts[0] for _, label in router if label.kind is Kind.LINE]


def _attached(look: Callable[[str], Looked], line: Label) -> list[Label]:
    """What is attached at the other end of a line."""
    return [label for _, label in look(line.facts[0]) if label.kind is Kind.ATTACHMENT]


def other_end(device: Device) -> IPv4Address:
    """The address at the other end of a link with a /31."""
    assert device.address is not None
    first, second = device.address.network
    return second if device.address.ip == first else first


def _ip(device: Device) -> IPv4Address:
    assert device.address is not None
    return device.address.ip
