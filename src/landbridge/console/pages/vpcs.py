"""VPCs: the list, making one with its vSwitches, and what one consists of."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, Crumbs, confirm, confirmed

_Row = dict[str, Any]
#: (last part of the address, label)
TABS = (
    ("", "Basic Information"),
    ("route-table", "Route Table"),
    ("authorization", "Cross-account Authorization"),
)
_BLOCK = r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}"
_BLOCK_RULE = "Like 10.1.0.0/16, with a mask of 16 to 28 bits."
_INSIDE_RULE = "Inside the VPC's block, like 10.1.1.0/24, with a mask of 16 to 29 bits."


def every(visit: Visit) -> list[_Row]:
    """The account's VPCs of all regions, newest first."""
    return visit.every("landbridge.ListVpcs", lambda answer: answer["Vpcs"])


def found(visit: Visit) -> _Row:
    """The VPC that the address names. CloudError (InvalidVpcId.NotFound)."""
    rows: list[_Row] = visit.call("landbridge.ListVpcs", VpcId=visit["id"])["Vpcs"]
    if not rows:
        raise CloudError("InvalidVpcId.NotFound")
    return rows[0]


def attachment(visit: Visit, vpc: str) -> _Row | None:
    """How the VPC is connected to a CEN, its owner's own or another account's."""
    rows = visit.tokens(
        "cbn.ListTransitRouterVpcAttachments",
        lambda answer: answer["TransitRouterAttachments"],
        VpcId=vpc,
    )
    return rows[0] if rows else None


def tab_page(visit: Visit, template: str, tab: str, **facts: Any) -> Response:
    """A tab of the VPC."""
    id = visit["id"]
    return visit.page(
        template,
        live=2,
        tabs=[(url("vpc", id, last), label) for last, label in TABS],
        here=url("vpc", id, tab),
        **facts,
    )


def asked(
    visit: Visit, heading: str, button: str, tab: str = "", intro: str = "", danger: bool = False
) -> Asked:
    """A form about the VPC, which leads back to a tab of it."""
    id = visit["id"]
    crumbs: Crumbs = [(url("vpc"), "VPCs"), (url("vpc", id), id)]
    return Asked(heading, button, url("vpc", id, tab), crumbs, intro, danger)


def _list(visit: Visit) -> Response:
    attached = visit.tokens(
        "cbn.ListTransitRouterVpcAttachments", lambda answer: answer["TransitRouterAttachments"]
    )
    joined = {row["VpcId"]: row for row in attached}
    return visit.page("vpcs.html", live=2, vpcs=every(visit), joined=joined)


def _show(visit: Visit) -> Response:
    vpc = found(visit)
    return tab_page(
        visit,
        "vpc.html",
        "",
        vpc=vpc,
        vswitches=_vswitches(visit, vpc),
        instances=instances(visit, vpc["VpcId"]),
        attachment=attachment(visit, vpc["VpcId"]),
        zone=lambda id: regions.region(vpc["RegionId"]).zone_name(id),
    )


def instances(visit: Visit, vpc: str) -> list[_Row]:
    """The account's instances in a VPC."""
    return visit.every("landbridge.ListDBInstances", lambda answer: answer["Items"], VpcId=vpc)


def _vswitches(visit: Visit, vpc: _Row) -> list[_Row]:
    return visit.every(
        "vpc.DescribeVSwitches", lambda answer: answer["VSwitches"]["VSwitch"],
        RegionId=vpc["RegionId"], VpcId=vpc["VpcId"],
    )  # fmt: skip


def _routes(visit: Visit) -> Response:
    vpc = found(visit)
    region = vpc["RegionId"]
    tables = visit.call("vpc.DescribeRouteTableList", RegionId=region, VpcId=vpc["VpcId"])
    table = tables["RouterTableList"]["RouterTableListType"][0]["RouteTableId"]
    entries = visit.call(
        "vpc.DescribeRouteEntryList", RegionId=region, RouteTableId=table, MaxResult=100
    )
    rows = entries["RouteEntrys"]["RouteEntry"]
    return tab_page(visit, "vpc_routes.html", "route-table", vpc=vpc, table=table, routes=rows)


