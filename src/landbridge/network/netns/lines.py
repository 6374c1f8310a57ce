"""Lines: shaped links between two transit routers. No packet passes one that is not shaped."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from ...errors import LandbridgeError, NetworkFailed
from ..fabric import Meter
from ..things import Line
from .links import Links, links_inside
from .names import Kind, Label, Names, Role
from .pairs import End, addresses, ensure_pair, locate
from .routing import Routing
from .shaper import Shape, sent, shape
from .spaces import Spaces


class Lines:
    """The lines of one installation."""

    def __init__(self, names: Names, spaces: Spaces, routing: Routing) -> None:
        self._names = names
        self._spaces = spaces
        self._routing = routing

    def ensure(self, line: Line) -> None:
        """Make a line or change its rate; up only when both ends are shaped and read back.

        Errors as `Fabric`; after any error both ends are down.
        """
        wanted = Shape.of(line.rate)
        a, b = self._ends(line)
        try:
            ensure_pair(self._spaces, Kind.TRANSIT_ROUTER, a, b)
            for end in (a, b):
                links_inside(end.space, partial(shape, name=end.name, wanted=wanted))
            pair = addresses(a, b, line.id)
            for end, address, peer in zip((a, b), pair, (line.b, line.a), strict=True):
                alias = self._names.alias(Label(Kind.LINE, line.id, (peer,)))
                links_inside(
                    end.space,
                    partial(Links.configure, name=end.name, alias=alias, address=address),
                )
        except Exception:
            self._close(a, b)
            raise
        for router in (line.a, line.b):
            self._routing.route_router(router)

    def _ends(self, line: Line) -> tuple[End, End]:
        a, b = (self._spaces.need(Kind.TRANSIT_ROUTER, id) for id in (line.a, line.b))
        return End(a, self._name(line.id, Role.LINE_A)), End(b, self._name(line.id, Role.LINE_B))

    def _close(self, *ends: End) -> None:
        for end in ends:
            with suppress(LandbridgeError):
                links_inside(end.space, partial(Links.configure, name=end.name, up=False))

    def meter(self, id: str) -> Meter:
        """NetworkFailed (network.missing) if there is no such line."""
        a, b = (self._sent(id, role) for role in (Role.LINE_A, Role.LINE_B))
        return Meter(a, b)

    def _sent(self, id: str, role: Role) -> int:
        name = self._name(id, role)
        space = locate(self._spaces, Kind.TRANSIT_ROUTER, name)
        if space is None:
            raise NetworkFailed(f"there is no line {id} on this machine", id="network.missing")
        return links_inside(space, lambda links: sent(links, name))

    def drop(self, id: str) -> None:
        """Remove a line; both ends go together."""
        name = self._name(id, Role.LINE_A)
        if (space := locate(self._spaces, Kind.TRANSIT_ROUTER, name)) is not None:
            ends = (self._spaces.id(space), *self._routing.neighbours(self._spaces.id(space)))
            links_inside(space, lambda links: links.delete(name))
            for router in ends:
                self._routing.route_router(router)

    def _name(self, id: str, role: Role) -> str:
        return self._names.device(role, id)
