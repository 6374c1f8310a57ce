"""What may be changed in a lab's network: attachments, lines, and the routers they need."""

from __future__ import annotations

from ..errors import NetworkRefused
from ..network.things import HIGHEST, Attachment, Line, TransitRouter
from ..network.topology import Topology

MEGABIT = 1_000_000


def only_cen(topology: Topology, given: str | None) -> str:
    """The CEN that is meant; it may stay unsaid where there is only one."""
    if given is not None and given in topology.cens:
        return given
    known = ", ".join(topology.cens) or "none"
    if given is None and len(topology.cens) == 1:
        return known
    raise NetworkRefused(
        f"there is no CEN {given}" if given else f"which CEN is not clear (there are: {known})",
        id="network.unknown",
        remedy=f"CENs of this lab: {known}.",
    )


def router(topology: Topology, cen: str, region: str) -> TransitRouter:
    """The CEN's transit router in a region where the lab has VPCs; made if there is none."""
    known = sorted({vpc.region for vpc in topology.vpcs.values()})
    if region not in known:
        raise NetworkRefused(
            f"there is no VPC in region {region}", id="network.unknown",
            remedy=f"Regions of this lab: {', '.join(known)}.",
        )  # fmt: skip
    found = topology.router_of(cen, region)
    if found is None:
        found = TransitRouter(f"tr-{cen}-{region}", cen, region)
        topology.put(found)
    return found


def attach(topology: Topology, vpc: str, cen: str) -> Attachment:
    """Attach a VPC to a CEN's router in its region; NetworkRefused says what forbids it."""
    if vpc not in topology.vpcs:
        known = ", ".join(topology.vpcs) or "none"
        raise NetworkRefused(
            f"there is no VPC {vpc}", id="network.unknown", remedy=f"VPCs of this lab: {known}."
        )
    attachment = Attachment(
        f"att-{vpc}", router(topology, only_cen(topology, cen), topology.vpcs[vpc].region).id, vpc
    )
    topology.put(attachment)
    return attachment


def join(
    topology: Topology, cen: str, a: str, b: str, *, mbit: float | None, id: str | None = None
) -> Line:
    """A line between two regions: without `id` the one that is there, or a new one.

    `mbit` None: that one stays as it is, to a new one no bandwidth is allocated.
    """
    x, y = router(topology, cen, a).id, router(topology, cen, b).id
    old = topology.line_between(x, y)
    if id is None:
        if old is not None and mbit is None:
            return old
        free = (f"line-{n}" for n in range(1, len(topology.lines) + 2))
        id = old.id if old else next(name for name in free if name not in topology.lines)
    line = Line(id, x, y, bits(mbit))
    topology.put(line)
    return line


def bits(mbit: float | None) -> int | None:
    """Mbit/s as bit/s; NetworkRefused for what is no bandwidth."""
    if mbit is not None and not 0.001 <= mbit <= HIGHEST / MEGABIT:
        raise NetworkRefused(
            f"a line cannot carry {mbit:g} Mbit/s", id="network.bad_line",
            remedy=f"From 0.001 to {HIGHEST // MEGABIT} Mbit/s; leave it out for no bandwidth.",
        )  # fmt: skip
    return None if mbit is None else round(mbit * MEGABIT)


def drop_idle_routers(topology: Topology) -> None:
    """Take the routers out on which nothing stands."""
    for idle in list(topology.transit_routers.values()):
        attached = any(a.transit_router == idle.id for a in topology.attachments.values())
        if not attached and not any(
            idle.id in (line.a, line.b) for line in topology.lines.values()
        ):
            topology.remove(idle)
