"""Bandwidth between regions as the older actions say it: the connection is made with it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import lines, routers
from .accounts import Account
from .allocation import Allocation, Order, span_of
from .bandwidth import BandwidthPlan
from .cens import Cen, standing
from .errors import CloudError
from .remedies import Remedy
from .routers import TransitRouter


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
    connection = lines.between(session, near.id, far.id)
    if order.bandwidth == 0:
        if connection is not None:
            connection.unwant()
    elif connection is not None:
        lines.update(session, account, connection.id, order)
    else:
        if order.allocation is not Allocation.TRANSFER and order.plan_id is None:
            order = _with_plan(session, cen, near, far, order)
        lines.create(session, account, order, router_id=near.id, peer_router_id=far.id)


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
        remedy=Remedy(
            "Buy one between these areas, give it to the CEN, or pay by DataTransfer.",
            "Buy one between these areas, give it to the CEN, or choose Pay-By-Data-Transfer.",
        ),
    )