def _vswitch_fields(region: str, number: int | None = None) -> tuple[Field, ...]:
    """The fields of one vSwitch; of the second one in a row all may be empty."""
    begin, which = (f"{number}.", f" of vSwitch {number}") if number else ("", "")
    must = number != 2
    place = regions.regions().get(region)
    zones = tuple(Option(z, place.zone_name(z)) for z in place.zones) if place else ()
    note = " Leave all three empty for one vSwitch only." if number == 2 else ""
    return (
        Field(f"{begin}ZoneId", f"Zone{which}", Kind.CHOICE, options=zones, required=must,
              help="" if place else "Choose the region first."),
        Field(f"{begin}CidrBlock", f"CIDR block{which}", required=must, pattern=_BLOCK,
              rule=_INSIDE_RULE, help="" if must else note.strip()),
        Field(f"{begin}VSwitchName", f"Name{which}", most=128,
              rule="At most 128 characters; or empty."),
    )  # fmt: skip


def _creation(given: dict[str, str]) -> Form:
    where = tuple(Option(r.id, r.name) for r in regions.regions().values())
    region = given.get("RegionId", "")
    form = Form(
        (
            Field("RegionId", "Region", Kind.CHOICE, options=where, required=True, reload=True),
            Field("VpcName", "Name", most=128, rule="At most 128 characters; or empty."),
            Field("CidrBlock", "IPv4 CIDR block", required=True, pattern=_BLOCK, rule=_BLOCK_RULE,
                  placeholder="10.1.0.0/16",
                  help="A private one: what a public one stands for cannot be reached from it. Not"
                  " that of the VPC on the other side of a migration, nor a part of it."),
            Field("Description", "Description", most=256,
                  rule="At most 256 characters, not beginning with http:// or https://; or empty."),
            *_vswitch_fields(region, 1),
            *_vswitch_fields(region, 2),
        ),
        {"InvalidVpcName.Malformed": "VpcName", "InvalidCidrBlock.Malformed": "CidrBlock",
         "InvalidRegionId.NotFound": "RegionId", "InvalidVpcDiscription.Malformed": "Description"},
        dict(given),
    )  # fmt: skip
    zones = regions.regions()[region].zones if region in regions.regions() else ()
    for name in ("1.ZoneId", "2.ZoneId"):
        if form.values.get(name, "") not in zones:
            form.values.pop(name, None)
    return form


def _create_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    page = Asked("Create VPC", "OK", url("vpc"), [(url("vpc"), "VPCs")],
                 "A private network with a vSwitch in each zone in use.")  # fmt: skip
    return page.page(visit, form or _creation(dict(visit.query)), status)


