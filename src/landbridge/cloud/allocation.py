"""Where the bandwidth of an inter-region connection comes from.

It is allocated from a bandwidth plan, Gold only, or paid by data transfer, Gold or Platinum.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from ..network.things import LineType as LineType
from . import bandwidth, regions
from .accounts import Account
from .bandwidth import BandwidthPlan
from .errors import CloudError
from .remedies import Remedy
from .routers import TransitRouter

if TYPE_CHECKING:
    from .lines import Connection

#: Mbit/s of a connection that is paid by data transfer.
MOST_BY_TRANSFER = 10_000


class Allocation(Enum):
    """Where a connection's bandwidth comes from."""

    PLAN = "BandwidthPackage"
    TRANSFER = "DataTransfer"


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


def settle(
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
            remedy=Remedy(
                "Name a plan of the CEN (DescribeCenBandwidthPackages), or pay by DataTransfer.",
                "Name a plan of the CEN, or choose Pay-By-Data-Transfer.",
            ),
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
