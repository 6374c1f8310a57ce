"""Bandwidth plans: so many Mbit/s between two areas, bought for months, given to one CEN.

What is allocated from a plan never exceeds it. When a plan has expired, the inter-region
connections on it lose their bandwidth until it is renewed.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..store import Base, utcnow
from . import ids, metering, names, quotas, regions
from .accounts import Account
from .cens import Cen, standing
from .dependents import refuse_if_used
from .errors import CloudError
from .ownership import Owned, count, everything, oldest_first, owned
from .remedies import Remedy

if TYPE_CHECKING:
    from .lines import Connection

#: Mbit/s of one plan.
LEAST, MOST = 2, 10_000
#: Months for which a plan may be bought or renewed at once, and how far ahead it may end.
MOST_MONTHS, MOST_AHEAD = 36, 72


class ChargeType(Enum):
    """How a plan is paid."""

    PREPAY = "PREPAY"
    """For the whole order time, at the purchase: the only way there is."""


class Cycle(Enum):
    """The unit of an order time."""

    MONTH = "Month"
    YEAR = "Year"

    def months(self, count: int) -> int:
        """So many cycles in months."""
        return count if self is Cycle.MONTH else 12 * count


class BandwidthPlan(Owned, Base):
    """A plan; its areas stay as they were bought."""

    __tablename__ = "bandwidth_plan"
    not_found = "InvalidCenBandwidthPackageId.NotFound"

    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    area_a: Mapped[str] = mapped_column(String(40))
    area_b: Mapped[str] = mapped_column(String(40))
    bandwidth: Mapped[int]
    """Mbit/s, each direction."""
    charge_type: Mapped[ChargeType]
    auto_renew_months: Mapped[int]
    """For how long it renews itself when it expires; 0: it does not."""
    order_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    cen_id: Mapped[str | None] = mapped_column(ForeignKey("cen.id"), index=True)
    connections: Mapped[list[Connection]] = relationship(
        back_populates="plan", passive_deletes="all"
    )

    @property
    def span(self) -> str:
        """Id of the span between its areas, like `europe_china`."""
        return span(self.area_a, self.area_b)

    def is_expired(self, now: datetime | None = None) -> bool:
        return self.expires_at <= (now or utcnow())

    def allocated(self, but: str = "") -> int:
        """Mbit/s of the connections on it, without the connection `but`."""
        return sum(one.bandwidth for one in self.connections if one.id != but and one.is_wanted)


def span(area_a: str, area_b: str) -> str:
    """Id of the two areas' span, whichever way round."""
    both = {area_a, area_b}
    return next(s.id for s in regions.spans() if {s.local.id, s.opposite.id} == both)


def buy(
    session: Session,
    account: Account,
    *,
    area_a: str,
    area_b: str,
    bandwidth: int,
    period: int = 1,
    cycle: Cycle = Cycle.MONTH,
    auto_renew_months: int = 0,
    name: str = "",
    description: str = "",
) -> BandwidthPlan:
    """Buy `bandwidth` Mbit/s for `period` cycles from now; 0 months: it does not renew itself.

    CloudError: InvalidParameter (area, period), IllegalParam.Bandwidth, InvalidName,
    InvalidDescription, QuotaExceeded.BandwidthPackage.
    """
    quotas.PLANS.require_room(count(session, everything(BandwidthPlan, account)))
    plan = BandwidthPlan(
        id=ids.new("cenbwp"), owner_uid=account.uid,
        name=names.CEN_NAME.check(name, "InvalidName"),
        description=names.CEN_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        ),
        area_a=regions.area(area_a).id, area_b=regions.area(area_b).id,
        bandwidth=_sold(bandwidth), charge_type=ChargeType.PREPAY,
        auto_renew_months=auto_renew_months and _months(auto_renew_months),
        order_id=ids.new_order(), created_at=utcnow(), expires_at=utcnow(),
    )  # fmt: skip
    session.add(plan)
    session.flush()
    renew(session, account, plan.id, cycle.months(period))
    return plan


def every(session: Session, account: Account) -> Sequence[BandwidthPlan]:
    """The account's plans, oldest first."""
    return session.scalars(oldest_first(BandwidthPlan), {"uid": account.uid}).all()


def modify(
    session: Session,
    account: Account,
    id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    area_a: str | None = None,
    area_b: str | None = None,
) -> None:
    """Rename or describe anew; None leaves as it is.

    CloudError: InvalidName, InvalidDescription, OperationUnsupported.ModifyArea (other areas
    than those of the purchase).
    """
    plan = owned(session, BandwidthPlan, account, id)
    if (area_a or plan.area_a, area_b or plan.area_b) != (plan.area_a, plan.area_b):
        raise CloudError("OperationUnsupported.ModifyArea")
    if name is not None:
        plan.name = names.CEN_NAME.check(name, "InvalidName")
    if description is not None:
        plan.description = names.CEN_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        )


def resize(session: Session, account: Account, id: str, bandwidth: int) -> None:
    """Another bandwidth, not less than what is allocated.

    CloudError: IllegalParam.Bandwidth, InvalidOperation.{BwpBandwidthExceeded,
    BwpBusinessStatus}.
    """
    plan = usable(session, account, id)
    if _sold(bandwidth) < (used := plan.allocated()):
        raise CloudError(
            "InvalidOperation.BwpBandwidthExceeded",
            f"{used} Mbit/s of {plan.id} are allocated, more than {bandwidth}",
            remedy="Give its inter-region connections less bandwidth first.",
        )
    now = utcnow()
    left = (plan.expires_at - now).total_seconds() / metering.MONTH
    if bandwidth > plan.bandwidth:
        metering.record_plan(session, plan, (bandwidth - plan.bandwidth) * left, now)
    plan.bandwidth = bandwidth


