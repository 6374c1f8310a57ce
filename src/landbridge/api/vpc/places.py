"""Regions and zones."""

from __future__ import annotations

from typing import Any

from ...cloud import regions
from ..action import Action, Call, Param, Product

_ENGLISH = "Names are in English."


def _describe_regions(call: Call) -> dict[str, Any]:
    rows = [
        {"RegionId": region.id, "LocalName": region.name, "RegionEndpoint": call.host}
        for region in regions.regions().values()
    ]
    return {"Regions": {"Region": rows}}


def _describe_zones(call: Call) -> dict[str, Any]:
    region = regions.region(call["RegionId"])
    rows = [
        {"ZoneId": zone, "LocalName": region.zone_name(zone), "ZoneType": "AvailabilityZone"}
        for zone in region.zones
    ]
    return {"Zones": {"Zone": rows}}


ACTIONS = (
    Action(
        Product.VPC,
        "DescribeRegions",
        "List the regions.",
        _describe_regions,
        differences=f"{_ENGLISH} RegionEndpoint is the address the caller used.",
    ),
    Action(
        Product.VPC,
        "DescribeZones",
        "List the zones of a region.",
        _describe_zones,
        (Param("RegionId", required=True),),
        errors=("InvalidRegionId.NotFound",),
        differences=f"{_ENGLISH} There are no edge zones.",
    ),
)
