"""Inter-region connections: the line between two transit routers of one CEN.

Both directions have the same bandwidth; `allocation` says where it may come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import ForeignKey, Select, String, select
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship

from ..network import things
from ..network.things import LineType
from ..store import Base
from . import ids, names, regions, routers
from .accounts import Account
from .allocation import Allocation, Order, settle, span_of
from .bandwidth import BandwidthPlan
from .cens import standing
from .errors import CloudError
from .made import Made
from .ownership import Owned, oldest_first, owned
from .routers import TransitRouter


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
    PeerTransitRouterId,PeerRegionId}, EntityAlreadyExists.PeerAttachment, and `settle`'s.
    """
    near, far = _ends(session, account, (router_id, cen_id, region), peer_router_id, peer_region)
    if (there := between(session, near.id, far.id)) is not None:
        raise CloudError(
            "EntityAlreadyExists.PeerAttachment",
            f"{near.region_id} and {far.region_id} are joined by {there.id} already",
            remedy=f"Change the bandwidth of {there.id}.",
        )
    plan, mbits, line_type = settle(session, account, near, far, order)
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
    InvalidName, InvalidDescription, and `settle`'s.
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
        settled = settle(session, account, near, far, order, connection)
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
    return session.scalars(_with_routers(), {"uid": account.uid}).all()


@cache
def _with_routers() -> Select[Connection]:
    both = joinedload(Connection.router), joinedload(Connection.peer_router)
    return oldest_first(Connection).options(*both)


def between(session: Session, a: str, b: str) -> Connection | None:
    """The connection of two transit routers, whichever way round."""
    both = {a, b}
    query = select(Connection).where(
        Connection.router_id.in_(both), Connection.peer_router_id.in_(both)
    )
    return session.scalar(query)


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
            raise CloudError("IllegalParam.RegionId", f"there is no region {region!r}")
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
