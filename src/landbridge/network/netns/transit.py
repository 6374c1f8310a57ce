"""Transit routers, and the attachments that join VPCs to them."""

from __future__ import annotations

from ..things import Attachment, TransitRouter
from .links import Links, links_inside
from .names import Kind, Label, Names, Role
from .pairs import End, addresses, ensure_pair, locate
from .places import prepare
from .routing import Routing
from .spaces import Spaces


class Transit:
    """The transit routers of one installation and what is attached to them."""

    def __init__(self, names: Names, spaces: Spaces, routing: Routing) -> None:
        self._names = names
        self._spaces = spaces
        self._routing = routing

    def ensure_router(self, router: TransitRouter) -> None:
        home = self._spaces.make(Kind.TRANSIT_ROUTER, router.id)
        label = Label(Kind.TRANSIT_ROUTER, router.id, (router.cen, router.region))
        links_inside(home, lambda links: prepare(links, self._names, label))
        self._routing.route_routers(router.id)

    def ensure_attachment(self, attachment: Attachment) -> None:
        router = self._spaces.need(Kind.TRANSIT_ROUTER, attachment.transit_router)
        vpc = self._spaces.need(Kind.VPC, attachment.vpc)
        cidr = links_inside(vpc, self._routing.block)
        label = Label(Kind.ATTACHMENT, attachment.id, (attachment.vpc, str(cidr)))
        alias = self._names.alias(label)
        there = End(router, self._names.device(Role.ROUTER_SIDE, attachment.id))
        here = End(vpc, self._names.device(Role.VPC_SIDE, attachment.id))
        ensure_pair(self._spaces, Kind.TRANSIT_ROUTER, there, here)
        theirs, ours = addresses(there, here, attachment.id)
        links_inside(router, lambda links: links.configure(there.name, alias=alias, address=theirs))

        def build(links: Links) -> None:
            links.configure(here.name, alias=alias, address=ours)
            self._routing.route_vpc(links)

        links_inside(vpc, build)
        self._routing.route_around(attachment.transit_router)

    def drop_attachment(self, id: str) -> None:
        """Both ends go together, and with them the routes over them."""
        name = self._names.device(Role.ROUTER_SIDE, id)
        if (home := locate(self._spaces, Kind.TRANSIT_ROUTER, name)) is not None:
            links_inside(home, lambda links: links.delete(name))
            self._routing.route_around(self._spaces.id(home))
