"""The inter-region connections of a CEN instance: bandwidth between two regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from . import cen, cen_plans, topology
from .asking import confirm, confirmed

_Row = dict[str, Any]
_TAB = "connections"
_PLAN, _TRANSFER = "BandwidthPackage", "DataTransfer"
_GOLD, _PLATINUM = "Gold", "Platinum"
MODES = {_PLAN: "Allocate from Bandwidth Plan", _TRANSFER: "Pay-By-Data-Transfer"}
_CODES = {
    "IllegalParam.Bandwidth": "Bandwidth",
    "MissingParam.Bandwidth": "Bandwidth",
    "QuotaExceeded.Bandwidth": "Bandwidth",
    "InvalidOperation.BwpBandwidthExceeded": "Bandwidth",
    "IllegalParam.BandwidthType": "BandwidthType",
    "IllegalParam.CenBandwidthPackageId": "CenBandwidthPackageId",
    "InvalidOperation.BwpNotAssociated": "CenBandwidthPackageId",
    "InvalidOperation.BwpBusinessStatus": "CenBandwidthPackageId",
    "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold": "DefaultLinkType",
    "EntityAlreadyExists.PeerAttachment": "PeerRegionId",
    "IllegalParam.PeerTransitRouterId": "PeerRegionId",
    "IllegalParam.PeerRegionId": "PeerRegionId",
    "InvalidPeerTransitRouterId.NotFound": "PeerRegionId",
}


def _show(visit: Visit) -> Response:
    return cen.tab_page(
        visit,
        "cen_lines.html",
        _TAB,
        live=2,
        cen=cen.found(visit),
        lines=cen.lines(visit),
        routers=cen.routers(visit),
        modes=MODES,
        traffic=topology.lines_with_traffic(visit),
        curve=topology.curve,
    )


def _bandwidth(
    visit: Visit, given: Mapping[str, str], span: frozenset[str], line: _Row | None = None
) -> list[Field]:
    """The fields that say where a connection's bandwidth comes from.

    What `line` itself has of its plan is free for it.
    """
    mode = given.get("BandwidthType", _PLAN)
    names = {area.id: area.name for area in regions.areas().values()}
    plans = [
        plan
        for plan in cen_plans.of_cen(visit)
        if frozenset((plan["GeographicRegionAId"], plan["GeographicRegionBId"])) == span
    ]
    own = given.get("CenBandwidthPackageId", "")
    options = tuple(
        Option(plan["CenBandwidthPackageId"], plan["Name"] or plan["CenBandwidthPackageId"],
               "expired" if plan["Said"] == "Expired" else
               f"{_free(plan, line)} of {plan['Bandwidth']} Mbit/s free",
               disabled=plan["Said"] == "Expired")
        for plan in plans
    )  # fmt: skip
    between = " and ".join(sorted(names[area] for area in span))
    none = f"No bandwidth plan for {between}: purchase one first, or pay by data transfer."
    default = options[0].value if len(options) == 1 and not own else ""
    is_plan = mode == _PLAN
    fields = [
        Field("BandwidthType", "Bandwidth Allocation Mode", Kind.RADIO, default=_PLAN, reload=True,
              options=tuple(Option(value, words) for value, words in MODES.items())),
    ]  # fmt: skip
    if is_plan:
        fields.append(
            Field("CenBandwidthPackageId", "Bandwidth Plan", Kind.CHOICE, options=options,
                  required=True, default=default,
                  help=none if span and not options else "")
        )  # fmt: skip
    return [
        *fields,
        Field("Bandwidth", "Bandwidth", Kind.NUMBER, required=True, least=1, most=10_000,
              unit="Mbit/s", rule="1 to 10,000 Mbit/s, in each direction."),
        Field("DefaultLinkType", "Default Line Type", Kind.RADIO, default=_GOLD,
              options=(
                  Option(_PLATINUM, _PLATINUM,
                         "Only with Pay-By-Data-Transfer." if is_plan else "The best line.",
                         disabled=is_plan),
                  Option(_GOLD, _GOLD, "Standard quality."))),
    ]  # fmt: skip


def _free(plan: _Row, line: _Row | None) -> int:
    """Mbit/s of a plan that are nobody's, or the line's own."""
    left: int = plan["Bandwidth"] - plan["Allocated"]
    is_own = line and line["CenBandwidthPackageId"] == plan["CenBandwidthPackageId"]
    return left + (line["Bandwidth"] if line and is_own else 0)


def _span(*places: str) -> frozenset[str]:
    """The areas of regions."""
    known = regions.regions()
    return frozenset(known[place].area.id for place in places if place in known)


def _allocation(visit: Visit, given: Mapping[str, str]) -> Form:
    routers = {row["RegionId"]: row for row in cen.routers(visit)}
    values = dict(given)
    if len(routers) == 2 and "RegionId" not in values:
        values["RegionId"], values["PeerRegionId"] = routers
    if values.get("BandwidthType", _PLAN) == _PLAN:
        values["DefaultLinkType"] = _GOLD
    here, there = (values.get(name, "") for name in ("RegionId", "PeerRegionId"))
    where = [Option(id, regions.region(id).name) for id in routers]
    fields = [
        Field("InstanceType", "Instance Type", Kind.FIXED, default="TR",
              options=(Option("TR", "Inter-region Connection"),)),
        Field("RegionId", "Region", Kind.CHOICE, required=True, reload=True, options=tuple(where)),
        _router("TransitRouter", "Transit Router", routers.get(here)),
        Field("PeerRegionId", "Peer Region", Kind.CHOICE, required=True, reload=True,
              options=tuple(option for option in where if option.value != here)),
        _router("PeerTransitRouter", "Transit Router of the peer region", routers.get(there)),
        *_bandwidth(visit, values, _span(here, there) if here and there else frozenset()),
        Field("TransitRouterAttachmentName", "Connection Name", most=128,
              rule="At most 128 characters; or empty."),
    ]  # fmt: skip
    return Form(tuple(fields), _CODES, values)


def _router(name: str, label: str, row: _Row | None) -> Field:
    known = Option("", row["TransitRouterId"]) if row else Option("", "Choose the region")
    return Field(name, label, Kind.FIXED, options=(known,), help="Identified automatically.")


def _allocate_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    cen.found(visit)
    asked = cen.asked(
        visit, "Connection with Peer Network Instance", "OK", _TAB,
        "How much may pass between two regions, in each direction.",
    )  # fmt: skip
    return asked.page(visit, form or _allocation(visit, visit.query), status)


def _allocate(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    given = visit.given
    form = _allocation(visit, given)
    routers = {row["RegionId"]: row["TransitRouterId"] for row in cen.routers(visit)}
    here, there = given.get("RegionId", ""), given.get("PeerRegionId", "")
    for name, region in (("RegionId", here), ("PeerRegionId", there)):
        if region not in routers:
            form.errors[name] = "Choose a region in which a network instance is connected."
            return _allocate_form(visit, form, 422)
    try:
        visit.call(
            "cbn.CreateTransitRouterPeerAttachment",
            CenId=visit["id"],
            TransitRouterId=routers[here],
            PeerTransitRouterId=routers[there],
            PeerTransitRouterRegionId=there,
            **_order(given),
            TransitRouterAttachmentName=given.get("TransitRouterAttachmentName"),
        )
    except CloudError as problem:
        return _allocate_form(visit, form, form.refuse(problem))
    said = f"{regions.region(here).name} and {regions.region(there).name} are being joined."
    return visit.go(url("cen", visit["id"], _TAB), said)


def _order(given: Mapping[str, str]) -> dict[str, str]:
    names = ["BandwidthType", "Bandwidth", "DefaultLinkType"]
    if given.get("BandwidthType") == _PLAN:
        names.append("CenBandwidthPackageId")
    return {name: given.get(name, "") for name in names}


def _one(visit: Visit) -> _Row:
    for row in cen.lines(visit):
        if row["TransitRouterAttachmentId"] == visit["line"]:
            return row
    raise CloudError("InvalidTransitRouterAttachmentId.NotFound")


def _words(row: _Row) -> str:
    names = (regions.region(row[key]).name for key in ("RegionId", "PeerTransitRouterRegionId"))
    return " and ".join(names)


def _change_values(visit: Visit, row: _Row, given: Mapping[str, str]) -> Form:
    names = ("BandwidthType", "Bandwidth", "CenBandwidthPackageId", "DefaultLinkType")
    values = {**{name: str(row[name]) for name in names}, **given}
    if values["BandwidthType"] == _PLAN:
        values["DefaultLinkType"] = _GOLD
    span = _span(row["RegionId"], row["PeerTransitRouterRegionId"])
    return Form(tuple(_bandwidth(visit, values, span, row)), _CODES, values)


def _change_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    row = _one(visit)
    intro = f"Between {_words(row)}. What runs over the line is not interrupted."
    asked = cen.asked(visit, "Modify Inter-region Connection", "OK", _TAB, intro)
    return asked.page(visit, form or _change_values(visit, row, visit.query), status)


def _change(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    given = visit.given
    form = _change_values(visit, _one(visit), given)
    try:
        visit.call(
            "cbn.UpdateTransitRouterPeerAttachmentAttribute",
            TransitRouterAttachmentId=visit["line"],
            **_order(given),
        )
    except CloudError as problem:
        return _change_form(visit, form, form.refuse(problem))
    return visit.go(url("cen", visit["id"], _TAB), "The connection is being changed.")


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    row = _one(visit)
    intro = (
        f"Only 1 kbit/s passes between {_words(row)} then: a migration over it comes to a stop,"
        " and the source keeps its WAL until they are joined again."
    )
    asked = cen.asked(visit, "Delete Inter-region Connection", "Delete", _TAB, intro, danger=True)
    return asked.page(visit, form or confirm("delete", visit["line"]), status)


def _delete(visit: Visit) -> Response:
    line = visit["line"]
    again = confirmed(
        visit, "delete", line, _delete_form,
        lambda: visit.call("cbn.DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=line),
    )  # fmt: skip
    return again or visit.go(url("cen", visit["id"], _TAB), f"{line} is being deleted.")


_BASE = f"/cen/{{id}}/{_TAB}"
PAGES = (
    Page(_BASE, _show),
    Page(f"{_BASE}/allocate", _allocate_form, _allocate),
    Page(f"{_BASE}/{{line}}/change", _change_form, _change),
    Page(f"{_BASE}/{{line}}/delete", _delete_form, _delete),
)
