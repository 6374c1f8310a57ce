"""Inter-region connections."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, lines
from ...cloud.allocation import Allocation, LineType, Order
from ..action import Action, Call, Kind, Param, Product
from ..moments import minute
from ..paging import TOKENS, chosen, page
from .lists import standing

_ID = Param("TransitRouterAttachmentId", required=True)
TYPE = Param(
    "BandwidthType",
    choices=tuple(allocation.value for allocation in Allocation),
    code="IllegalParam.BandwidthType",
)
_ORDER = (
    TYPE,
    Param("Bandwidth", Kind.INTEGER, code="IllegalParam.Bandwidth"),
    Param("CenBandwidthPackageId"),
    Param(
        "DefaultLinkType",
        choices=tuple(kind.value for kind in LineType),
        code="ParameterIllegal.CdtDefaultLinkTypeOnlySupportPlatinumOrGold",
    ),
)
_NAMED = (
    Param("TransitRouterAttachmentName"),
    Param("TransitRouterAttachmentDescription"),
    Param("AutoPublishRouteEnabled", Kind.BOOLEAN, default=True),
)
ORDER_ERRORS = (
    "IllegalParam.Bandwidth",
    "IllegalParam.BandwidthType",
    "IllegalParam.CenBandwidthPackageId",
    "InvalidOperation.BwpNotAssociated",
    "InvalidOperation.BwpBandwidthExceeded",
    "InvalidOperation.BwpBusinessStatus",
    "QuotaExceeded.Bandwidth",
    "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold",
    "ParameterIllegal.CdtDefaultLinkTypeOnlySupportPlatinumOrGold",
    "InvalidName",
    "InvalidDescription",
)
_PUBLISHED = "Routes are learned and published at once; AutoPublishRouteEnabled=false is refused."


def _order(call: Call) -> Order:
    if not call["AutoPublishRouteEnabled"]:
        raise CloudError(
            "InvalidParameter",
            "AutoPublishRouteEnabled of an inter-region connection is always true",
        )
    allocation, line_type = call["BandwidthType"], call["DefaultLinkType"]
    return Order(
        bandwidth=call["Bandwidth"],
        allocation=Allocation(allocation) if allocation else None,
        plan_id=call["CenBandwidthPackageId"],
        line_type=LineType(line_type) if line_type else None,
    )


def _create(call: Call) -> dict[str, Any]:
    made = lines.create(
        call.session,
        call.account,
        _order(call),
        peer_router_id=call["PeerTransitRouterId"],
        peer_region=call["PeerTransitRouterRegionId"] or "",
        router_id=call["TransitRouterId"] or "",
        cen_id=call["CenId"] or "",
        region=call["RegionId"] or "",
        name=call["TransitRouterAttachmentName"] or "",
        description=call["TransitRouterAttachmentDescription"] or "",
    )
    return {"TransitRouterAttachmentId": made.id}


def _update(call: Call) -> dict[str, Any]:
    lines.update(
        call.session,
        call.account,
        call["TransitRouterAttachmentId"],
        _order(call),
        name=call["TransitRouterAttachmentName"],
        description=call["TransitRouterAttachmentDescription"],
    )
    return {}


def _list(call: Call) -> dict[str, Any]:
    facts = {
        "CenId": lambda line: line.cen_id,
        "RegionId": lambda line: line.router.region_id,
        "TransitRouterId": lambda line: [line.router_id, line.peer_router_id],
        "TransitRouterAttachmentId": lambda line: line.id,
    }
    rows = chosen(call, lines.every(call.session, call.account), facts)
    found, told = page(call, rows)
    return {"TransitRouterAttachments": [_facts(call, line) for line in found], **told}


def _facts(call: Call, line: lines.Connection) -> dict[str, Any]:
    return {
        "TransitRouterAttachmentId": line.id,
        "TransitRouterAttachmentName": line.name,
        "TransitRouterAttachmentDescription": line.description,
        "CenId": line.cen_id,
        "RegionId": line.router.region_id,
        "TransitRouterId": line.router_id,
        "PeerTransitRouterId": line.peer_router_id,
        "PeerTransitRouterRegionId": line.peer_router.region_id,
        "PeerTransitRouterOwnerId": line.peer_router.owner_uid,
        "Bandwidth": line.bandwidth,
        "BandwidthType": line.allocation.value,
        "CenBandwidthPackageId": line.plan_id or "",
        "GeographicSpanId": line.span,
        "DefaultLinkType": line.line_type.value,
        "AutoPublishRouteEnabled": True,
        "ResourceType": "TR",
        "CreationTime": minute(line.created_at),
        "Tags": [],
        "BytesToPeer": line.bytes_out,
        "BytesFromPeer": line.bytes_back,
        **standing(call, line),
    }


def _delete(call: Call) -> dict[str, Any]:
    lines.delete(call.session, call.account, call["TransitRouterAttachmentId"])
    return {}


ACTIONS = (
    Action(
        Product.CBN,
        "CreateTransitRouterPeerAttachment",
        "Join two regions of a CEN, with bandwidth from a plan or paid by data transfer.",
        _create,
        (
            Param("PeerTransitRouterId", required=True),
            Param("PeerTransitRouterRegionId"),
            Param("TransitRouterId"),
            Param("CenId"),
            Param("RegionId"),
            *_ORDER,
            *_NAMED,
        ),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=(
            "MissingParam.CenIdOrRegionId",
            "MissingParam.Bandwidth",
            "InvalidCenId.NotFound",
            "InvalidTransitRouterId.NotFound",
            "InvalidPeerTransitRouterId.NotFound",
            "InvalidOperation.CenInstanceStatus",
            "IncorrectStatus.TransitRouter",
            "IllegalParam.RegionId",
            "IllegalParam.PeerTransitRouterId",
            "IllegalParam.PeerRegionId",
            "EntityAlreadyExists.PeerAttachment",
            *ORDER_ERRORS,
        ),
        differences=f"{_PUBLISHED} Both ends are of one CEN. Tags are ignored.",
    ),
    Action(
        Product.CBN,
        "UpdateTransitRouterPeerAttachmentAttribute",
        "Change the bandwidth, plan or line type of an inter-region connection.",
        _update,
        (_ID, *_ORDER, *_NAMED),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=(
            "InvalidTransitRouterAttachmentId.NotFound",
            "IncorrectStatus.Attachment",
            *ORDER_ERRORS,
        ),
        differences=_PUBLISHED,
    ),
    Action(
        Product.CBN,
        "ListTransitRouterPeerAttachments",
        "List the account's inter-region connections.",
        _list,
        (
            *(
                Param(name)
                for name in ("CenId", "RegionId", "TransitRouterId", "TransitRouterAttachmentId")
            ),
            *TOKENS,
        ),
        differences="BytesToPeer, BytesFromPeer and StatusReason are additions."
        " The last says why a connection waits, or on an external network what was found at it.",
    ),
    Action(
        Product.CBN,
        "DeleteTransitRouterPeerAttachment",
        "Part two regions.",
        _delete,
        (_ID,),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=("InvalidTransitRouterAttachmentId.NotFound",),
    ),
)
