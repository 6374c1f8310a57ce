"""Inter-region connections: the line between two transit routers of one CEN.

Its bandwidth is allocated from a bandwidth plan, Gold only, or paid by data transfer, Gold or
Platinum. Both directions have the same bandwidth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..network import things
from ..network.things import LineType as LineType
from ..store import Base
from . import bandwidth, ids, names, regions, routers
from .accounts import Account
from .bandwidth import BandwidthPlan
from .cens import Cen, standing
from .errors import CloudError
from .made import Made
from .ownership import Owned, everything, owned
from .routers import TransitRouter

#: Mbit/s of a connection that is paid by data transfer.
MOST_BY_TRANSFER = 10_000


class Allocation(Enum):
    """Where a connection's bandwidth comes from."""

    PLAN = "BandwidthPackage"
    TRANSFER = "DataTransfer"


class Connection(Owned, Made, Base):
    """A line of one CEN."""

    __tablename__ = "inter_region_connection"
    not_found = "InvalidTransitRouterAttachmentId.NotFound"

    cen_id: Mapped[str] = mapped_column(ForeignKey("cen.id"), index=True)
    router_id: Mapped[str] = mapped_column(ForeignKey("transit_router.id"))
    peer_router_id: Mapped[str] = mapped_column(ForeignKey("transit_router.id"))
    plan_id: Mapped[str | None] = mapped_column(ForeignKey("bandwidth_plan.id"), index=True)
    """None where it is paid by data transfer."""
    bandwidth: Mapped[int]
    """Mbit/s, each direction."""
    line_type: Mapped[LineType]
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    bytes_out: Mapped[int] = mapped_column(default=0)
    """Carried from `router` to `peer_router`, since it was created."""
    bytes_back: Mapped[int] = mapped_column(default=0)
    last_out: Mapped[int] = mapped_column(default=0)
    """What the network's counter said the last time."""
    last_back: Mapped[int] = mapped_column(default=0)
    router: Mapped[TransitRouter] = relationship(foreign_keys=[router_id])
    peer_router: Mapped[TransitRouter] = relationship(foreign_keys=[peer_router_id])
    plan: Mapped[BandwidthPlan | None] = relationship(back_populates="connections")

    @property
    def allocation(self) -> Allocation:
        return Allocation.TRANSFER if self.plan_id is None else Allocation.PLAN

    @property
    def span(self) -> str:
        """Id of the span between the areas that it joins, like `europe_china`."""
        return span_of(self.router.region_id, self.peer_router.region_id)

    def as_thing(self) -> things.Line:
        """The line as the network's model knows it; without bandwidth when its plan has expired."""
        carries: int | None = self.bandwidth * 1_000_000
        if self.plan is not None and self.plan.is_expired():
            carries = None
        return things.Line(self.id, self.router_id, self.peer_router_id, carries, self.line_type)


@dataclass(frozen=True)
class Order:
    """What bandwidth is wanted of a connection. None leaves it to the rest of the order."""

    bandwidth: int | None = None
    """Mbit/s."""
    allocation: Allocation | None = None
    plan_id: str | None = None
    line_type: LineType | None = None


def span_of(region: str, peer_region: str) -> str:
    """Id of the span between the areas of two regions."""
    return bandwidth.span(regions.region(region).area.id, regions.region(peer_region).area.id)


def create(
    session: Session,
    account: Account,
    order: Order,
    *,
    peer_router_id: str,
    peer_region: str = "",
    router_id: str = "",
    cen_id: str = "",
    region: str = "",
    name: str = "",
    description: str = "",
) -> Connection:
    """Join two regions: `router_id`, or the router of `cen_id` in `region`, with its peer.

    CloudError: MissingParam.{CenIdOrRegionId,Bandwidth}, Invalid{TransitRouterId,
    PeerTransitRouterId,CenId}.NotFound, IncorrectStatus.TransitRouter, IllegalParam.{RegionId,
    PeerTransitRouterId,PeerRegionId}, EntityAlreadyExists.PeerAttachment, and `_settle`'s.
    """
    near, far = _ends(session, account, (router_id, cen_id, region), peer_router_id, peer_region)
    if (there := between(session, near.id, far.id)) is not None:
        raise CloudError(
            "EntityAlreadyExists.PeerAttachment",
            f"{near.region_id} and {far.region_id} are joined by {there.id} already",
            remedy=f"Change the bandwidth of {there.id}.",
        )
    plan, mbits, line_type = _settle(session, account, near, far, order)
    connection = Connection(
        id=ids.new("tr-attach"), owner_uid=account.uid, cen_id=near.cen_id,
        router_id=near.id, peer_router_id=far.id, plan=plan, bandwidth=mbits,
        line_type=line_type, name=names.NETWORK_NAME.check(name, "InvalidName"),
        description=names.NETWORK_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        ),
    )  # fmt: skip
    session.add(connection)
    session.flush()
    return connection


