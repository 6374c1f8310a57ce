"""What the vendor sells elsewhere: renewing bandwidth plans; and what the usage would cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ...cloud import CloudError, bandwidth, prices, regions, retention
from ...cloud.bandwidth import BandwidthPlan, Cycle
from ...cloud.metering import Item, Usage
from ...cloud.paging import numbered_list
from ...cloud.prices import PriceList
from ..action import Action, Call, Kind, Param, Product
from ..moments import moment, now, second
from ..paging import PAGING, paged

_PLAN = Param("CenBandwidthPackageId", required=True)
_ORDER_TIME = (
    Param("Period", Kind.INTEGER, default=1, least=1, most=bandwidth.MOST_MONTHS),
    Param("PricingCycle", choices=tuple(c.value for c in Cycle), default="Month"),
)
_AREAS = ("GeographicRegionAId", "GeographicRegionBId")
#: The longest time that an estimate is made for.
_LONGEST = timedelta(days=366)


def _renew(call: Call) -> dict[str, Any]:
    months = Cycle(call["PricingCycle"]).months(call["Period"])
    plan = bandwidth.renew(call.session, call.account, call["CenBandwidthPackageId"], months)
    return _end(plan)


def _renew_itself(call: Call) -> dict[str, Any]:
    months = call["AutoRenewDuration"] if call["AutoRenew"] else 0
    plan = bandwidth.renew_itself(call.session, call.account, call["CenBandwidthPackageId"], months)
    return _end(plan)


def _end(plan: BandwidthPlan) -> dict[str, Any]:
    return {
        "CenBandwidthPackageId": plan.id,
        "ExpiredTime": second(plan.expires_at),
        "AutoRenewDuration": plan.auto_renew_months,
    }


def _estimate(call: Call) -> dict[str, Any]:
    since, until = _time(call)
    found = prices.estimate(call.session, call.account, since, until, PriceList.of(call.cloud))
    lost = retention.complete_since(call.session, call.account, Usage)
    page = numbered_list(found.costs, call["PageNumber"], call["PageSize"])
    return {
        "StartTime": second(found.since),
        "EndTime": second(found.until),
        "CompleteSince": second(lost + timedelta(hours=1)) if lost else "",
        "Currency": found.currency,
        "TotalAmount": round(found.total, 6),
        "Meaning": prices.MEANING,
        "PriceList": found.note,
        "Costs": [_cost(cost) for cost in page.rows],
        **paged(page),
    }


def _time(call: Call) -> tuple[datetime, datetime]:
    """From the beginning of the month until now, unless the call says otherwise."""
    until = moment(call["EndTime"], "EndTime") if call["EndTime"] else now()
    begin = call["StartTime"]
    since = moment(begin, "StartTime") if begin else prices.month_before(until)
    if not since < until <= since + _LONGEST:
        raise CloudError(
            "InvalidParameter", "EndTime is later than StartTime, by a year at the most"
        )
    return since, until


def _plan_price(call: Call) -> dict[str, Any]:
    areas = (regions.area(call[area]).id for area in _AREAS)
    months = Cycle(call["PricingCycle"]).months(call["Period"])
    listed = PriceList.of(call.cloud)
    cost = listed.cost(Item.PLAN, "", bandwidth.span(*areas), call["Bandwidth"] * months)
    return {
        "Currency": listed.currency,
        "Amount": round(cost.amount, 6),
        "PriceList": listed.note,
    }


def _cost(cost: prices.Cost) -> dict[str, Any]:
    return {
        "Item": cost.item.value,
        "ResourceId": cost.resource_id,
        "Quantity": round(cost.quantity, 6),
        "Unit": cost.unit,
        "Price": cost.price,
        "Amount": round(cost.amount, 6),
    }


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "RenewBandwidthPlan",
        "Renew a bandwidth plan from its end or, when it has expired, from now.",
        _renew,
        (_PLAN, *_ORDER_TIME),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(BandwidthPlan.not_found,),
        differences="Connections on an expired plan have their bandwidth again at once.",
    ),
    Action(
        Product.LANDBRIDGE,
        "SetBandwidthPlanAutoRenewal",
        "Let a bandwidth plan renew itself whenever it ends, or not any more.",
        _renew_itself,
        (
            _PLAN,
            Param("AutoRenew", Kind.BOOLEAN, required=True),
            Param("AutoRenewDuration", Kind.INTEGER, default=1, least=1, most=12),
        ),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(BandwidthPlan.not_found,),
        differences="AutoRenewDuration is in months. A plan that has expired is renewed at once.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeBandwidthPlanPrice",
        "Say what a bandwidth plan would cost by the price list.",
        _plan_price,
        (
            Param(
                "Bandwidth",
                Kind.INTEGER,
                required=True,
                least=bandwidth.LEAST,
                most=bandwidth.MOST,
                code="IllegalParam.Bandwidth",
            ),
            *(Param(area, required=True) for area in _AREAS),
            *_ORDER_TIME,
        ),
        errors=("IllegalParam.Bandwidth",),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeCostEstimate",
        "Estimate what the account's networks would cost, from what was counted and a price list.",
        _estimate,
        (Param("StartTime"), Param("EndTime"), *PAGING),
        differences="From the beginning of the month until now, unless told otherwise. Meaning says"
        " what is in it and what is not. CompleteSince: from when on nothing that was counted was"
        " removed (docs/accounts.md); empty if nothing ever was.",
    ),
)