def renew(session: Session, account: Account, id: str, months: int) -> BandwidthPlan:
    """So many months more, from its end or, when it has expired, from now.

    CloudError: InvalidCenBandwidthPackageId.NotFound, InvalidParameter (months).
    """
    plan, now = owned(session, BandwidthPlan, account, id), utcnow()
    if _later(max(plan.expires_at, now), _months(months)) > _later(now, MOST_AHEAD):
        raise CloudError("InvalidParameter", f"a plan ends within {MOST_AHEAD} months from now")
    _extend(session, plan, months, now)
    return plan


def renew_itself(session: Session, account: Account, id: str, months: int) -> BandwidthPlan:
    """Let a plan renew itself by so many months whenever it ends; 0: no more.

    One that has expired does so at once. CloudError as `renew`.
    """
    plan, now = owned(session, BandwidthPlan, account, id), utcnow()
    plan.auto_renew_months = months and _months(months)
    if months and plan.is_expired(now):
        _extend(session, plan, months, now)
    return plan


def renew_due(session: Session, now: datetime) -> None:
    """Renew every plan that renews itself and has come to its end, for the operator."""
    due = select(BandwidthPlan).where(
        BandwidthPlan.auto_renew_months > 0, BandwidthPlan.expires_at <= now
    )
    for plan in session.scalars(due):
        _extend(session, plan, plan.auto_renew_months, now)


def next_end(session: Session, now: datetime) -> datetime | None:
    """When the next plan comes to its end."""
    query = select(BandwidthPlan.expires_at).where(BandwidthPlan.expires_at > now)
    return session.scalar(query.order_by(BandwidthPlan.expires_at).limit(1))


def associate(session: Session, account: Account, id: str, cen_id: str) -> None:
    """Give a plan to a CEN of the account; nothing happens if it has it.

    CloudError: InvalidCenId.NotFound, InvalidOperation.{CenInstanceStatus,
    BwpBusinessStatus}, IncorrectStatus.BandwidthPackage (it is another CEN's).
    """
    plan, cen = usable(session, account, id), standing(session, account, cen_id)
    if plan.cen_id not in (None, cen.id):
        raise _given(plan)
    plan.cen_id = cen.id


def unassociate(session: Session, account: Account, id: str, cen_id: str) -> None:
    """Take a plan from its CEN.

    CloudError: InvalidOperation.BwpNotAssociated, DependencyViolation (connections use it).
    """
    plan = owned(session, BandwidthPlan, account, id)
    if plan.cen_id != owned(session, Cen, account, cen_id).id:
        raise CloudError("InvalidOperation.BwpNotAssociated", f"{plan.id} is not given to {cen_id}")
    refuse_if_used(session, plan)
    plan.cen_id = None


def delete(session: Session, account: Account, id: str) -> None:
    """Give up a plan that no CEN has; CloudError (IncorrectStatus.BandwidthPackage)."""
    plan = owned(session, BandwidthPlan, account, id)
    if plan.cen_id is not None:
        raise _given(plan)
    session.delete(plan)


def remaining(session: Session, account: Account, cen_id: str, area_a: str, area_b: str) -> int:
    """Mbit/s between two areas that the CEN's plans have and no connection uses."""
    cen = owned(session, Cen, account, cen_id)
    wanted = span(regions.area(area_a).id, regions.area(area_b).id)
    plans = session.scalars(select(BandwidthPlan).where(BandwidthPlan.cen_id == cen.id))
    return sum(
        plan.bandwidth - plan.allocated()
        for plan in plans
        if plan.span == wanted and not plan.is_expired()
    )


def usable(session: Session, account: Account, id: str) -> BandwidthPlan:
    """The account's plan; CloudError (InvalidOperation.BwpBusinessStatus) if it has expired."""
    plan = owned(session, BandwidthPlan, account, id)
    if plan.is_expired():
        raise CloudError(
            "InvalidOperation.BwpBusinessStatus",
            f"{plan.id} expired on {plan.expires_at:%Y-%m-%d at %H:%M} UTC",
            remedy=Remedy(
                "Renew it with RenewBandwidthPlan of version 2026-11-01, or have the regions"
                " joined by DataTransfer.",
                "Renew it, or choose Pay-By-Data-Transfer.",
            ),
        )
    return plan


def _given(plan: BandwidthPlan) -> CloudError:
    return CloudError(
        "IncorrectStatus.BandwidthPackage",
        f"{plan.id} is given to {plan.cen_id}",
        remedy=f"Take it from {plan.cen_id} first.",
    )


def _sold(bandwidth: int) -> int:
    if not LEAST <= bandwidth <= MOST:
        raise CloudError("IllegalParam.Bandwidth", f"a plan has {LEAST} to {MOST} Mbit/s")
    return bandwidth


def _months(months: int) -> int:
    if not 1 <= months <= MOST_MONTHS:
        raise CloudError("InvalidParameter", f"a plan is for 1 to {MOST_MONTHS} months")
    return months


def _extend(session: Session, plan: BandwidthPlan, months: int, now: datetime) -> None:
    if plan.is_expired(now):
        for connection in plan.connections:
            connection.change()  # it has its bandwidth again
    plan.expires_at = _later(max(plan.expires_at, now), months)
    metering.record_plan(session, plan, plan.bandwidth * months, now)


def _later(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of that month."""
    year, month = divmod(moment.month - 1 + months, 12)
    year += moment.year
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
