"""Route tables: one of every transit router and one of every VPC; what a row says is what stands.

A VPC attachment carries packets while it is associated with its router's table (the router
forwards what comes from the VPC), propagates into it (the router knows the VPC's block) and is
published (the VPC knows what the table holds). Without one of them no connection comes about
either way, so the network then has nothing of it. An inter-region connection has all always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from . import routers
from .accounts import Account
from .attachments import Attachment
from .errors import CloudError
from .lines import Connection
from .made import State
from .ownership import everything, owned
from .remedies import Remedy
from .routers import TransitRouter
from .vpcs import Vpc


class Tie(Enum):
    """What holds an attachment to a table; the value is the column."""

    ASSOCIATION = "is_associated"
    PROPAGATION = "is_propagating"


@dataclass(frozen=True)
class Route:
    """Packets for `cidr`, which is of the VPC `origin`, go over `hop`; None: to a vSwitch."""

    cidr: str
    origin: str
    hop: Attachment | Connection | None
    state: State


def table(session: Session, account: Account, id: str) -> TransitRouter:
    """The router of the account whose table that is.

    CloudError: InvalidTransitRouterRouteTableId.NotFound.
    """
    for router in routers.every(session, account):
        if router.route_table_id == id:
            return router
    raise CloudError("InvalidTransitRouterRouteTableId.NotFound")


def tie(
    session: Session, account: Account, attachment_id: str, table_id: str, what: Tie, on: bool
) -> None:
    """Tie an attachment to its router's table, or untie it; nothing happens where it is so.

    CloudError: InvalidTransitRouterAttachmentId.NotFound, IncorrectStatus.Attachment,
    InvalidTransitRouterRouteTableId.NotFound, OperationUnsupported.PeerAttachment.
    """
    found = hanging(session, account, attachment_id)
    if not found.is_wanted:
        raise CloudError("IncorrectStatus.Attachment", f"{found.id} is being removed")
    ends = {found.router_id, getattr(found, "peer_router_id", found.router_id)}
    if table(session, account, table_id).id not in ends:
        raise CloudError(
            "InvalidTransitRouterRouteTableId.NotFound",
            f"{found.id} is not attached to the transit router of {table_id}",
            remedy=Remedy(
                "ListTransitRouterRouteTables says which table each transit router has.", ""
            ),
        )
    if isinstance(found, Attachment):
        if getattr(found, what.value) is not on:
            setattr(found, what.value, on)
            found.change()
    elif not on:
        raise CloudError("OperationUnsupported.PeerAttachment")


def hanging(session: Session, account: Account, id: str) -> Attachment | Connection:
    """What is attached to a router of the account under that id.

    CloudError: InvalidTransitRouterAttachmentId.NotFound.
    """
    found = session.scalar(everything(Attachment, account).where(Attachment.id == id))
    return found or owned(session, Connection, account, id)


def ties(session: Session, router: TransitRouter, what: Tie) -> Sequence[Attachment | Connection]:
    """What is tied to a router's table, connections last."""
    tied = [one for one in _attached(session, router) if getattr(one, what.value)]
    return [*tied, *_connections(session, router)]


def of_router(session: Session, router: TransitRouter) -> list[Route]:
    """The routes of a transit router: the VPCs attached to it, then those beyond its lines."""
    found = [_route(session, one, one) for one in _attached(session, router) if one.is_routed]
    for line in _connections(session, router):
        ends = (line.router, line.peer_router)
        (beyond,) = (end for end in ends if end.id != router.id)
        found += [_route(session, one, line) for one in _attached(session, beyond) if one.is_routed]
    return found


def of_vpc(session: Session, vpc: Vpc) -> list[Route]:
    """The routes of a VPC: its vSwitches, then what it reaches over its transit router."""
    found = [Route(vswitch.cidr, vpc.id, None, State.STANDING) for vswitch in vpc.vswitches]
    attachment = session.scalar(select(Attachment).where(Attachment.vpc_id == vpc.id))
    if attachment is not None and attachment.is_routed:
        router = session.get_one(TransitRouter, attachment.router_id)
        found += [
            Route(route.cidr, route.origin, attachment, _least(route.state, attachment.state))
            for route in of_router(session, router)
            if route.hop is not attachment
        ]
    return found


def _route(session: Session, attachment: Attachment, hop: Attachment | Connection) -> Route:
    vpc = session.get_one(Vpc, attachment.vpc_id)
    return Route(vpc.cidr, vpc.id, hop, _least(attachment.state, hop.state))


def _attached(session: Session, router: TransitRouter) -> Sequence[Attachment]:
    query = select(Attachment).where(Attachment.router_id == router.id)
    return session.scalars(query.order_by(Attachment.created_at, Attachment.id)).all()


def _connections(session: Session, router: TransitRouter) -> Sequence[Connection]:
    query = select(Connection).where(
        or_(Connection.router_id == router.id, Connection.peer_router_id == router.id)
    )
    return session.scalars(query.order_by(Connection.created_at, Connection.id)).all()


def _least(*states: State) -> State:
    """The state of what needs several things at once."""
    for state in (State.REMOVING, State.MAKING, State.CHANGING):
        if state in states:
            return state
    return State.STANDING
