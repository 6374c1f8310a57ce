"""The bandwidth plans of a CEN instance: buying, changing, renewing, giving up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ...cloud.bandwidth import LEAST, MOST
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from . import cen
from .asking import confirm, confirmed
from .cens import NAME_RULE

_Row = dict[str, Any]
_TAB = "bandwidth-plans"
#: Value of an order time -> its words, cycle and number.
_TIMES = {
    **{f"{n}m": (f"{n} months" if n > 1 else "1 month", "Month", n) for n in (1, 2, 3, 6, 9)},
    **{f"{n}y": (f"{n} years" if n > 1 else "1 year", "Year", n) for n in (1, 2, 3)},
}
_TIME = Field(
    "OrderTime", "Order time", Kind.CHOICE, required=True, default="1m", reload=True,
    options=tuple(Option(value, words) for value, (words, *_) in _TIMES.items()),
)  # fmt: skip
_BANDWIDTH = Field("Bandwidth", "Bandwidth", Kind.NUMBER, required=True, least=LEAST, most=MOST,
                   unit="Mbit/s", rule=f"{LEAST} to {MOST:,} Mbit/s.",
                   help="100 Mbit/s copy some 40 GB an hour.")  # fmt: skip
_CODES = {
    "IllegalParam.Bandwidth": "Bandwidth",
    "InvalidOperation.BwpBandwidthExceeded": "Bandwidth",
    "InvalidName": "Name",
}


def of_cen(visit: Visit) -> list[_Row]:
    """The plans that the CEN has."""
    return _plans(visit, [{"Key": "CenId", "Value": [visit["id"]]}])


def _plans(visit: Visit, only: list[dict[str, Any]]) -> list[_Row]:
    rows = visit.every(
        "cbn.DescribeCenBandwidthPackages",
        lambda answer: answer["CenBandwidthPackages"]["CenBandwidthPackage"],
        Filter=only,
    )
    names = {area.id: area.name for area in regions.areas().values()}
    for row in rows:
        row["Areas"] = [names[row[f"GeographicRegion{end}Id"]] for end in "AB"]
        row["Allocated"] = sum(
            each["BandwidthLimit"]
            for each in row["OrginInterRegionBandwidthLimits"]["OrginInterRegionBandwidthLimit"]
        )
        row["Said"] = "Expired" if row["BusinessStatus"] != "Normal" else row["Status"]
    return rows


def _one(visit: Visit) -> _Row:
    found = _plans(visit, [{"Key": "CenBandwidthPackageId", "Value": [visit["plan"]]}])
    if not found:
        raise CloudError("InvalidCenBandwidthPackageId.NotFound")
    return found[0]


def _show(visit: Visit) -> Response:
    idle = _plans(visit, [{"Key": "Status", "Value": ["Idle"]}])
    return cen.tab_page(
        visit, "cen_plans.html", _TAB, live=2, cen=cen.found(visit), plans=of_cen(visit), idle=idle
    )


def _purchase_form(visit: Visit) -> Form:
    areas = tuple(Option(area.id, area.name) for area in regions.areas().values())
    return Form(
        (
            Field("CenId", "CEN ID", Kind.FIXED, default=visit["id"],
                  help="The bandwidth plan is associated with it automatically."),
            Field("GeographicRegionAId", "Area A", Kind.CHOICE, options=areas, required=True,
                  default="China", reload=True,
                  help="The areas cannot be changed after the purchase."),
            Field("GeographicRegionBId", "Area B", Kind.CHOICE, options=areas, required=True,
                  default="China", reload=True),
            Field("ChargeType", "Billing Method", Kind.FIXED, default="PREPAY",
                  options=(Option("PREPAY", "Pay-By-Bandwidth"),)),
            replace(_BANDWIDTH, default="10", reload=True),
            Field("Name", "Bandwidth Package Name", least=2, most=128,
                  pattern=r"\p{L}[\p{L}\p{Nd}_\-]{1,127}", rule=f"{NAME_RULE[:-1]}; or empty."),
            _TIME,
            Field("AutoRenew", "Auto-renewal", Kind.CHECK,
                  help="Renews itself month by month when it ends."),
        ),
        _CODES,
    )  # fmt: skip


def _agreed(price: _Row) -> Field:
    """What is confirmed; called after the price, so that no other one is agreed to with it."""
    said = f"{price['Amount']:,.2f} {price['Currency']}"
    name = f"agreed-{round(price['Amount'] * 100)}"
    return Field(name, f"Buy it for {said}", Kind.CHECK, required=True)


def _with_price(visit: Visit, form: Form) -> tuple[Form, _Row | None]:
    """The form, with what is to be confirmed once it is filled in; the price."""
    price = _price(visit, form)
    if price is not None and form.fields[-1].name == "AutoRenew":
        agreed = _agreed(price)
        form.fields = (*form.fields, agreed)
        form.values[agreed.name] = visit.form.get(agreed.name, "")
    return form, price


def _far(visit: Visit, form: Form) -> list[str]:
    """Areas that were chosen, in which the CEN instance joins nothing."""
    there = {regions.region(row["RegionId"]).area.id for row in cen.routers(visit)}
    asked = {form.value(f"GeographicRegion{end}Id") for end in "AB"}
    return [
        a.name for a in regions.areas().values() if a.id in asked and there and a.id not in there
    ]


def _purchase(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    cen.found(visit)
    if form is None:
        form = _purchase_form(visit)
        form.values = {**visit.query}
    form, price = _with_price(visit, form)
    asked = cen.asked(
        visit, "Purchase Bandwidth Plan (Subscription)", "Buy Now", _TAB,
        "So many Mbit/s between the regions of two areas, paid for the whole order time.",
    )  # fmt: skip
    return asked.page(visit, form, status, "cen_purchase.html", price=price, far=_far(visit, form))


def _price(visit: Visit, form: Form) -> _Row | None:
    """What the plan would cost by the price list; None while the form is not filled in."""
    try:
        return visit.call("landbridge.DescribeBandwidthPlanPrice", **_ordered(form))
    except CloudError:
        return None


def _ordered(form: Form) -> dict[str, Any]:
    _, cycle, number = _TIMES.get(form.value("OrderTime"), ("", "", 0))
    names = ("GeographicRegionAId", "GeographicRegionBId", "Bandwidth")
    return {**{n: form.value(n) for n in names}, "PricingCycle": cycle, "Period": number}


def _buy(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    cen.found(visit)
    form, price = _with_price(visit, _purchase_form(visit).filled(visit.form))
    if price is not None and form.value(form.fields[-1].name) != "true":
        form.errors[form.fields[-1].name] = "Select this check box to buy it; nothing was bought."
        return _purchase(visit, form, 422)
    try:
        made = visit.call(
            "cbn.CreateCenBandwidthPackage",
            BandwidthPackageChargeType="PREPAY",
            Name=form.value("Name"),
            AutoRenew=form.value("AutoRenew") == "true",
            **_ordered(form),
        )
    except CloudError as problem:
        return _purchase(visit, form, form.refuse(problem))
    plan = made["CenBandwidthPackageId"]
    said = f"{plan} was bought and is associated with {visit['id']}."
    try:
        _give(visit, plan)
    except CloudError as problem:
        said = f"{plan} was bought but not associated: {problem.message}."
    return visit.go(url("cen", visit["id"], _TAB), said)


def _give(visit: Visit, plan: str) -> None:
    visit.call("cbn.AssociateCenBandwidthPackage", CenId=visit["id"], CenBandwidthPackageId=plan)


def _associate(visit: Visit) -> Response:
    _give(visit, visit["plan"])
    return visit.go(url("cen", visit["id"], _TAB), f"{visit['plan']} is associated.")


def _resize_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    plan = _one(visit)
    if form is None:
        form = Form((_BANDWIDTH,), _CODES, {"Bandwidth": str(plan["Bandwidth"])})
    intro = f"{plan['Allocated']} of {plan['Bandwidth']} Mbit/s are allocated; it cannot be less."
    return cen.asked(visit, "Modify Bandwidth", "OK", _TAB, intro).page(visit, form, status)


def _resize(visit: Visit) -> Response:
    form = Form((_BANDWIDTH,), _CODES).filled(visit.form)
    try:
        visit.call(
            "cbn.ModifyCenBandwidthPackageSpec", CenBandwidthPackageId=visit["plan"],
            **form.arguments(),
        )  # fmt: skip
    except CloudError as problem:
        return _resize_form(visit, form, form.refuse(problem))
    said = f"{visit['plan']} has {form.value('Bandwidth')} Mbit/s now."
    return visit.go(url("cen", visit["id"], _TAB), said)


_RENEWAL = Form(
    (
        replace(_TIME, reload=False, help="From its end or, when it has expired, from now."),
        Field("AutoRenew", "Auto-renewal", Kind.CHECK, help="Renews itself month by month."),
    )
)  # fmt: skip


def _renew_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    plan = _one(visit)
    if form is None:
        renews = bool(plan.get("AutoRenewDuration"))
        form = Form(_RENEWAL.fields, values={"AutoRenew": "true" if renews else ""})
    return cen.asked(visit, "Renew Bandwidth Plan", "Renew", _TAB).page(visit, form, status)


def _renew(visit: Visit) -> Response:
    form = _RENEWAL.filled(visit.form)
    _, cycle, number = _TIMES.get(form.value("OrderTime"), ("", "", 0))
    plan = {"CenBandwidthPackageId": visit["plan"]}
    try:
        visit.call("landbridge.RenewBandwidthPlan", PricingCycle=cycle, Period=number, **plan)
        again = form.value("AutoRenew") == "true"
        visit.call("landbridge.SetBandwidthPlanAutoRenewal", AutoRenew=again, **plan)
    except CloudError as problem:
        return _renew_form(visit, form, form.refuse(problem))
    return visit.go(url("cen", visit["id"], _TAB), f"{visit['plan']} was renewed.")


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    plan = _one(visit)
    intro = "What was paid stays paid. Delete the inter-region connections that use it first."
    asked = cen.asked(visit, "Delete Bandwidth Plan", "Delete", _TAB, intro, danger=True)
    return asked.page(visit, form or confirm("delete", plan["CenBandwidthPackageId"]), status)


def _delete(visit: Visit) -> Response:
    plan = _one(visit)
    id = plan["CenBandwidthPackageId"]

    def act() -> None:
        for owner in plan["CenIds"]["CenId"]:
            visit.call("cbn.UnassociateCenBandwidthPackage", CenId=owner, CenBandwidthPackageId=id)
        visit.call("cbn.DeleteCenBandwidthPackage", CenBandwidthPackageId=id)

    again = confirmed(visit, "delete", id, _delete_form, act)
    return again or visit.go(url("cen", visit["id"], _TAB), f"{id} was deleted.")


_BASE = f"/cen/{{id}}/{_TAB}"
PAGES = (
    Page(_BASE, _show),
    Page(f"{_BASE}/purchase", _purchase, _buy),
    Page(f"{_BASE}/{{plan}}/associate", send=_associate),
    Page(f"{_BASE}/{{plan}}/bandwidth", _resize_form, _resize),
    Page(f"{_BASE}/{{plan}}/renew", _renew_form, _renew),
    Page(f"{_BASE}/{{plan}}/delete", _delete_form, _delete),
)
