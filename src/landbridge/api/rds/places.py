"""Regions and zones."""

from __future__ import annotations

from typing import Any

from ...cloud import regions
from ..action import Action, Call, Product


def _describe_regions(call: Call) -> dict[str, Any]:
    rows = [
        {
            "RegionId": region.id,
            "ZoneId": zone,
            "LocalName": region.name,
            "ZoneName": region.zone_name(zone),
            "RegionEndpoint": call.host,
        }
        for region in regions.regions().values()
        for zone in region.zones
    ]
    return {"Regions": {"RDSRegion": rows}}


ACTIONS = (
    Action(
        Product.RDS,
        "DescribeRegions",
        "List regions and zones, one row a zone.",
        _describe_regions,
        differences="Names are in English. RegionEndpoint is the address the caller used.",
    ),
)
