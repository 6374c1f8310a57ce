"""What is refused before anything is created, and with which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from ..errors import NetworkRefused
from .things import (
    HIGHEST,
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

if TYPE_CHECKING:
    from .topology import Topology


def check(topology: Topology, thing: Thing) -> None:
    """Raise NetworkRefused if `thing` cannot stand where it is put."""
    _check_id(topology, thing)
    if isinstance(thing, Vpc | Vswitch | Cen | TransitRouter):
        _check_unchanged(topology, thing)
    rule = _RULES.get(type(thing))
    if rule is not None:
        rule(topology, thing)


def check_unused(topology: Topology, thing: Thing) -> None:
    """Raise NetworkRefused (network.in_use) while something else stands on `thing`."""
    for other in topology.things():
        if thing.id in stands_on(other) or _needs_grant(topology, other, thing):
            raise NetworkRefused(
                f"{thing.id} is in use by {other.id}",
                id="network.in_use",
                remedy=f"Remove {other.id} first.",
            )


def stands_on(thing: Thing) -> Iterator[str]:
    """Ids of what has to be there for `thing`."""
    for name in ("vpc", "vswitch", "cen", "transit_router", "a", "b"):
        if isinstance(found := getattr(thing, name, None), str):
            yield found


def _needs_grant(topology: Topology, other: Thing, grant: Thing) -> bool:
    """Whether `other` is an attachment across accounts that `grant` allows."""
    if not isinstance(other, Attachment) or not isinstance(grant, Grant):
        return False
    cen = topology.cens[topology.transit_routers[other.transit_router].cen]
    foreign = topology.vpcs[other.vpc].account != cen.owner
    return foreign and (other.vpc, cen.id) == (grant.vpc, grant.cen)


_WORDS = {
    "vpcs": "VPC", "vswitches": "vSwitch", "cens": "CEN", "transit_routers": "transit router"
}  # fmt: skip


def _known(topology: Topology, shelf: str, id: str) -> Any:
    found = getattr(topology, shelf).get(id)
    if found is None:
        raise NetworkRefused(f"there is no {_WORDS[shelf]} {id}", id="network.unknown")
    return found


def _check_id(topology: Topology, thing: Thing) -> None:
    """Ids are told apart by nothing else, in a fabric either: no two kinds share one."""
    for other in topology.things():
        if other.id == thing.id and type(other) is not type(thing):
            raise NetworkRefused(
                f"{thing.id} is the id of something else already ({type(other).__name__})",
                id="network.duplicate",
                remedy="Give it another id.",
            )


def _check_unchanged(topology: Topology, thing: Thing) -> None:
    """What others stand on stays as it is: they were checked against it."""
    for old in topology.things():
        if type(old) is type(thing) and old.id == thing.id and old != thing:
            check_unused(topology, old)


#: Blocks that machines use for themselves, our transit links among them; the vendor refuses
#: all but the first and the rest of the last.
_RESERVED = tuple(
    map(IPv4Network, ("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
)


def _vpc(_: Topology, vpc: Vpc) -> None:
    if reserved := next((block for block in _RESERVED if block.overlaps(vpc.cidr)), None):
        raise NetworkRefused(
            f"{vpc.id} ({vpc.cidr}) overlaps {reserved}, which no VPC may use",
            id="network.bad_address",
            remedy="Take a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.",
        )


def _vswitch(topology: Topology, vswitch: Vswitch) -> None:
    vpc = _known(topology, "vpcs", vswitch.vpc)
    if not vswitch.cidr.subnet_of(vpc.cidr) or vswitch.cidr.prefixlen > 29:
        raise NetworkRefused(
            f"vSwitch {vswitch.id} ({vswitch.cidr}) is not a part of {vpc.id} ({vpc.cidr})"
            " of at least 8 addresses",
            id="network.bad_address",
        )
    for other in topology.vswitches.values():
        if other.vpc == vpc.id and other.id != vswitch.id and other.cidr.overlaps(vswitch.cidr):
            raise NetworkRefused(
                f"vSwitch {vswitch.id} ({vswitch.cidr}) overlaps {other.id} ({other.cidr})",
                id="network.overlap",
            )


def _instance(topology: Topology, instance: Instance) -> None:
    vswitch = _known(topology, "vswitches", instance.vswitch)
    if not 0 < instance.port < 65536:
        raise NetworkRefused(f"{instance.port} is no port", id="network.bad_address")
    kept = (vswitch.cidr[0], vswitch.cidr[-1], vswitch.gateway)
    if instance.address not in vswitch.cidr or instance.address in kept:
        raise NetworkRefused(
            f"{instance.address} is no free address of vSwitch {vswitch.id} ({vswitch.cidr},"
            f" gateway {vswitch.gateway})",
            id="network.bad_address",
        )
    for other in topology.instances.values():
        same = (other.vswitch, other.address) == (instance.vswitch, instance.address)
        if same and other.id != instance.id:
            raise NetworkRefused(
                f"{instance.address} belongs to {other.id} already", id="network.address_taken"
            )


def _grant(topology: Topology, grant: Grant) -> None:
    _known(topology, "vpcs", grant.vpc)
    _known(topology, "cens", grant.cen)


def _transit_router(topology: Topology, router: TransitRouter) -> None:
    _known(topology, "cens", router.cen)
    other = topology.router_of(router.cen, router.region)
    if other is not None and other.id != router.id:
        raise NetworkRefused(
            f"{router.cen} has transit router {other.id} in {router.region} already",
            id="network.duplicate",
        )


def _attachment(topology: Topology, attachment: Attachment) -> None:
    router = _known(topology, "transit_routers", attachment.transit_router)
    vpc = _known(topology, "vpcs", attachment.vpc)
    cen = topology.cens[router.cen]
    if vpc.region != router.region:
        raise NetworkRefused(
            f"{vpc.id} lies in {vpc.region}, transit router {router.id} in {router.region}",
            id="network.wrong_region",
        )
    other = topology.attachment_of(vpc.id)
    if other is not None and other.id != attachment.id:
        raise NetworkRefused(
            f"{vpc.id} is attached already ({other.id})",
            id="network.duplicate",
            remedy="Detach it there first.",
        )
    if not topology.is_granted(vpc, cen):
        raise NetworkRefused(
            f"account {vpc.account} has not granted {vpc.id} to {cen.id} of account {cen.owner}",
            id="network.no_grant",
            remedy=f"Account {vpc.account} grants {vpc.id} to {cen.id}; then attach it.",
        )
    _no_overlap(topology, cen.id, vpc)


def _no_overlap(topology: Topology, cen: str, vpc: Vpc) -> None:
    for _, other in topology.attached(cen):
        if other.id != vpc.id and other.cidr.overlaps(vpc.cidr):
            raise NetworkRefused(
                f"{vpc.id} of account {vpc.account} ({vpc.cidr}) overlaps {other.id}"
                f" of account {other.account} ({other.cidr}) in {cen}",
                id="network.overlap",
                remedy="VPCs of one CEN need CIDR blocks that have no address in common.",
            )


def _line(topology: Topology, line: Line) -> None:
    a = _known(topology, "transit_routers", line.a)
    b = _known(topology, "transit_routers", line.b)
    if a.cen != b.cen or a.id == b.id:
        raise NetworkRefused(
            f"a line joins two transit routers of one CEN, not {a.id} and {b.id}",
            id="network.bad_line",
        )
    if line.bits_per_second is not None:
        check_rate(line.bits_per_second)
    other = topology.line_between(a.id, b.id)
    if other is not None and other.id != line.id:
        raise NetworkRefused(
            f"{a.region} and {b.region} are joined already in {a.cen} ({other.id})",
            id="network.duplicate",
        )


def check_rate(bits_per_second: int) -> None:
    """Raise NetworkRefused (network.bad_line) for what no line can be given."""
    if not 1 <= bits_per_second <= HIGHEST:
        raise NetworkRefused(
            f"a line's bandwidth is 1 to {HIGHEST} bit/s, not {bits_per_second}",
            id="network.bad_line",
        )


_RULES: dict[type[Any], Callable[[Topology, Any], None]] = {
    Vpc: _vpc,
    Vswitch: _vswitch,
    Instance: _instance,
    Grant: _grant,
    TransitRouter: _transit_router,
    Attachment: _attachment,
    Line: _line,
}
