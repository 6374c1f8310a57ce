"""VPCs and vSwitches: what an account has in a region, by the network's own rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv4Network

from sqlalchemy import ForeignKey, Select, String, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..errors import NetworkRefused
from ..network import things
from ..network.topology import Topology
from ..store import Base, utcnow
from . import ids, names, quotas
from .accounts import Account
from .dependents import refuse_if_used
from .errors import CloudError
from .ownership import Owned, count, everything, owned
from .paging import Listing, listing
from .regions import region as find_region
from .regions import require_zone

#: What a VPC gets that names no block.
DEFAULT_CIDR = "172.16.0.0/16"
#: "The subnet mask must be 16 to 28 bits in length."
_VPC_BITS = range(16, 29)
#: The first address and the last three of a vSwitch are the network's own.
_KEPT = 4


class Vpc(Owned, Base):
    """An account's private network in one region."""

    __tablename__ = "vpc"
    not_found = "InvalidVpcId.NotFound"

    region_id: Mapped[str] = mapped_column(String(40))
    cidr: Mapped[str] = mapped_column(String(18))
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    router_id: Mapped[str] = mapped_column(String(64))
    route_table_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    vswitches: Mapped[list[VSwitch]] = relationship(
        back_populates="vpc", order_by="VSwitch.created_at, VSwitch.id"
    )

    def as_thing(self) -> things.Vpc:
        """The VPC as the network's model knows it."""
        return things.Vpc(self.id, str(self.owner_uid), self.region_id, IPv4Network(self.cidr))


class VSwitch(Owned, Base):
    """A subnet of a VPC in one zone."""

    __tablename__ = "vswitch"
    not_found = "InvalidVSwitchId.NotFound"

    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpc.id"), index=True)
    zone_id: Mapped[str] = mapped_column(String(40))
    cidr: Mapped[str] = mapped_column(String(18))
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    vpc: Mapped[Vpc] = relationship(back_populates="vswitches")

    @property
    def free_addresses(self) -> int:
        """How many addresses it has for instances."""
        return IPv4Network(self.cidr).num_addresses - _KEPT

    def as_thing(self) -> things.Vswitch:
        """The vSwitch as the network's model knows it."""
        return things.Vswitch(self.id, self.vpc_id, self.zone_id, IPv4Network(self.cidr))


def create_vpc(
    session: Session,
    account: Account,
    region: str,
    *,
    cidr: str | None = None,
    name: str | None = None,
    description: str | None = None,
) -> Vpc:
    """A new VPC. CloudError: InvalidRegionId.NotFound, InvalidCidrBlock.Malformed,
    InvalidVpcName.Malformed, InvalidVpcDiscription.Malformed, QuotaExceeded.Vpc.
    """
    find_region(region)
    block = _block(cidr or DEFAULT_CIDR)
    if block.prefixlen not in _VPC_BITS:
        raise CloudError(
            "InvalidCidrBlock.Malformed",
            f"{block} is not a block that a VPC may have",
            remedy="Its mask has 16 to 28 bits, like 10.1.0.0/16.",
        )
    vpc = Vpc(
        id=ids.new("vpc"),
        owner_uid=account.uid,
        region_id=region,
        cidr=str(block),
        name=names.NETWORK_NAME.check(name, "InvalidVpcName.Malformed"),
        description=names.NETWORK_DESCRIPTION.check(
            description, "InvalidVpcDiscription.Malformed", "the description"
        ),
        router_id=ids.new("vrt"),
        route_table_id=ids.new("vtb"),
    )
    here = everything(Vpc, account).where(Vpc.region_id == region)
    quotas.VPCS.require_room(count(session, here))
    with _refused_by_the_network():
        Topology().put(vpc.as_thing())
    session.add(vpc)
    session.flush()
    return vpc


def find_vpc(session: Session, account: Account, id: str, region: str | None = None) -> Vpc:
    """The account's VPC, in that region if one is named; CloudError InvalidVpcId.NotFound."""
    vpc = owned(session, Vpc, account, id)
    if region is not None and vpc.region_id != region:
        raise CloudError(Vpc.not_found)
    return vpc


def vpcs(
    account: Account,
    region: str,
    wanted: Sequence[str] | None = None,
    *,
    name: str | None = None,
    owner: int | None = None,
) -> Listing[Vpc]:
    """The account's VPCs of a region, oldest first."""
    if owner not in (None, account.uid):
        wanted = ()
    found = listing(Vpc, account, _oldest_first, region_id=region, name=name)
    return found if wanted is None else found.where(Vpc.id.in_(wanted))


