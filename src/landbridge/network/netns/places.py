"""VPCs, their vSwitches and the places of instances in them."""

from __future__ import annotations

from ipaddress import IPv4Interface

from ..fabric import Endpoint
from ..things import Instance, Vpc, Vswitch
from .links import HOST, ROUTER, Links, links_inside, settle
from .names import INSIDE, Kind, Label, Names, Role
from .pairs import End, ensure_pair, locate
from .routes import ANYWHERE, Route
from .routing import Routing
from .spaces import Spaces, missing


class Places:
    """The VPCs of one installation and what is in them."""

    def __init__(self, names: Names, spaces: Spaces, routing: Routing) -> None:
        self._names = names
        self._spaces = spaces
        self._routing = routing

    def ensure_vpc(self, vpc: Vpc) -> None:
        label = Label(Kind.VPC, vpc.id, (str(vpc.cidr),))

        def build(links: Links) -> None:
            prepare(links, self._names, label)
            self._routing.route_vpc(links)

        links_inside(self._spaces.make(Kind.VPC, vpc.id), build)

    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        bridge = self._names.device(Role.VSWITCH, vswitch.id)
        alias = self._names.alias(Label(Kind.VSWITCH, vswitch.id, (str(vswitch.cidr),)))
        gateway = IPv4Interface((vswitch.gateway, vswitch.cidr.prefixlen))
        home = self._spaces.need(Kind.VPC, vswitch.vpc)
        if not End(home, bridge).is_there:
            # It may lie in another VPC.
            old = locate(self._spaces, Kind.VPC, bridge)
            if old is not None:
                links_inside(old, lambda links: links.delete(bridge))

        def build(links: Links) -> None:
            links.make_bridge(bridge)
            links.configure(bridge, alias=alias, address=gateway)
            self._routing.route_vpc(links)

        links_inside(home, build)

    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        bridge = self._names.device(Role.VSWITCH, instance.vswitch)
        vpc = locate(self._spaces, Kind.VPC, bridge)
        if vpc is None:
            raise missing("vSwitch", instance.vswitch)
        facts = (str(instance.address), str(instance.port), instance.vswitch)
        label = Label(Kind.ENDPOINT, instance.id, facts)
        home = self._spaces.make(Kind.ENDPOINT, instance.id)
        links_inside(home, lambda links: prepare(links, self._names, label))
        port = End(vpc, self._names.device(Role.PORT, instance.id))
        ensure_pair(self._spaces, Kind.VPC, port, End(home, INSIDE))
        gateway = links_inside(vpc, lambda links: self._plug(links, port.name, bridge, label))

        def build(links: Links) -> None:
            address = IPv4Interface((instance.address, gateway.network.prefixlen))
            links.configure(INSIDE, alias=self._names.alias(label), address=address)
            links.route({Route(ANYWHERE, gateway.ip, links.device(INSIDE).index)})

        links_inside(home, build)
        return _endpoint(label)

    def endpoint(self, instance: str) -> Endpoint:
        """As it was ensured last; NetworkFailed (network.missing) if it has no place."""
        home = self._spaces.need(Kind.ENDPOINT, instance)
        label = self._names.label(links_inside(home, lambda links: links.device("lo").alias))
        if label is None or not label.facts:
            raise missing("instance", instance)
        return _endpoint(label)

    def _plug(self, links: Links, port: str, bridge: str, label: Label) -> IPv4Interface:
        """Join an instance's port to its bridge; returns the gateway's address."""
        links.configure(port, alias=self._names.alias(label), master=bridge)
        gateway = links.device(bridge).address
        if gateway is None:
            raise missing("the gateway of vSwitch", label.facts[-1])
        return gateway

    def drop_vswitch(self, id: str) -> None:
        bridge = self._names.device(Role.VSWITCH, id)
        if (vpc := locate(self._spaces, Kind.VPC, bridge)) is not None:

            def unbuild(links: Links) -> None:
                links.delete(bridge)
                self._routing.route_vpc(links)

            links_inside(vpc, unbuild)

    def drop_vpc(self, id: str) -> None:
        """Also from the routes of all transit routers, beyond lines too."""
        self.drop_space(Kind.VPC, id)
        self._routing.route_routers(*(it.id for it in self._spaces.all(Kind.TRANSIT_ROUTER)))

    def drop_space(self, kind: Kind, id: str) -> None:
        """Remove a namespace with its devices, even while processes live on in it."""
        if self._spaces.has(kind, id):
            links_inside(self._spaces.path(kind, id), Links.clear)
        self._spaces.remove(kind, id)


def _endpoint(label: Label) -> Endpoint:
    address, port, _ = label.facts
    return Endpoint(address, int(port), decides_whitelist=False)


def prepare(links: Links, names: Names, label: Label) -> None:
    """What every namespace has: its settings, and the loopback device with the label."""
    settle(HOST if label.kind is Kind.ENDPOINT else ROUTER)
    links.configure("lo", alias=names.alias(label))
