"""`landbridge vpc`: networks, their vSwitches, and the regions they can lie in."""

from __future__ import annotations

from typing import Annotated

import typer

from ...errors import LandbridgeError
from ..options import pairs
from .api import Api
from .tables import Column, Listing, Row, facts, table
from .verbs import Description, Name, Region, argument, group, verb

vpc = group(
    "vpc",
    "Networks (VPCs) and their vSwitches.",
    "Begin with: landbridge vpc create REGION CIDR --vswitch ZONE=CIDR",
)

_FACTS = (
    Column("VPC", "VpcId"),
    Column("Name", "VpcName"),
    Column("Region", "RegionId"),
    Column("CIDR", "CidrBlock"),
    Column("Status", "Status"),
    Column("vSwitches", "VSwitchIds.VSwitchId"),
)
VPCS = Listing("vpcs", "vpc", "DescribeVpcs", "Vpcs.Vpc", _FACTS)
VSWITCHES = Listing(
    "vswitches", "vpc", "DescribeVSwitches", "VSwitches.VSwitch",
    (
        Column("vSwitch", "VSwitchId"),
        Column("Name", "VSwitchName"),
        Column("Zone", "ZoneId"),
        Column("CIDR", "CidrBlock"),
        Column("Free addresses", "AvailableIpAddressCount"),
    ),
)  # fmt: skip
_REGIONS = Listing(
    "regions", "vpc", "DescribeRegions", "Regions.Region",
    (Column("Region", "RegionId"), Column("Name", "LocalName")),
)  # fmt: skip
_ZONES = Listing(
    "zones", "vpc", "DescribeZones", "Zones.Zone",
    (Column("Zone", "ZoneId"), Column("Name", "LocalName")),
)  # fmt: skip
_DETAILS = (
    *_FACTS[:5],
    Column("Description", "Description"),
    Column("Owner", "OwnerId"),
    Column(
        "Attached to", lambda row: [_cen(one) for one in row["AssociatedCens"]["AssociatedCen"]]
    ),
)

VpcArgument = Annotated[str, argument("VPC", "Id of a VPC.")]


@verb(vpc)
def create(
    api: Api,
    region: Annotated[str, argument("REGION", "Where, like cn-hangzhou.")],
    cidr: Annotated[str, argument("CIDR", "Its addresses, like 10.1.0.0/16.")],
    vswitch: Annotated[
        list[str] | None,
        typer.Option(
            "--vswitch", metavar="ZONE=CIDR", show_default=False,
            help="Make a vSwitch in it too; may be repeated.",
        ),
    ] = None,
    name: Name = None,
    description: Description = None,
) -> None:  # fmt: skip
    """Create a VPC and print its id."""
    places = pairs(vswitch, "--vswitch")
    answer = api.call(
        "vpc", "CreateVpc", RegionId=region, CidrBlock=cidr, VpcName=name, Description=description
    )
    id = answer["VpcId"]
    made: list[str] = []
    try:
        for zone, block in places.items():
            place = {"RegionId": region, "VpcId": id, "ZoneId": zone, "CidrBlock": block}
            made.append(api.call("vpc", "CreateVSwitch", **place)["VSwitchId"])
    except LandbridgeError as refusal:
        _take_back(api, id, made, refusal)
        raise
    api.done({**answer, "VSwitchIds": made}, id)


@verb(vpc, "list")
def list_(api: Api, region: Region = None) -> None:
    """List the account's VPCs."""
    api.show(VPCS, api.everywhere(VPCS, region))


@verb(vpc)
def show(api: Api, vpc: VpcArgument) -> None:
    """Show one VPC: its vSwitches, and the CENs it is attached to."""
    region = api.find(VPCS, f"VPC {vpc}", VpcId=vpc)["RegionId"]
    row = api.call("vpc", "DescribeVpcAttribute", RegionId=region, VpcId=vpc)
    vswitches = api.rows(VSWITCHES, VpcId=vpc)
    api.done(
        {"vpc": row, "vswitches": vswitches},
        facts(_DETAILS, row), table(VSWITCHES.columns, vswitches),
    )  # fmt: skip


@verb(vpc)
def delete(api: Api, vpc: VpcArgument) -> None:
    """Delete a VPC in which nothing is left."""
    api.done(api.call("vpc", "DeleteVpc", VpcId=vpc), f"{vpc} is deleted.")


@verb(vpc, "add-vswitch")
def add_vswitch(
    api: Api,
    vpc: VpcArgument,
    zone: Annotated[str, argument("ZONE", "A zone of its region, like cn-hangzhou-h.")],
    cidr: Annotated[str, argument("CIDR", "A part of the VPC's addresses.")],
    name: Name = None,
    description: Description = None,
) -> None:
    """Create a vSwitch in a VPC and print its id."""
    answer = api.call(
        "vpc", "CreateVSwitch", VpcId=vpc, ZoneId=zone, CidrBlock=cidr, VSwitchName=name,
        Description=description,
    )  # fmt: skip
    api.done(answer, answer["VSwitchId"])


@verb(vpc, "delete-vswitch")
def delete_vswitch(
    api: Api, vswitch: Annotated[str, argument("VSWITCH", "Id of a vSwitch.")]
) -> None:
    """Delete a vSwitch in which nothing is left."""
    api.done(api.call("vpc", "DeleteVSwitch", VSwitchId=vswitch), f"{vswitch} is deleted.")


@verb(vpc)
def regions(
    api: Api,
    region: Annotated[
        str | None,
        typer.Argument(metavar="[REGION]", help="List its zones instead.", show_default=False),
    ] = None,
) -> None:
    """List the regions, or the zones of one."""
    if region is None:
        api.show(_REGIONS, api.rows(_REGIONS))
    else:
        api.show(_ZONES, api.rows(_ZONES, RegionId=region))


def _take_back(api: Api, vpc: str, vswitches: list[str], refusal: LandbridgeError) -> None:
    """Delete what was made before a refusal; what could not be is added to its remedy."""
    try:
        for vswitch in vswitches:
            api.call("vpc", "DeleteVSwitch", VSwitchId=vswitch)
        api.call("vpc", "DeleteVpc", VpcId=vpc)
    except LandbridgeError:
        left = f"{vpc} is left: landbridge vpc show {vpc}, landbridge vpc delete {vpc}"
        refusal.remedy = f"{refusal.remedy}\n{left}" if refusal.remedy else left


def _cen(row: Row) -> str:
    return f"{row['CenId']} of account {row['CenOwnerId']} ({row['CenStatus']})"
