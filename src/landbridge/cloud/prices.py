"""What the usage would cost, by a price list: an estimate, nobody is charged.

`data/prices.json` is an example; an operator's own list lies in `STATE/cloud/prices.json`.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy.orm import Session

from ..errors import UsageError
from .accounts import Account
from .control import Cloud
from .metering import Item, of_account

FILE = Path(__file__).parent / "data/prices.json"
#: Bytes of a GB, as it is billed.
_GB = 2**30
#: What an estimate is and is not.
MEANING = (
    "An estimate: hours of attachments, orders of bandwidth plans and bytes of inter-region"
    " connections, as counted, times the prices of the list. Not in it: instances, and the fee per"
    " GB that a transit router processes, which nothing counts. Nobody is charged."
)


@dataclass(frozen=True)
class Cost:
    """What one thing costs in the time asked for."""

    item: Item
    resource_id: str
    quantity: float
    unit: str
    price: float
    """Of one unit."""

    @property
    def amount(self) -> float:
        return self.quantity * self.price


@dataclass(frozen=True)
class Estimate:
    """All costs of an account for the hours that began in a time."""

    since: datetime
    until: datetime
    """Itself not in it."""
    note: str
    """What kind of prices these are."""
    currency: str
    costs: tuple[Cost, ...]

    @property
    def total(self) -> float:
        return sum(cost.amount for cost in self.costs)

    def as_dict(self) -> dict[str, Any]:
        """The estimate as it appears in JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "currency": self.currency,
            "total": self.total,
            "meaning": MEANING,
            "prices": self.note,
            "costs": [
                {
                    "item": cost.item.value,
                    "resource": cost.resource_id,
                    "quantity": cost.quantity,
                    "unit": cost.unit,
                    "price": cost.price,
                    "amount": cost.amount,
                }
                for cost in self.costs
            ],
        }


class PriceList:
    """Prices by unit and, where areas matter, by way."""

    def __init__(self, file: Path = FILE) -> None:
        """Raises UsageError (prices.unreadable)."""
        try:
            raw: dict[str, Any] = json.loads(file.read_text())
            self.note, self.currency = str(raw["note"]), str(raw["currency"])
            self._attachment = _price(raw["vpc_attachment_hour"])
            self._plan = {k: _price(v) for k, v in raw["bandwidth_plan_mbps_month"].items()}
            self._transfer = {k: _price(v) for k, v in raw["data_transfer_gb"].items()}
            _ = self._plan["default"], self._transfer["default"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise UsageError(
                f"the price list {file} cannot be read: {problem!r}", id="prices.unreadable"
            ) from None

    @classmethod
    def of(cls, cloud: Cloud) -> Self:
        """The operator's list if there is one, otherwise the example."""
        own = cloud.folder / "prices.json"
        return cls(own if own.exists() else FILE)

    def cost(self, item: Item, resource: str, tariff: str, quantity: float) -> Cost:
        """What so much of an item costs."""
        if item is Item.ATTACHMENT:
            return Cost(item, resource, quantity, "hour", self._attachment)
        if item is Item.PLAN:
            price = self._plan.get(tariff, self._plan["default"])
            return Cost(item, resource, quantity, "Mbit/s month", price)
        price = self._transfer.get(tariff, self._transfer["default"])
        return Cost(item, resource, quantity / _GB, "GB", price)


def estimate(
    session: Session,
    account: Account,
    since: datetime,
    until: datetime,
    prices: PriceList,
) -> Estimate:
    """What the account would pay for the hours that began in this time."""
    sums: dict[tuple[Item, str, str], float] = defaultdict(float)
    for row in of_account(session, account, since, until):
        sums[row.item, row.resource_id, row.tariff] += row.quantity
    costs = tuple(prices.cost(*what, quantity) for what, quantity in sums.items())
    return Estimate(since, until, prices.note, prices.currency, costs)


def month_before(until: datetime) -> datetime:
    """When the month began whose last moment so far is just before `until`."""
    last = until - timedelta(microseconds=1)
    return last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _price(value: Any) -> float:
    price = float(value)
    if not (math.isfinite(price) and price >= 0):
        raise ValueError(f"{value!r} is no price")
    return price
