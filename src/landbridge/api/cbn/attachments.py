"""VPC attachments."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, attachments
from ...cloud.attachments import ZoneMapping
from ..action import Action, Call, Kind, Param, Product
from ..moments import minute
from ..paging import TOKENS, chosen, page
from .lists import ATTACHED, standing

_ID = Param("TransitRouterAttachmentId", required=True)
_ZONES = Param(
    "ZoneMappings",
    required=True,
    many=attachments.MOST_ZONES,
    parts=(Param("ZoneId", required=True), Param("VSwitchId", required=True)),
    code="IllegalParam.ZoneMappings",
)
_CHARGE = "POSTPAY"
_SETTINGS = (
    Param("TransitRouterAttachmentName"),
    Param("TransitRouterAttachmentDescription"),
    Param("AutoPublishRouteEnabled", Kind.BOOLEAN),
    Param("TransitRouterVPCAttachmentOptions", Kind.STRUCTURE),
)
_UNPUBLISHED = (
    "With AutoPublishRouteEnabled=false no packet passes: no route can be written by hand."
)


def _check_options(call: Call) -> None:
    """Nothing that may be switched on there is to be had."""
    options = call["TransitRouterVPCAttachmentOptions"] or {}
    if not isinstance(options, dict) or any(v != "disable" for v in options.values()):
        raise CloudError(
            "InvalidParameter",
            "TransitRouterVPCAttachmentOptions can only be disabled: there is no appliance mode"
            " and no IPv6",
        )


def _create(call: Call) -> dict[str, Any]:
    _check_options(call)
    made = attachments.create(
        call.session,
        call.account,
        vpc_id=call["VpcId"],
        zones=[ZoneMapping(zone["ZoneId"], zone["VSwitchId"]) for zone in call["ZoneMappings"]],
        cen_id=call["CenId"] or "",
        region=call["RegionId"] or "",
        router_id=call["TransitRouterId"] or "",
        vpc_owner_uid=call["VpcOwnerId"],
        name=call["TransitRouterAttachmentName"] or "",
        description=call["TransitRouterAttachmentDescription"] or "",
        is_published=call["AutoPublishRouteEnabled"] is not False,
    )
    return {"TransitRouterAttachmentId": made.id}


def _update(call: Call) -> dict[str, Any]:
    _check_options(call)
    attachments.update(
        call.session,
        call.account,
        call["TransitRouterAttachmentId"],
        name=call["TransitRouterAttachmentName"],
        description=call["TransitRouterAttachmentDescription"],
        is_published=call["AutoPublishRouteEnabled"],
    )
    return {}


def _list(call: Call) -> dict[str, Any]:
    facts = {
        "CenId": lambda a: a.cen_id,
        "RegionId": lambda a: a.region_id,
        "TransitRouterId": lambda a: a.router_id,
        "TransitRouterAttachmentId": lambda a: a.id,
        "VpcId": lambda a: a.vpc_id,
        "Status": lambda a: ATTACHED[a.state],
        "OrderType": lambda a: a.payer.value,
    }
    rows = chosen(call, attachments.visible(call.session, call.account), facts)
    found, told = page(call, rows)
    return {"TransitRouterAttachments": [_facts(call, one) for one in found], **told}


def _facts(call: Call, attachment: attachments.Attachment) -> dict[str, Any]:
    return {
        "TransitRouterAttachmentId": attachment.id,
        "TransitRouterAttachmentName": attachment.name,
        "TransitRouterAttachmentDescription": attachment.description,
        "CenId": attachment.cen_id,
        "TransitRouterId": attachment.router_id,
        "VpcId": attachment.vpc_id,
        "VpcOwnerId": attachment.vpc_owner_uid,
        "VpcRegionId": attachment.region_id,
        "ResourceType": "VPC",
        "OrderType": attachment.payer.value,
        "ChargeType": _CHARGE,
        "AutoPublishRouteEnabled": attachment.is_published,
        "CreationTime": minute(attachment.created_at),
        "ManagedService": False,
        "ZoneMappings": [
            {"ZoneId": zone.zone_id, "VSwitchId": zone.vswitch_id} for zone in attachment.zones
        ],
        "Tags": [],
        **standing(call, attachment),
    }


def _delete(call: Call) -> dict[str, Any]:
    attachments.delete(call.session, call.account, call["TransitRouterAttachmentId"])
    return {}


ACTIONS = (
    Action(
        Product.CBN,
        "CreateTransitRouterVpcAttachment",
        "Attach a VPC, one's own or one that was granted, to a transit router.",
        _create,
        (
            Param("VpcId", required=True),
            _ZONES,
            Param("CenId"),
            Param("RegionId"),
            Param("TransitRouterId"),
            Param("VpcOwnerId", Kind.INTEGER),
            *_SETTINGS,
            Param("ChargeType", choices=(_CHARGE,), code="IllegalParam.ChargeType"),
        ),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=(
            "MissingParam.CenIdOrRegionId",
            "InvalidCenId.NotFound",
            "InvalidTransitRouterId.NotFound",
            "InvalidVpcId.NotFound",
            "InvalidVSwitchId.NotFound",
            "Forbbiden.AttachChildInstanceAcrossUid",
            "IncorrectStatus.TransitRouter",
            "InvalidOperation.CenInstanceStatus",
            "InvalidOperation.ChildInstanceAlreadyAttached",
            "InvalidOperation.CidrBlockOverlapped",
            "IllegalParam.ChargeType",
            "IllegalParam.RegionId",
            "IllegalParam.ZoneId",
            "IllegalParam.ZoneMappings",
            "IllegalParam.VSwitchId",
            "Duplicated.ZoneMapping",
            "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter",
            "InvalidName",
            "InvalidDescription",
        ),
        differences="As in the console, the attachment is associated with the route table of"
        " its transit router and propagates into it at once, and AutoPublishRouteEnabled is true"
        f" where nothing is said. {_UNPUBLISHED} TransitRouterVPCAttachmentOptions can only be"
        " disabled. Blocks that overlap are refused. No address of the vSwitches is used. Tags"
        " are ignored.",
    ),
    Action(
        Product.CBN,
        "UpdateTransitRouterVpcAttachmentAttribute",
        "Rename an attachment, describe it anew, publish routes to its VPC or take them back.",
        _update,
        (_ID, *_SETTINGS),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=(
            "InvalidTransitRouterAttachmentId.NotFound",
            "IncorrectStatus.Attachment",
            "InvalidName",
            "InvalidDescription",
        ),
        differences=f"{_UNPUBLISHED} Who pays stays as it was granted: OrderType is ignored.",
    ),
    Action(
        Product.CBN,
        "ListTransitRouterVpcAttachments",
        "List the attachments of the account's CENs, and those of its VPCs.",
        _list,
        (
            *(
                Param(name)
                for name in (
                    "CenId", "RegionId", "TransitRouterId", "TransitRouterAttachmentId", "VpcId",
                    "Status", "OrderType",
                )
            ),
            *TOKENS,
        ),
        differences="There are no network interfaces. StatusReason, an addition, says why an"
        " attachment waits, or on an external network what was found at it.",
    ),
    Action(
        Product.CBN,
        "DeleteTransitRouterVpcAttachment",
        "Detach a VPC, as the owner of the CEN or of the VPC.",
        _delete,
        (_ID,),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=("InvalidTransitRouterAttachmentId.NotFound",),
    ),
)  # fmt: skip
