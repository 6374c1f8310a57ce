"""Areas, regions and zones, as CEN names them."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, regions
from ...cloud.paging import numbered_list
from ..action import Action, Call, Kind, Param, Product
from ..paging import PAGING, paged

_ONLY_VPC = "Only VPCs can be joined, so the answer is the same for every ProductType."


def _describe_geographic_spans(call: Call) -> dict[str, Any]:
    wanted = call["GeographicSpanId"]
    found = [span for span in regions.spans() if wanted in (None, span.id)]
    page = numbered_list(found, call["PageNumber"], call["PageSize"])
    rows = [
        {
            "GeographicSpanId": span.id,
            "LocalGeoRegionId": span.local.id,
            "OppositeGeoRegionId": span.opposite.id,
        }
        for span in page.rows
    ]
    return {"GeographicSpanModels": {"GeographicSpanModel": rows}, **paged(page)}


def _describe_regions(call: Call) -> dict[str, Any]:
    rows = [{"RegionId": r.id, "LocalName": r.name} for r in regions.regions().values()]
    return {"Regions": {"Region": rows}}


def _describe_membership(call: Call) -> dict[str, Any]:
    area = regions.area(call["GeographicRegionId"])
    found = [region for region in regions.regions().values() if region.area == area]
    page = numbered_list(found, call["PageNumber"], call["PageSize"])
    return {"RegionIds": {"RegionId": [{"RegionId": r.id} for r in page.rows]}, **paged(page)}


def _list_available_resource(call: Call) -> dict[str, Any]:
    if (region := regions.regions().get(call["RegionId"])) is None:
        raise CloudError("IllegalParam.RegionId")
    zones = [] if call["SupportMulticast"] else list(region.zones)
    return {
        "AvailableZones": zones,
        "MasterZones": zones,
        "SlaveZones": zones,
        "SupportMulticast": False,
    }


ACTIONS = (
    Action(
        Product.CBN,
        "DescribeCenGeographicSpans",
        "List the pairs of areas between which a bandwidth plan can be bought.",
        _describe_geographic_spans,
        (Param("GeographicSpanId"), *PAGING),
    ),
    Action(
        Product.CBN,
        "DescribeChildInstanceRegions",
        "List the regions whose networks a CEN can join.",
        _describe_regions,
        differences=f"Names are in English. {_ONLY_VPC}",
    ),
    Action(
        Product.CBN,
        "DescribeGeographicRegionMembership",
        "List the regions of an area.",
        _describe_membership,
        (Param("GeographicRegionId", required=True), *PAGING),
    ),
    Action(
        Product.CBN,
        "ListTransitRouterAvailableResource",
        "List the zones in which a transit router can have its addresses.",
        _list_available_resource,
        (Param("RegionId", required=True), Param("SupportMulticast", Kind.BOOLEAN)),
        errors=("IllegalParam.RegionId",),
        differences="Every zone serves as primary and as secondary zone; there is no multicast.",
    ),
)
