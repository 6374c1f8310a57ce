"""What the usage would cost, by a price list: an estimate. `data/prices.json` is an example.

Not counted, because no counter of ours sees it: the fee per GB that a transit router processes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ..errors import UsageError
from .accounts import Account
from .metering import Item, of_account

FILE = Path(__file__).parent / "data/prices.json"
#: Bytes of a GB, as it is billed.
_GB = 2**30


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
    """All costs of an account."""

    note: str
    """What kind of prices these are."""
    currency: str
    costs: tuple[Cost, ...]

    @property
    def total(self) -> float:
        return sum(cost.amount for cost in self.costs)


class PriceList:
    """Prices by unit and, where areas matter, by way."""

    def __init__(self, file: Path = FILE) -> None:
        """Raises UsageError (prices.unreadable)."""
        try:
            raw: dict[str, Any] = json.loads(file.read_text())
            self.note, self.currency = str(raw["note"]), str(raw["currency"])
            self._attachment = float(raw["vpc_attachment_hour"])
            self._plan = {k: float(v) for k, v in raw["bandwidth_plan_mbps_month"].items()}
            self._transfer = {k: float(v) for k, v in raw["data_transfer_gb"].items()}
            _ = self._plan["default"], self._transfer["default"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise UsageError(
                f"the price list {file} cannot be read: {problem!r}", id="prices.unreadable"
            ) from None

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
    prices: PriceList | None = None,
) -> Estimate:
    """What the account would pay for the hours that began in this time."""
    prices = prices or PriceList()
    sums: dict[tuple[Item, str, str], float] = defaultdict(float)
    for row in of_account(session, account, since, until):
        sums[row.item, row.resource_id, row.tariff] += row.quantity
    costs = tuple(prices.cost(*what, quantity) for what, quantity in sums.items())
    return Estimate(prices.note, prices.currency, costs)
