"""The lists of CEN."""

from __future__ import annotations

from ..tables import Column, Listing, Row
from ..vpc import VSWITCHES

_STATE = (Column("Status", "Status"), Column("Why", "StatusReason"))

CENS = Listing(
    "cens", "cbn", "DescribeCens", "Cens.Cen",
    (
        Column("CEN", "CenId"),
        Column("Name", "Name"),
        *_STATE,
        Column("Plans", "CenBandwidthPackageIds.CenBandwidthPackageId"),
        Column("Description", "Description"),
    ),
)  # fmt: skip
ATTACHMENTS = Listing(
    "attachments", "cbn", "ListTransitRouterVpcAttachments", "TransitRouterAttachments",
    (
        Column("Attachment", "TransitRouterAttachmentId"),
        Column("VPC", "VpcId"),
        Column("Owner", "VpcOwnerId"),
        Column("Region", "VpcRegionId"),
        *_STATE,
    ),
)  # fmt: skip
ROUTERS = Listing("routers", "cbn", "ListTransitRouters", "TransitRouters", ())
CONNECTIONS = Listing(
    "connections", "cbn", "ListTransitRouterPeerAttachments", "TransitRouterAttachments",
    (
        Column("Connection", "TransitRouterAttachmentId"),
        Column("Regions", lambda row: f"{row['RegionId']} - {row['PeerTransitRouterRegionId']}"),
        Column("Mbit/s", "Bandwidth"),
        Column("Paid by", lambda row: row.get("CenBandwidthPackageId") or row["BandwidthType"]),
        Column("Line", "DefaultLinkType"),
        *_STATE,
    ),
)  # fmt: skip
PLANS = Listing(
    "plans", "cbn", "DescribeCenBandwidthPackages", "CenBandwidthPackages.CenBandwidthPackage",
    (
        Column("Plan", "CenBandwidthPackageId"),
        Column("Name", "Name"),
        Column("Mbit/s", "Bandwidth"),
        Column("Areas", lambda row: f"{row['GeographicRegionAId']} - {row['GeographicRegionBId']}"),
        Column("CEN", "CenIds.CenId"),
        Column("Status", lambda row: _business(row)),
        Column("Until", "ExpiredTime"),
    ),
)  # fmt: skip
GRANTED = Listing(
    "grants", "cbn", "DescribeGrantRulesToCen", "GrantRules.GrantRule",
    (
        Column("VPC", "ChildInstanceId"),
        Column("Owner", "ChildInstanceOwnerId"),
        Column("Region", "ChildInstanceRegionId"),
        Column("To", "CenId"),
    ),
)  # fmt: skip
GIVEN = Listing(
    "grants", "cbn", "DescribeGrantRulesToResource", "GrantRules",
    (Column("To", "CenId"), Column("Owner", "CenOwnerId")),
)  # fmt: skip
GRANTED_VSWITCHES = Listing(
    "vswitches", "cbn", "ListGrantVSwitchesToCen", "VSwitches", VSWITCHES.columns
)


def only(key: str, value: str) -> dict[str, object]:
    """The parameters of the older lists that ask for one value of a key."""
    return {"Filter.1.Key": key, "Filter.1.Value.1": value}


def _business(row: Row) -> str:
    return str(row["Status"] if row["BusinessStatus"] == "Normal" else "Expired")
