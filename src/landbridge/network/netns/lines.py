"""Lines: shaped links between two transit routers. No packet passes one that is not shaped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from pyroute2.netlink.exceptions import NetlinkError

from ...errors import LandbridgeError
from ..fabric import Meter
from ..things import Line, LineType
from .latency import DelayedPair
from .links import Links, links_inside
from .names import Kind, Label, Names, Role
from .pairs import End, addresses, ensure_pair, locate, remove
from .routing import Routing
from .shaper import Shape, is_shaped, sent, shape
from .spaces import Spaces, missing


class Lines:
    """The lines of one installation."""

    def __init__(
        self,
        names: Names,
        spaces: Spaces,
        routing: Routing,
        latency: Mapping[LineType, float],
    ) -> None:
        """`latency`: seconds one way by type of line; none for the types it lacks."""
        self._names = names
        self._spaces = spaces
        self._routing = routing
        self._latency = latency
        self._delayed: dict[str, DelayedPair] = {}

    def ensure(self, line: Line) -> None:
        """Make a line or change its rate; up only when both ends are shaped and read back.

        Errors as `Fabric`; after any error both ends are down.
        """
        a, b = self._ends(line)
        try:
            wanted = Shape.of(line.rate)
            self._join(line, a, b)
            for end in (a, b):
                links_inside(end.space, partial(shape, name=end.name, wanted=wanted))
            pair = addresses(a, b, line.id)
            for end, address, peer in zip((a, b), pair, (line.b, line.a), strict=True):
                alias = self._names.alias(Label(Kind.LINE, line.id, (peer, str(line.rate))))
                links_inside(
                    end.space,
                    partial(Links.configure, name=end.name, alias=alias, address=address),
                )
        except Exception:
            self._close(a, b)
            raise
        self._routing.route_routers(line.a, line.b)

    def _ends(self, line: Line) -> tuple[End, End]:
        a, b = (self._spaces.need(Kind.TRANSIT_ROUTER, id) for id in (line.a, line.b))
        return End(a, self._name(line.id, Role.LINE_A)), End(b, self._name(line.id, Role.LINE_B))

    def _join(self, line: Line, a: End, b: End) -> None:
        seconds = self._latency.get(line.line_type, 0.0)
        pair = self._delayed.get(line.id)
        if pair is not None and pair.fits(a, b, seconds):
            return
        self._forget(line.id)
        if seconds:
            remove(self._spaces, Kind.TRANSIT_ROUTER, a, b)
            self._delayed[line.id] = DelayedPair(a, b, seconds)
        else:
            ensure_pair(self._spaces, Kind.TRANSIT_ROUTER, a, b)

    def _forget(self, id: str) -> None:
        if (pair := self._delayed.pop(id, None)) is not None:
            pair.close()

    def _close(self, *ends: End) -> None:
        """Set a line down that is not as it shall be; what is not there cannot pass packets."""
        for end in ends:
            with suppress(LandbridgeError, NetlinkError, OSError):
                links_inside(end.space, partial(Links.configure, name=end.name, up=False))

    def meter(self, id: str) -> Meter:
        """NetworkFailed (network.missing) if there is no such line."""
        a, b = (self._sent(id, role) for role in (Role.LINE_A, Role.LINE_B))
        return Meter(a, b)

    def _sent(self, id: str, role: Role) -> int:
        name = self._name(id, role)
        space = locate(self._spaces, Kind.TRANSIT_ROUTER, name)
        if space is None:
            raise missing("line", id)
        return links_inside(space, lambda links: sent(links, name))

    def drop(self, id: str) -> None:
        """Remove a line; both ends go together."""
        self._forget(id)
        name = self._name(id, Role.LINE_A)
        if (space := locate(self._spaces, Kind.TRANSIT_ROUTER, name)) is not None:
            ends = (self._spaces.id(space), *self._routing.neighbours(self._spaces.id(space)))
            links_inside(space, lambda links: links.delete(name))
            self._routing.route_routers(*ends)

    def prune(self) -> None:
        """End the loops of lines that are gone."""
        for id, pair in list(self._delayed.items()):
            if not pair.is_alive:
                self._forget(id)

    def _name(self, id: str, role: Role) -> str:
        return self._names.device(role, id)


def keeps_rate(links: Links, index: int, label: Label | None) -> bool:
    """Whether a line's end is shaped to the rate that its label says."""
    rate = "".join(label.facts[1:]) if label is not None else ""
    return rate.isdecimal() and is_shaped(links, index, Shape.of(int(rate)))
