"""Whether a packet may pass between two instances, and if not, what decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .things import UNALLOCATED, Vpc, admits

if TYPE_CHECKING:
    from .topology import Topology


class Hop(Enum):
    """Which part of the path decided."""

    NONE = "none"
    """Nothing stands in the way."""
    INSTANCE = "instance"
    ATTACHMENT = "attachment"
    GRANT = "grant"
    CEN = "cen"
    LINE = "line"
    BANDWIDTH = "bandwidth"
    WHITELIST = "whitelist"
    PORT = "port"


@dataclass(frozen=True)
class Verdict:
    """What the model says of a pair of instances; `hop` is the first thing in the way.

    A packet that meets `BANDWIDTH`, `WHITELIST` or `PORT` does arrive at the other host.
    """

    hop: Hop
    reason: str

    @property
    def reaches(self) -> bool:
        """Whether packets arrive at the other instance's address at all."""
        return self.hop in (Hop.NONE, Hop.BANDWIDTH, Hop.WHITELIST, Hop.PORT)

    @property
    def passes(self) -> bool:
        """Whether a client there can work with the server here."""
        return self.hop is Hop.NONE


PASSES = Verdict(Hop.NONE, "nothing stands in the way")


def decide(topology: Topology, client: str, server: str) -> Verdict:
    """The first obstacle on the way from `client` to `server`, or `PASSES`."""
    for name in (client, server):
        if name not in topology.instances:
            return Verdict(Hop.INSTANCE, f"there is no instance {name}")
    return next(_obstacles(topology, client, server), PASSES)


def decide_vpcs(topology: Topology, here: str, there: str) -> Verdict:
    """The first obstacle on the way from one VPC to another, or `PASSES`; both are known."""
    if here == there:
        return PASSES
    return next(_between(topology, topology.vpcs[here], topology.vpcs[there]), PASSES)


def _obstacles(topology: Topology, client: str, server: str) -> Iterator[Verdict]:
    here, there = topology.vpc_of(client), topology.vpc_of(server)
    if here.id != there.id:
        yield from _between(topology, here, there)
    source, target = topology.instances[client], topology.instances[server]
    if not admits(target.whitelist, source.address):
        yield Verdict(Hop.WHITELIST, f"whitelist of {server} lacks {here.cidr}")


def _between(topology: Topology, here: Vpc, there: Vpc) -> Iterator[Verdict]:
    routers = []
    for vpc in (here, there):
        attachment = topology.attachment_of(vpc.id)
        if attachment is None:
            yield from _unattached(topology, vpc)
            return
        routers.append(topology.transit_routers[attachment.transit_router])
    a, b = routers
    if a.cen != b.cen:
        yield Verdict(Hop.CEN, f"{here.id} is in {a.cen}, {there.id} in {b.cen}")
    elif a.id != b.id:
        line = topology.line_between(a.id, b.id)
        if line is None:
            yield Verdict(Hop.LINE, f"no line between {a.region} and {b.region}")
        elif line.bits_per_second is None:
            yield Verdict(
                Hop.BANDWIDTH, f"line {line.id} has no bandwidth ({UNALLOCATED // 1000} kbit/s)"
            )


def _unattached(topology: Topology, vpc: Vpc) -> Iterator[Verdict]:
    """A VPC that no CEN may attach lacks a grant before it lacks an attachment."""
    cens = topology.cens.values()
    if cens and not any(topology.is_granted(vpc, cen) for cen in cens):
        yield Verdict(
            Hop.GRANT,
            f"no grant: account {vpc.account} has given {vpc.id} to no CEN",
        )
    yield Verdict(Hop.ATTACHMENT, f"{vpc.id} has no attachment")
