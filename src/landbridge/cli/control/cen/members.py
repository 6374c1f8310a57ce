"""Networks of a CEN: granted by another account, attached, detached."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ...options import pairs
from ..api import Api
from ..tables import Row
from ..verbs import Name, Wait, argument, verb
from ..vpc import VPCS, VSWITCHES, VpcArgument
from ..waiting import until, until_gone
from .group import CenArgument, cen
from .lists import ATTACHMENTS, GIVEN, GRANTED, GRANTED_VSWITCHES

#: A transit router has a primary and a secondary zone.
_ZONES = 2

CenOwner = Annotated[str, argument("UID", "The account that owns the CEN.")]


@verb(cen)
def grant(api: Api, vpc: VpcArgument, cen: CenArgument, uid: CenOwner) -> None:
    """Let a CEN of another account attach one's VPC; the VPC's owner does this."""
    answer = _rule(api, "GrantInstanceToTransitRouter", vpc, cen, uid)
    api.done(answer, f"{vpc} is granted to {cen} of account {uid}.")


@verb(cen)
def revoke(api: Api, vpc: VpcArgument, cen: CenArgument, uid: CenOwner) -> None:
    """Take a grant back; an attachment that needs it has to go first."""
    answer = _rule(api, "RevokeInstanceFromTransitRouter", vpc, cen, uid)
    api.done(answer, f"{vpc} is not granted to {cen} any more.")


@verb(cen)
def grants(api: Api, of: Annotated[str, argument("CEN|VPC", "One's CEN, or one's VPC.")]) -> None:
    """List what others granted to one's CEN, or to whom one's VPC was granted."""
    if of.startswith("vpc-"):
        api.show(GIVEN, api.rows(GIVEN, ResourceId=of, ProductType="VPC"))
    else:
        api.show(GRANTED, api.rows(GRANTED, CenId=of, ProductType="VPC"))


@verb(cen)
def attach(
    api: Api,
    cen: CenArgument,
    vpc: VpcArgument,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            "--zone", metavar="ZONE=VSWITCH", show_default="the VPC's first two",
            help="Primary zone of the transit router and a vSwitch there; again for the secondary.",
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="UID", show_default="who granted it",
            help="The account that owns the VPC.",
        ),
    ] = None,
    name: Name = None,
    wait: Wait = False,
) -> None:  # fmt: skip
    """Attach a VPC, one's own or one that was granted, and print the attachment's id."""
    zones = pairs(zone, "--zone")
    place, vswitches = _place(api, cen, vpc)
    if not zones:
        first: dict[str, str] = {}
        for row in vswitches:
            first.setdefault(row["ZoneId"], row["VSwitchId"])
        zones = dict(list(first.items())[:_ZONES])
    given = {**place, "VpcOwnerId": owner or place.get("VpcOwnerId")}
    answer = api.call(
        "cbn", "CreateTransitRouterVpcAttachment", CenId=cen, VpcId=vpc,
        TransitRouterAttachmentName=name, **given, **_mappings(zones),
    )  # fmt: skip
    id = answer["TransitRouterAttachmentId"]
    if wait:
        until(api, vpc, ATTACHMENTS, {"TransitRouterAttachmentId": id}, "Attached")
    api.done(answer, id)


@verb(cen)
def detach(api: Api, cen: CenArgument, vpc: VpcArgument, wait: Wait = False) -> None:
    """Detach a VPC, as the owner of the CEN or of the VPC."""
    found = api.one(ATTACHMENTS, f"attachment of {vpc} to {cen}", CenId=cen, VpcId=vpc)
    id = found["TransitRouterAttachmentId"]
    answer = api.call("cbn", "DeleteTransitRouterVpcAttachment", TransitRouterAttachmentId=id)
    if wait:
        until_gone(api, vpc, ATTACHMENTS, {"TransitRouterAttachmentId": id})
    api.done(answer, f"{vpc} is {'' if wait else 'being '}detached from {cen}.")


def _rule(api: Api, action: str, vpc: str, cen: str, uid: str) -> dict[str, Any]:
    return api.call(
        "cbn", action, InstanceId=vpc, InstanceType="VPC", CenId=cen, CenOwnerId=uid,
    )  # fmt: skip


def _place(api: Api, cen: str, vpc: str) -> tuple[dict[str, Any], list[Row]]:
    """Region and foreign owner of a VPC, as the API wants them, and its vSwitches."""
    granted = api.rows(GRANTED, CenId=cen, ProductType="VPC", ChildInstanceId=vpc)
    if granted:
        region = granted[0]["ChildInstanceRegionId"]
        place = {"RegionId": region, "VpcOwnerId": granted[0]["ChildInstanceOwnerId"]}
        return place, api.rows(GRANTED_VSWITCHES, CenId=cen, RegionId=region, VpcId=vpc)
    own = api.find(
        VPCS, f"VPC {vpc}, and none was granted to {cen}", VpcId=vpc,
        remedy=f"Its owner grants it: landbridge cen grant {vpc} {cen} UID",
    )  # fmt: skip
    return {"RegionId": own["RegionId"]}, api.rows(VSWITCHES, VpcId=vpc)


def _mappings(zones: dict[str, str]) -> dict[str, str]:
    return {
        f"ZoneMappings.{number}.{part}": value
        for number, (zone, vswitch) in enumerate(zones.items(), 1)
        for part, value in (("ZoneId", zone), ("VSwitchId", vswitch))
    }
