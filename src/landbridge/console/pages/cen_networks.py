"""The networks of a CEN instance: connecting a VPC, of whichever account, and detaching it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from . import cen
from .asking import confirm, confirmed

_Row = dict[str, Any]
_SAME, _CROSS = "same", "cross"
_CODES = {
    "InvalidName": "TransitRouterAttachmentName",
    "Forbbiden.AttachChildInstanceAcrossUid": "VpcId",
    "InvalidVpcId.NotFound": "VpcId",
    "InvalidOperation.ChildInstanceAlreadyAttached": "VpcId",
    "InvalidOperation.CidrBlockOverlapped": "VpcId",
    "IllegalParam.RegionId": "RegionId",
    "IllegalParam.ZoneId": "PrimaryZone",
    "IllegalParam.VSwitchId": "PrimaryVSwitch",
    "InvalidVSwitchId.NotFound": "PrimaryVSwitch",
    "IllegalParam.ZoneMappings": "PrimaryVSwitch",
    "Duplicated.ZoneMapping": "SecondaryZone",
}


@dataclass
class _Choices:
    """What there is to choose, with what was chosen so far."""

    visit: Visit
    given: dict[str, str]
    region: str = ""
    owner: str = ""
    """UID of the other account; empty for one's own."""
    vpc: str = ""
    """The one that was chosen, or the only one."""
    router: _Row | None = None
    networks: list[_Row] = field(default_factory=list)
    vswitches: list[_Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.given.get("VpcId"):  # no zone can be the right one of a VPC that is not chosen
            zones = ("PrimaryZone", "SecondaryZone")
            self.given = {n: text for n, text in self.given.items() if text or n not in zones}
        self.region = self.given.get("RegionId", "")
        self.is_cross = self.given.get("Ownership", _SAME) == _CROSS
        if self.is_cross:
            self.owner = self.given.get("VpcOwnerId", "").strip()
        self.wrong_owner = _wrong_owner(self.owner, self.visit) if self.is_cross else ""
        if self.region not in regions.regions():
            self.region = ""
            return
        here = [r for r in cen.routers(self.visit) if r["RegionId"] == self.region]
        self.router = here[0] if here else None
        self.networks = self._granted() if self.is_cross else self._own()
        self.vpc = self.given.get("VpcId", "")
        if self.vpc not in [row["id"] for row in self.networks]:
            self.vpc = self.networks[0]["id"] if len(self.networks) == 1 else ""
        if self.vpc:
            self.vswitches = self._vswitches()

    def _own(self) -> list[_Row]:
        rows = self.visit.every(
            "vpc.DescribeVpcs", lambda answer: answer["Vpcs"]["Vpc"], RegionId=self.region
        )
        return [
            {"id": r["VpcId"], "label": " · ".join(filter(None, (r["VpcId"], r["VpcName"]))),
             "note": r["CidrBlock"]}
            for r in rows
        ]  # fmt: skip

    def _granted(self) -> list[_Row]:
        if self.wrong_owner:
            return []
        rows = cen.grants(self.visit, ChildInstanceOwnerId=self.owner, RegionId=self.region)
        return [
            {"id": r["ChildInstanceId"], "label": r["ChildInstanceId"], "note": "granted"}
            for r in rows
        ]

    def _vswitches(self) -> list[_Row]:
        if self.is_cross:
            return self.visit.every(
                "cbn.ListGrantVSwitchesToCen", lambda answer: answer["VSwitches"],
                CenId=self.visit["id"], RegionId=self.region, VpcId=self.vpc,
            )  # fmt: skip
        return self.visit.every(
            "vpc.DescribeVSwitches", lambda answer: answer["VSwitches"]["VSwitch"],
            RegionId=self.region, VpcId=self.vpc,
        )  # fmt: skip

    def zone(self, name: str) -> str:
        """The zone that was chosen, or the likeliest one."""
        chosen = self.given.get(name)
        if chosen or (chosen is not None and name == "SecondaryZone"):  # it may have none
            return chosen
        key = "MasterZone" if name == "PrimaryZone" else "SlaveZone"
        settled: str = (self.router or {}).get(key) or ""
        zones = list(dict.fromkeys(v["ZoneId"] for v in self.vswitches))
        if name == "PrimaryZone":
            return zones[0] if zones and settled not in zones else settled
        rest = [zone for zone in zones if zone != self.zone("PrimaryZone")]
        if settled and (not zones or settled in zones):
            return settled
        return rest[0] if rest else ""

    def form(self) -> Form:
        """The form with these choices."""
        values = dict(self.given)
        form = Form(tuple(self._fields()), _CODES, values)
        for one in form.fields:
            allowed = [option.value for option in one.options]
            if one.kind is Kind.CHOICE and values.get(one.name, "") not in allowed:
                values.pop(one.name, None)
        return form

    def _fields(self) -> list[Field]:
        where = tuple(Option(r.id, r.name) for r in regions.regions().values())
        fields = [
            Field("InstanceType", "Instance Type", Kind.FIXED, default="VPC",
                  options=(Option("VPC", "Virtual Private Cloud (VPC)"),)),
            Field("RegionId", "Region", Kind.CHOICE, options=where, required=True, reload=True,
                  help="Where the VPC lies."),
        ]  # fmt: skip
        if not self.region:
            return fields
        known = Option("", self.router["TransitRouterId"]) if self.router else Option(
            "", "None in this region yet", "The system creates one automatically.")  # fmt: skip
        fields += [
            Field("TransitRouter", "Transit Router", Kind.FIXED, options=(known,)),
            self._zone("PrimaryZone", "Primary Zone of the Transit Router", required=True),
            self._zone("SecondaryZone", "Secondary Zone of the Transit Router"),
            Field("Ownership", "Resource Ownership", Kind.RADIO, default=_SAME, reload=True,
                  options=(Option(_SAME, "Same Account", f"UID {self.visit.who.uid}"),
                           Option(_CROSS, "Cross-account",
                                  "The VPC belongs to another account, which has granted it."))),
        ]  # fmt: skip
        if self.is_cross:
            fields.append(
                Field("VpcOwnerId", "UID of the account that the VPC belongs to", required=True,
                      pattern=r"\d{16}", rule="16 digits.", reload=True,
                      help="Its owner finds it at the top of every page of the console.")
            )  # fmt: skip
        fields.append(
            Field("TransitRouterAttachmentName", "Connection Name", most=128,
                  rule="At most 128 characters; or empty.")
        )  # fmt: skip
        return [*fields, *self._network()]

    def _network(self) -> list[Field]:
        options = tuple(Option(r["id"], r["label"], r["note"]) for r in self.networks)
        fields = []
        if options or not self.is_cross:
            fields.append(
                Field("VpcId", "Network Instance", Kind.CHOICE, options=options, required=True,
                      default=self.vpc, reload=True,
                      help="" if options else "There is no VPC in this region.")
            )  # fmt: skip
        if self.vpc:
            fields.append(self._vswitch("PrimaryVSwitch", "PrimaryZone", "primary"))
            if self.zone("SecondaryZone"):
                fields.append(self._vswitch("SecondaryVSwitch", "SecondaryZone", "secondary"))
        return fields

    def _zone(self, name: str, label: str, required: bool = False) -> Field:
        place = regions.region(self.region)
        there = {vswitch["ZoneId"] for vswitch in self.vswitches}
        options = tuple(
            Option(zone, place.zone_name(zone),
                   "no vSwitch here" if self.vswitches and zone not in there else "")
            for zone in place.zones
        )  # fmt: skip
        return Field(name, label, Kind.CHOICE, options=options, required=required, reload=True,
                     default=self.zone(name), placeholder="" if required else "None")  # fmt: skip

    def _vswitch(self, name: str, zone: str, which: str) -> Field:
        rows = [v for v in self.vswitches if v["ZoneId"] == self.zone(zone)]
        options = tuple(
            Option(v["VSwitchId"], v["VSwitchId"],
                   " · ".join(filter(None, (v["VSwitchName"], v.get("CidrBlock", "")))))
            for v in rows
        )  # fmt: skip
        note = "" if rows else "The VPC has no vSwitch in this zone; choose another zone."
        return Field(name, f"vSwitch in the {which} zone", Kind.CHOICE, options=options,
                     required=True, default=rows[0]["VSwitchId"] if rows else "",
                     help=note)  # fmt: skip


def _form(visit: Visit, choices: _Choices | None = None, form: Form | None = None,
          status: int = 200) -> Response:  # fmt: skip
    instance = cen.found(visit)
    choices = choices or _Choices(visit, dict(visit.query))
    waits = choices.is_cross and not choices.wrong_owner and not choices.networks
    if waits and choices.given.pop("poll", ""):
        return Response(status_code=204)
    asked = cen.asked(
        visit, "Connect Network Instance", "Create",
        intro="Do this once for the VPC of the source and once for that of the destination.",
    )  # fmt: skip
    return asked.page(
        visit,
        form or choices.form(),
        status,
        "cen_connect.html",
        cen=instance,
        choices=choices,
        waits=waits,
        again=lambda **more: url("cen", visit["id"], "connect", **{**choices.given, **more}),
    )


def _connect(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    given = visit.given
    choices = _Choices(visit, given)
    form = choices.form()
    filled = {field.name: form.value(field.name) for field in form.fields}
    if choices.region and choices.is_cross and not choices.networks:
        not_granted = f"Account {choices.owner} has not granted a VPC in this region yet."
        form.errors["VpcOwnerId"] = choices.wrong_owner or not_granted
        return _form(visit, choices, form, 422)
    if choices.vpc and not given.get("VpcId"):  # it is proposed, and was not seen yet
        form.errors["VpcId"] = "Look at what is proposed here and above; then Create."
        return _form(visit, choices, form, 422)
    try:
        visit.call(
            "cbn.CreateTransitRouterVpcAttachment",
            CenId=visit["id"],
            RegionId=filled["RegionId"],
            VpcId=filled.get("VpcId"),
            VpcOwnerId=choices.owner,
            TransitRouterAttachmentName=filled.get("TransitRouterAttachmentName"),
            ZoneMappings=_mappings(filled),
        )
    except CloudError as problem:
        return _form(visit, choices, form, form.refuse(problem))
    return visit.go(url("cen", visit["id"]), f"{filled['VpcId']} is being connected.")


def _wrong_owner(uid: str, visit: Visit) -> str:
    """What is wrong with the UID of another account, as far as can be seen."""
    if not re.fullmatch(r"[0-9]{16}", uid):
        return "The UID of an account has 16 digits."
    return "This is your own account: choose Same Account." if uid == str(visit.who.uid) else ""


def _mappings(given: Mapping[str, str]) -> list[dict[str, str]]:
    pairs = (
        (given.get(f"{which}Zone", ""), given.get(f"{which}VSwitch", ""))
        for which in ("Primary", "Secondary")
    )
    return [{"ZoneId": zone, "VSwitchId": vswitch} for zone, vswitch in pairs if zone]


def _attachment(visit: Visit) -> _Row:
    for row in cen.attachments(visit):
        if row["TransitRouterAttachmentId"] == visit["attachment"]:
            return row
    raise CloudError("InvalidTransitRouterAttachmentId.NotFound")


def _detach_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    row = _attachment(visit)
    vpc = row["VpcId"]
    intro = (
        f"No packet passes between {vpc} and the other networks of {visit['id']} any more:"
        " connections of clients break, and a migration over it stops until it is connected again."
    )
    # the VPC's owner may detach it from another account's CEN, whose pages they do not see
    is_own = any(c["CenId"] == visit["id"] for c in visit.every(
        "cbn.DescribeCens", lambda answer: answer["Cens"]["Cen"]))  # fmt: skip
    asked = cen.asked(visit, "Detach Network Instance", "Detach", intro=intro, danger=True)
    if not is_own:
        crumbs = [(url("vpc"), "VPCs"), (url("vpc", vpc), vpc)]
        asked = replace(asked, back=url("vpc", vpc, "authorization"), crumbs=crumbs)
    return asked.page(visit, form or confirm("detach", vpc), status)


def _detach(visit: Visit) -> Response:
    row = _attachment(visit)
    attachment = {"TransitRouterAttachmentId": row["TransitRouterAttachmentId"]}
    again = confirmed(
        visit, "detach", row["VpcId"], _detach_form,
        lambda: visit.call("cbn.DeleteTransitRouterVpcAttachment", **attachment),
    )  # fmt: skip
    is_mine = row["VpcOwnerId"] == visit.who.uid
    back = url("vpc", row["VpcId"]) if is_mine else url("cen", visit["id"])
    return again or visit.go(back, f"{row['VpcId']} is being detached.")


PAGES = (
    Page("/cen/{id}/connect", _form, _connect),
    Page("/cen/{id}/attachments/{attachment}/detach", _detach_form, _detach),
)