def update(
    session: Session,
    account: Account,
    id: str,
    order: Order,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Connection:
    """Another bandwidth, plan or line type; what runs over the line is not interrupted.

    CloudError: InvalidTransitRouterAttachmentId.NotFound, IncorrectStatus.Attachment,
    InvalidName, InvalidDescription, and `_settle`'s.
    """
    connection = owned(session, Connection, account, id)
    if not connection.is_wanted:
        raise CloudError(
            "IncorrectStatus.Attachment",
            f"{connection.id} is being removed",
            remedy="Join the regions anew when it is gone.",
        )
    if name is not None:
        connection.name = names.NETWORK_NAME.check(name, "InvalidName")
    if description is not None:
        connection.description = names.NETWORK_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        )
    if order != Order():
        near, far = connection.router, connection.peer_router
        settled = _settle(session, account, near, far, order, connection)
        if settled != (connection.plan, connection.bandwidth, connection.line_type):
            connection.plan, connection.bandwidth, connection.line_type = settled
            connection.change()
    session.flush()
    return connection


def delete(session: Session, account: Account, id: str) -> None:
    """Part two regions; what was allocated is free at once."""
    owned(session, Connection, account, id).unwant()


def every(session: Session, account: Account) -> Sequence[Connection]:
    """The account's connections, oldest first."""
    query = everything(Connection, account)
    return session.scalars(query.order_by(Connection.created_at, Connection.id)).all()


def between(session: Session, a: str, b: str) -> Connection | None:
    """The connection of two transit routers, whichever way round."""
    both = {a, b}
    query = select(Connection).where(
        Connection.router_id.in_(both), Connection.peer_router_id.in_(both)
    )
    return session.scalar(query)


def set_limit(
    session: Session, account: Account, cen_id: str, region: str, peer_region: str, order: Order
) -> None:
    """Give two regions of a CEN a bandwidth; 0 parts them. As the older actions say it.

    CloudError: InvalidTransitRouterId.NotFound where a region has none, and those of
    `create` and `update`.
    """
    cen = standing(session, account, cen_id)
    near, far = (routers.find(session, cen.id, one) for one in (region, peer_region))
    if near is None or far is None:
        raise CloudError(
            "InvalidTransitRouterId.NotFound",
            f"{cen.id} has no transit router in {region if near is None else peer_region}",
            remedy="Attach a VPC of that region first.",
        )
    connection = between(session, near.id, far.id)
    if order.bandwidth == 0:
        if connection is not None:
            connection.unwant()
    elif connection is not None:
        update(session, account, connection.id, order)
    else:
        if order.allocation is not Allocation.TRANSFER and order.plan_id is None:
            order = _with_plan(session, cen, near, far, order)
        create(session, account, order, router_id=near.id, peer_router_id=far.id)


def _with_plan(
    session: Session, cen: Cen, near: TransitRouter, far: TransitRouter, order: Order
) -> Order:
    span = span_of(near.region_id, far.region_id)
    plans = session.scalars(select(BandwidthPlan).where(BandwidthPlan.cen_id == cen.id))
    for plan in plans:
        if plan.span == span and not plan.is_expired():
            return Order(order.bandwidth, Allocation.PLAN, plan.id, order.line_type)
    raise CloudError(
        "InvalidOperation.BwpNotAssociated",
        f"{cen.id} has no bandwidth plan for {span}",
        remedy="Buy one between these areas, give it to the CEN, or pay by DataTransfer.",
    )


