"""The whole network as it shall be: what is wanted, by id. Pure: no I/O.

The rules come from the procedure that Landbridge follows (VPCs of two accounts, joined by
a Cloud Enterprise Network) and from what kernels do where a rule is missing: an equal or
nested CIDR is accepted by the kernel and silently takes another VPC's packets (measured),
so it is refused here, before anything is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Self

from ..errors import NetworkRefused
from .codec import decode, encode
from .rules import check, check_unused
from .things import (
    Attachment,
    Cen,
    Grant,
    Instance,
    Line,
    Thing,
    TransitRouter,
    Vpc,
    Vswitch,
)
from .verdict import Verdict, decide


@dataclass
class Topology:
    """Everything that is wanted, by id. `put` checks the rules first; nothing else does I/O."""

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    vswitches: dict[str, Vswitch] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    cens: dict[str, Cen] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    transit_routers: dict[str, TransitRouter] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)

    def put(self, thing: Thing) -> None:
        """Add a thing or replace the one of its id; NetworkRefused says which rule forbids it."""
        check(self, thing)
        self._shelf(thing)[thing.id] = thing

    def remove(self, thing: Thing) -> None:
        """Take a thing out; NetworkRefused (network.in_use) while others stand on it."""
        check_unused(self, thing)
        self._shelf(thing).pop(thing.id, None)

    def things(self) -> Iterator[Thing]:
        """All of it, in an order in which each stands on what came before."""
        for shelf in fields(self):
            yield from getattr(self, shelf.name).values()

    def vpc_of(self, instance: str) -> Vpc:
        return self.vpcs[self.vswitches[self.instances[instance].vswitch].vpc]

    def attachment_of(self, vpc: str) -> Attachment | None:
        return next((a for a in self.attachments.values() if a.vpc == vpc), None)

    def router_of(self, cen: str, region: str) -> TransitRouter | None:
        """The CEN's transit router in that region."""
        for router in self.transit_routers.values():
            if (router.cen, router.region) == (cen, region):
                return router
        return None

    def attached(self, cen: str) -> Iterator[tuple[Attachment, Vpc]]:
        """Every VPC attached to a CEN."""
        for attachment in self.attachments.values():
            if self.transit_routers[attachment.transit_router].cen == cen:
                yield attachment, self.vpcs[attachment.vpc]

    def line_between(self, a: str, b: str) -> Line | None:
        """The line that joins two transit routers, whichever way round it was ordered."""
        return next((line for line in self.lines.values() if {line.a, line.b} == {a, b}), None)

    def line_of(self, client: str, server: str) -> Line | None:
        """The line that packets between two instances go over; None where they go over none."""
        ends = [self.attachment_of(self.vpc_of(id).id) for id in (client, server)]
        routers = [end.transit_router for end in ends if end is not None]
        return self.line_between(*routers) if len(routers) == 2 else None

    def is_granted(self, vpc: Vpc, cen: Cen) -> bool:
        """Whether the VPC's owner lets the CEN attach it (one's own needs no grant)."""
        return vpc.account == cen.owner or Grant(vpc.id, cen.id).id in self.grants

    def verdict(self, client: str, server: str) -> Verdict:
        """Whether a client on instance `client` can work with the server of `server`."""
        return decide(self, client, server)

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """As JSON knows it; `from_dict` reads it back."""
        return {
            shelf.name: [encode(thing) for thing in getattr(self, shelf.name).values()]
            for shelf in fields(self)
        }

    @classmethod
    def from_dict(cls, raw: dict[str, list[dict[str, Any]]]) -> Self:
        """What `as_dict` gave; NetworkRefused when it breaks a rule or is something else."""
        topology = cls()
        for name, kind in KINDS.items():
            for item in raw.get(name, []):
                try:
                    thing = decode(kind, item)
                except (TypeError, ValueError) as problem:
                    raise NetworkRefused(f"{name}: {problem}", id="network.bad_address") from None
                topology.put(thing)
        return topology

    def _shelf(self, thing: Thing) -> dict[str, Any]:
        name = next(name for name, kind in KINDS.items() if kind is type(thing))
        shelf: dict[str, Any] = getattr(self, name)
        return shelf


#: Shelf of `Topology` -> what lies on it, in an order in which each stands on the ones before.
KINDS: dict[str, type[Any]] = {
    "vpcs": Vpc,
    "vswitches": Vswitch,
    "instances": Instance,
    "cens": Cen,
    "grants": Grant,
    "transit_routers": TransitRouter,
    "attachments": Attachment,
    "lines": Line,
}