def _create(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    given = visit.given
    form = _creation(given)
    names = ("RegionId", "VpcName", "CidrBlock", "Description")
    if not given.get("CidrBlock"):
        form.errors["CidrBlock"] = _BLOCK_RULE
        return _create_form(visit, form, 422)
    try:
        made = visit.call("vpc.CreateVpc", **{name: given.get(name) for name in names})
    except CloudError as problem:
        return _create_form(visit, form, form.refuse(problem))
    vpc, vswitches = made["VpcId"], []
    for number in "12":
        values = {n: given.get(f"{number}.{n}") for n in ("ZoneId", "CidrBlock", "VSwitchName")}
        if number == "2" and not any(values.values()):
            continue
        try:
            vswitches.append(visit.call("vpc.CreateVSwitch", VpcId=vpc, **values)["VSwitchId"])
        except CloudError as problem:
            _take_back(visit, vpc, vswitches)
            form.codes = {code: f"{number}.{name}" for code, name in _VSWITCH_CODES.items()}
            form.codes["MissingParameter"] = f"{number}.{problem.message.partition(' ')[0]}"
            return _create_form(visit, form, form.refuse(problem))
    return visit.go(url("vpc", vpc), f"{vpc} was created.")


_VSWITCH_CODES = {
    "InvalidZoneId.NotFound": "ZoneId",
    "InvalidCidrBlock.Malformed": "CidrBlock",
    "InvalidCidrBlock.Overlapped": "CidrBlock",
    "InvalidVSwitchName.Malformed": "VSwitchName",
}


def _take_back(visit: Visit, vpc: str, vswitches: list[str]) -> None:
    """Nothing is left of a VPC that was to have a vSwitch which it cannot have."""
    for vswitch in vswitches:
        visit.call("vpc.DeleteVSwitch", VSwitchId=vswitch)
    visit.call("vpc.DeleteVpc", VpcId=vpc)


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    vpc = found(visit)
    page = asked(visit, "Delete VPC", "Delete", danger=True,
                 intro="Its vSwitches go with it. Its instances are released before.")  # fmt: skip
    return page.page(visit, form or confirm("delete", vpc["VpcId"]), status)


def _delete(visit: Visit) -> Response:
    vpc = found(visit)

    def act() -> None:
        _refuse_if_used(visit, vpc)
        _take_back(visit, vpc["VpcId"], vpc["VSwitchIds"]["VSwitchId"])

    again = confirmed(visit, "delete", vpc["VpcId"], _delete_form, act)
    return again or visit.go(url("vpc"), f"{vpc['VpcId']} was deleted.")


def _refuse_if_used(visit: Visit, vpc: _Row) -> None:
    """The vSwitches stay as long as anything keeps the VPC."""
    id = vpc["VpcId"]
    if attachment(visit, id) is not None:
        raise CloudError("DependencyViolation", f"{id} is connected to a CEN instance; detach it")
    if inside := [row["DBInstanceId"] for row in instances(visit, id)]:
        raise CloudError("DependencyViolation", f"{', '.join(inside)} is in it; release it first")
    rules = visit.call("cbn.DescribeGrantRulesToResource", ResourceId=id, ProductType="VPC")
    if rules["GrantRules"]:
        raise CloudError("DependencyViolation", "it is granted to a CEN instance; revoke that")


def _vswitch_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    vpc = found(visit)
    form = form or Form(_vswitch_fields(vpc["RegionId"]))
    intro = f"A part of {vpc['CidrBlock']} in one zone of {regions.region(vpc['RegionId']).name}."
    return asked(visit, "Create vSwitch", "OK", intro=intro).page(visit, form, status)


def _vswitch(visit: Visit) -> Response:
    vpc = found(visit)
    form = Form(_vswitch_fields(vpc["RegionId"]), _VSWITCH_CODES).filled(visit.form)
    try:
        made = visit.call("vpc.CreateVSwitch", VpcId=vpc["VpcId"], **form.arguments())
    except CloudError as problem:
        return _vswitch_form(visit, form, form.refuse(problem))
    return visit.go(url("vpc", visit["id"]), f"{made['VSwitchId']} was created.")


def _remove_vswitch_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    if visit["vswitch"] not in found(visit)["VSwitchIds"]["VSwitchId"]:
        raise CloudError("InvalidVSwitchId.NotFound")
    page = asked(visit, "Delete vSwitch", "Delete", danger=True,
                 intro="Release the instances in it and detach it first.")  # fmt: skip
    return page.page(visit, form or confirm("delete", visit["vswitch"]), status)


def _remove_vswitch(visit: Visit) -> Response:
    id = visit["vswitch"]
    again = confirmed(
        visit, "delete", id, _remove_vswitch_form,
        lambda: visit.call("vpc.DeleteVSwitch", VSwitchId=id),
    )  # fmt: skip
    return again or visit.go(url("vpc", visit["id"]), f"{id} was deleted.")


PAGES = (
    Page("/vpc", _list),
    Page("/vpc/create", _create_form, _create),
    Page("/vpc/{id}", _show),
    Page("/vpc/{id}/route-table", _routes),
    Page("/vpc/{id}/delete", _delete_form, _delete),
    Page("/vpc/{id}/vswitch", _vswitch_form, _vswitch),
    Page("/vpc/{id}/vswitch/{vswitch}/delete", _remove_vswitch_form, _remove_vswitch),
)
