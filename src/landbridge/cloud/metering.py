"""What was used, by whom it is paid and when: the ledger that costs are estimated from.

Traffic is what the network's own counters say. An attachment counts by started hours. A plan
counts when it is ordered, for its whole order time. Rows outlive the things they tell of.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..network.fabric import Meter
from ..store import Base
from .accounts import Account

if TYPE_CHECKING:
    from .attachments import Attachment
    from .bandwidth import BandwidthPlan
    from .lines import Connection

#: Seconds of a month where a part of one counts.
MONTH = 30 * 24 * 3600
_HOUR = timedelta(hours=1)


class Item(Enum):
    """What is counted, and in which unit."""

    PLAN = "bandwidth-plan"
    """Mbit/s times months."""
    TRANSFER = "data-transfer"
    """Bytes that left a transit router, both directions together."""
    ATTACHMENT = "vpc-attachment"
    """Started hours."""


class Usage(Base):
    """So much of one thing in one hour."""

    __tablename__ = "usage_hour"

    payer_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    """The moment it began."""
    item: Mapped[Item] = mapped_column(primary_key=True)
    resource_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tariff: Mapped[str] = mapped_column(String(80), primary_key=True)
    """Which price counts, like `europe_china`; empty where there is one price."""
    quantity: Mapped[float] = mapped_column(default=0.0)


def of_account(
    session: Session, account: Account, since: datetime, until: datetime
) -> Sequence[Usage]:
    """What the account pays for of the hours that began in this time, oldest first."""
    return session.scalars(
        select(Usage)
        .where(Usage.payer_uid == account.uid, Usage.hour >= since, Usage.hour < until)
        .order_by(Usage.hour, Usage.item, Usage.resource_id, Usage.tariff)
    ).all()


def record_plan(session: Session, plan: BandwidthPlan, quantity: float, now: datetime) -> None:
    """An order of a plan: `quantity` Mbit/s times months."""
    _row(session, plan.owner_uid, now, Item.PLAN, plan.id, plan.span).quantity += quantity


def record_attachment(session: Session, attachment: Attachment, now: datetime) -> None:
    """Count the hours of a standing attachment up to now; each once."""
    hour = _hour(attachment.counted_until or now)
    while hour <= now:
        row = _row(session, attachment.payer_uid, hour, Item.ATTACHMENT, attachment.id, "")
        row.quantity = 1.0
        hour += _HOUR
    attachment.counted_until = now


def record_traffic(session: Session, connection: Connection, meter: Meter, now: datetime) -> None:
    """Count what a connection has carried since the last time.

    `meter` counts from when the line was made: it may have been made anew.
    """
    out = _grown(connection.last_out, meter.a_to_b)
    back = _grown(connection.last_back, meter.b_to_a)
    connection.last_out, connection.last_back = meter.a_to_b, meter.b_to_a
    connection.bytes_out += out
    connection.bytes_back += back
    if connection.plan_id is None and out + back:
        tariff = f"{connection.span}:{connection.line_type.value}"
        owner = connection.owner_uid
        row = _row(session, owner, now, Item.TRANSFER, connection.id, tariff)
        row.quantity += out + back


def _grown(last: int, now: int) -> int:
    return now - last if now >= last else now


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _row(
    session: Session, payer: int, moment: datetime, item: Item, resource: str, tariff: str
) -> Usage:
    key = (payer, _hour(moment), item, resource, tariff)
    row = session.get(Usage, key)
    if row is None:
        row = Usage(
            payer_uid=payer, hour=_hour(moment), item=item, resource_id=resource, tariff=tariff,
            quantity=0.0,
        )  # fmt: skip
        session.add(row)
        session.flush()
    return row
