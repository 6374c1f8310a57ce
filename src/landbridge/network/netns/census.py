"""What of ours is really there, and the removal of what nobody wants."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

from ..fabric import Observed
from .lines import keeps_rate
from .links import Links, links_inside
from .names import Kind, Names, Role
from .routing import Routing
from .spaces import Space, Spaces

#: Of a link's two devices the one that is counted.
_COUNTED = {Role.VSWITCH, Role.ROUTER_SIDE, Role.LINE_A}


@dataclass(frozen=True)
class _Part:
    """A device of ours in a router's namespace."""

    space: Space
    name: str
    role: Role
    thing: Observed
    works: bool
    """Whether it carries packets, and on a line no more than it may."""


class Census:
    """Looks at the namespaces of one installation and at nothing else."""

    def __init__(self, names: Names, spaces: Spaces, routing: Routing) -> None:
        self._names = names
        self._spaces = spaces
        self._routing = routing

    def observe(self) -> list[Observed]:
        """A link is there when it works at both ends."""
        spaces = [Observed(s.kind.value, s.id) for s in self._spaces.all()]
        parts = list(self._parts())
        broken = {part.thing for part in parts if not part.works}
        counted = (part.thing for part in parts if part.role in _COUNTED)
        return spaces + [thing for thing in counted if thing not in broken]

    def gc(self, valid: Collection[str]) -> list[Observed]:
        """Remove what is not in `valid`, and whatever no valid id can account for."""
        removed = []
        for space in self._spaces.all():
            if space.id not in valid:
                links_inside(space.path, Links.clear)
                self._spaces.remove(space.kind, space.id)
                removed.append(Observed(space.kind.value, space.id))
        self._spaces.sweep()
        kept = {self._names.device(role, id) for role in Role for id in valid}
        for part in list(self._parts()):
            if part.name not in kept:
                links_inside(part.space.path, partial(Links.delete, name=part.name))
                removed.append(part.thing)
        self._routing.route_routers(*(it.id for it in self._spaces.all(Kind.TRANSIT_ROUTER)))
        for space in self._spaces.all(Kind.VPC):
            links_inside(space.path, self._routing.route_vpc)
        return list(dict.fromkeys(removed))

    def _parts(self) -> Iterator[_Part]:
        for space in self._spaces.all(Kind.VPC, Kind.TRANSIT_ROUTER):
            yield from links_inside(space.path, lambda links, s=space: self._parts_here(s, links))  # type: ignore[misc]

    def _parts_here(self, space: Space, links: Links) -> list[_Part]:
        parts = []
        for name, device in links.devices().items():
            if (role := self._names.role(name)) is not None:
                label = self._names.label(device.alias)
                # A half-made device has no label yet.
                id = label.id if label is not None else name
                works = device.up and (
                    role.kind is not Kind.LINE or keeps_rate(links, device.index, label)
                )
                parts.append(_Part(space, name, role, Observed(role.kind.value, id), works))
        return parts