def _oldest_first(query: Select[Vpc]) -> Select[Vpc]:
    return query.order_by(Vpc.created_at, Vpc.id)


def vswitch_ids(session: Session, vpcs: Sequence[str]) -> dict[str, list[str]]:
    """The ids of these VPCs' vSwitches, oldest first, by VPC."""
    found: dict[str, list[str]] = {id: [] for id in vpcs}
    for vpc, id in session.connection().execute(_VSWITCH_IDS, {"vpcs": list(vpcs)}):
        found[vpc].append(id)
    return found


_VSWITCH_IDS = (
    select(VSwitch.vpc_id, VSwitch.id)
    .where(VSwitch.vpc_id.in_(bindparam("vpcs", expanding=True)))
    .order_by(VSwitch.created_at, VSwitch.id)
)


def vpc_names(session: Session, vpcs: Sequence[str]) -> dict[str, str]:
    """What these VPCs are called, by id."""
    rows = session.connection().execute(_NAMES, {"vpcs": list(vpcs)})
    return {row.id: row.name for row in rows}


_NAMES = select(Vpc.id, Vpc.name).where(Vpc.id.in_(bindparam("vpcs", expanding=True)))


def delete_vpc(session: Session, vpc: Vpc) -> None:
    """Delete a VPC that nothing stands on. CloudError: DependencyViolation."""
    refuse_if_used(session, vpc)
    session.delete(vpc)
    session.flush()


def create_vswitch(
    session: Session,
    vpc: Vpc,
    zone: str,
    cidr: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> VSwitch:
    """A new vSwitch. CloudError: InvalidZoneId.NotFound, InvalidCidrBlock.Malformed,
    InvalidCidrBlock.Overlapped, InvalidVSwitchName.Malformed,
    InvalidVSwitchDescription.Malformed, QuotaExceeded.VSwitch.
    """
    vswitch = VSwitch(
        id=ids.new("vsw"),
        owner_uid=vpc.owner_uid,
        vpc_id=vpc.id,
        zone_id=require_zone(find_region(vpc.region_id), zone),
        cidr=str(_block(cidr)),
        name=names.NETWORK_NAME.check(name, "InvalidVSwitchName.Malformed"),
        description=names.NETWORK_DESCRIPTION.check(
            description, "InvalidVSwitchDescription.Malformed", "the description"
        ),
    )
    quotas.VSWITCHES.require_room(len(vpc.vswitches))
    _check_place(vpc, vswitch)
    session.add(vswitch)
    session.flush()
    return vswitch


def vswitches(
    account: Account,
    *,
    region: str | None = None,
    vpc: str | None = None,
    zone: str | None = None,
    wanted: str | None = None,
    name: str | None = None,
    owner: int | None = None,
) -> Select[VSwitch]:
    """A query for the account's vSwitches, oldest first."""
    query = everything(VSwitch, account).join(Vpc)
    for column, value in (
        (Vpc.region_id, region),
        (VSwitch.vpc_id, vpc),
        (VSwitch.zone_id, zone),
        (VSwitch.id, wanted),
        (VSwitch.name, name),
        (VSwitch.owner_uid, owner),
    ):
        if value is not None:
            query = query.where(column == value)
    return query.order_by(VSwitch.created_at, VSwitch.id)


def delete_vswitch(session: Session, account: Account, id: str, region: str | None = None) -> None:
    """Delete a vSwitch, of that region if one is named.

    CloudError: InvalidVSwitchId.NotFound, DependencyViolation.
    """
    vswitch = owned(session, VSwitch, account, id)
    if region not in (None, vswitch.vpc.region_id):
        raise CloudError(VSwitch.not_found)
    refuse_if_used(session, vswitch)
    session.delete(vswitch)
    session.flush()


def _block(text: str) -> IPv4Network:
    with _refused_by_the_network():
        return things.network(text)


def _check_place(vpc: Vpc, vswitch: VSwitch) -> None:
    """Hold a new vSwitch against the rules of the network."""
    topology = Topology()
    with _refused_by_the_network():
        topology.put(vpc.as_thing())
        for each in (*vpc.vswitches, vswitch):
            topology.put(each.as_thing())


@contextmanager
def _refused_by_the_network() -> Iterator[None]:
    """What the network refuses, with the vendor's code."""
    try:
        yield
    except NetworkRefused as refusal:
        overlaps = refusal.id == "network.overlap"
        code = "InvalidCidrBlock.Overlapped" if overlaps else "InvalidCidrBlock.Malformed"
        raise CloudError(code, refusal.message, remedy=refusal.remedy) from None