def _ends(
    session: Session,
    account: Account,
    near: tuple[str, str, str],
    peer_router_id: str,
    peer_region: str,
) -> tuple[TransitRouter, TransitRouter]:
    router_id, cen_id, region = near
    if not router_id:
        if not cen_id or not region:
            raise CloudError("MissingParam.CenIdOrRegionId")
        if region not in regions.regions():
            raise CloudError(
                "IllegalParam.RegionId",
                f"there is no region {region!r}",
                remedy="DescribeRegions lists the regions.",
            )
        router_id = routers.ensure(session, standing(session, account, cen_id), region).id
        here = owned(session, TransitRouter, account, router_id)
    else:
        here = routers.usable(session, account, router_id)
    try:
        there = routers.usable(session, account, peer_router_id)
    except CloudError as problem:
        if problem.code != TransitRouter.not_found:
            raise
        raise CloudError("InvalidPeerTransitRouterId.NotFound") from None
    if peer_region not in ("", there.region_id):
        raise CloudError(
            "IllegalParam.PeerRegionId",
            f"{there.id} lies in {there.region_id}, not in {peer_region}",
        )
    if there.region_id == here.region_id:
        raise CloudError(
            "IllegalParam.PeerRegionId",
            f"both transit routers lie in {here.region_id}",
            remedy="Within a region nothing is to be joined: name transit routers of two.",
        )
    if there.cen_id != here.cen_id:
        raise CloudError(
            "IllegalParam.PeerTransitRouterId",
            f"{here.id} belongs to {here.cen_id}, {there.id} to {there.cen_id}",
            remedy="Name two transit routers of one CEN.",
        )
    return here, there


def _settle(
    session: Session,
    account: Account,
    near: TransitRouter,
    far: TransitRouter,
    order: Order,
    old: Connection | None = None,
) -> tuple[BandwidthPlan | None, int, LineType]:
    """Plan, Mbit/s and line type by the rules; what the order leaves out stays as in `old`.

    CloudError: MissingParam.Bandwidth, IllegalParam.{Bandwidth,CenBandwidthPackageId},
    InvalidOperation.Bwp{NotAssociated,BandwidthExceeded,BusinessStatus},
    QuotaExceeded.Bandwidth, ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold.
    """
    kept_bandwidth = old.bandwidth if old else None
    mbits = kept_bandwidth if order.bandwidth is None else order.bandwidth
    if mbits is None:
        raise CloudError("MissingParam.Bandwidth")
    if mbits < 1:
        raise CloudError("IllegalParam.Bandwidth", "a connection has at least 1 Mbit/s")
    allocation = order.allocation or (old.allocation if old else Allocation.PLAN)
    changed = old is not None and old.allocation is not allocation
    kept = old.line_type if old and not changed else LineType.GOLD
    line_type = order.line_type or kept
    if allocation is Allocation.TRANSFER:
        if mbits > MOST_BY_TRANSFER:
            raise CloudError("QuotaExceeded.Bandwidth", f"at most {MOST_BY_TRANSFER} Mbit/s")
        return None, mbits, line_type
    if line_type is not LineType.GOLD:
        raise CloudError("ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold")
    plan_id = order.plan_id or (old.plan_id if old else None) or ""
    plan = _plan(session, account, near, far, plan_id)
    left = plan.bandwidth - plan.allocated(but=old.id if old else "")
    if mbits > left:
        raise CloudError(
            "InvalidOperation.BwpBandwidthExceeded",
            f"{plan.id} has {left} of {plan.bandwidth} Mbit/s left, not {mbits}",
            remedy="Take less, or give the plan more bandwidth.",
        )
    return plan, mbits, line_type


def _plan(
    session: Session, account: Account, near: TransitRouter, far: TransitRouter, id: str
) -> BandwidthPlan:
    try:
        plan = bandwidth.usable(session, account, id)
    except CloudError as problem:
        if problem.code != BandwidthPlan.not_found:
            raise
        raise CloudError(
            "IllegalParam.CenBandwidthPackageId",
            f"the bandwidth plan {id} does not exist" if id else "no bandwidth plan is named",
            remedy="Name a plan of the CEN (DescribeCenBandwidthPackages), or pay by DataTransfer.",
        ) from None
    if plan.cen_id != near.cen_id:
        raise CloudError(
            "InvalidOperation.BwpNotAssociated",
            f"{plan.id} is not given to {near.cen_id}",
            remedy=f"Associate {plan.id} with {near.cen_id} first.",
        )
    if plan.span != (span := span_of(near.region_id, far.region_id)):
        raise CloudError(
            "IllegalParam.CenBandwidthPackageId",
            f"{plan.id} is for {plan.span}, not {span}",
            remedy=f"Name a plan for {span}: the areas of a plan cannot be changed.",
        )
    return plan
