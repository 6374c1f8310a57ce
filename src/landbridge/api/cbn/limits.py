"""Bandwidth between regions as the older actions allocate it: the same connections."""

from __future__ import annotations

from typing import Any

from ...cloud import limits, lines
from ...cloud.allocation import Allocation, Order
from ...cloud.paging import numbered_list
from ..action import Action, Call, Kind, Param, Product
from ..paging import PAGING, chosen, paged
from .lists import ACTIVE, status
from .peers import ORDER_ERRORS, TYPE


def _set_limit(call: Call) -> dict[str, Any]:
    allocation = call["BandwidthType"]
    order = Order(call["BandwidthLimit"], Allocation(allocation) if allocation else None)
    limits.set_limit(
        call.session,
        call.account,
        call["CenId"],
        call["LocalRegionId"],
        call["OppositeRegionId"],
        order,
    )
    return {}


def _describe_limits(call: Call) -> dict[str, Any]:
    facts = {
        "CenId": lambda line: line.cen_id,
        "TrRegionId": lambda line: [line.router.region_id, line.peer_router.region_id],
    }
    rows = chosen(call, lines.every(call.session, call.account), facts)
    found = numbered_list(rows, call["PageNumber"], call["PageSize"])
    told = [_limit(line) for line in found.rows]
    key = "CenInterRegionBandwidthLimit"
    return {f"{key}s": {key: told}, **paged(found)}


def _limit(line: lines.Connection) -> dict[str, Any]:
    return {
        "CenId": line.cen_id,
        "LocalRegionId": line.router.region_id,
        "OppositeRegionId": line.peer_router.region_id,
        "GeographicSpanId": line.span,
        "BandwidthLimit": line.bandwidth,
        "BandwidthType": line.allocation.value,
        "BandwidthPackageId": line.plan_id or "",
        **status(line, ACTIVE),
    }


ACTIONS = (
    Action(
        Product.CBN,
        "SetCenInterRegionBandwidthLimit",
        "Give two regions of a CEN bandwidth from its plan; 0 parts them.",
        _set_limit,
        (
            Param("CenId", required=True),
            Param("LocalRegionId", required=True),
            Param("OppositeRegionId", required=True),
            Param("BandwidthLimit", Kind.INTEGER, required=True, least=0, most=10_000),
            TYPE,
        ),
        writes=True,
        resource="CenId",
        errors=(
            "InvalidCenId.NotFound",
            "InvalidOperation.CenInstanceStatus",
            "InvalidTransitRouterId.NotFound",
            "IncorrectStatus.TransitRouter",
            "IncorrectStatus.Attachment",
            *ORDER_ERRORS,
        ),
    ),
    Action(
        Product.CBN,
        "DescribeCenInterRegionBandwidthLimits",
        "List the bandwidths between regions.",
        _describe_limits,
        (Param("CenId"), Param("TrRegionId"), *PAGING),
    ),
)
