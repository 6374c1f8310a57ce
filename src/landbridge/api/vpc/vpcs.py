"""VPCs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...cloud import CloudError, attachments, regions, vpcs
from ...cloud.made import State
from ...cloud.paging import numbered
from ..action import Action, Call, Kind, Param, Product
from ..moments import second
from ..paging import PAGING, paged

_REGION = Param("RegionId", required=True)
_ID = Param("VpcId", required=True)


def _create(call: Call) -> dict[str, Any]:
    vpc = vpcs.create_vpc(
        call.session,
        call.account,
        call["RegionId"],
        cidr=call["CidrBlock"],
        name=call["VpcName"],
        description=call["Description"],
    )
    return {"VpcId": vpc.id, "VRouterId": vpc.router_id, "RouteTableId": vpc.route_table_id}


def _describe(call: Call) -> dict[str, Any]:
    region = regions.region(call["RegionId"])
    found = vpcs.vpcs(
        call.account, region.id, call["VpcId"], name=call["VpcName"], owner=call["VpcOwnerId"]
    )
    page = numbered(call.session, found, call["PageNumber"], call["PageSize"])
    if call["IsDefault"]:
        page = replace(page, rows=(), total=0)
    within = vpcs.vswitch_ids(call.session, [vpc.id for vpc in page.rows])
    rows = [
        {**facts(vpc, within[vpc.id]), "RouterTableIds": {"RouterTableIds": [vpc.route_table_id]}}
        for vpc in page.rows
    ]
    return {"Vpcs": {"Vpc": rows}, **paged(page)}


def _describe_attribute(call: Call) -> dict[str, Any]:
    vpc = vpcs.find_vpc(call.session, call.account, call["VpcId"], call["RegionId"])
    within = vpcs.vswitch_ids(call.session, [vpc.id])[vpc.id]
    return {
        **facts(vpc, within),
        "AssociatedCens": {"AssociatedCen": _associated(call, vpc)},
        "CloudResources": {
            "CloudResourceSetType": [
                {"ResourceType": "VSwitch", "ResourceCount": len(within)},
                {"ResourceType": "VRouter", "ResourceCount": 1},
                {"ResourceType": "RouteTable", "ResourceCount": 1},
            ]
        },
    }


def _associated(call: Call, vpc: vpcs.Vpc) -> list[dict[str, Any]]:
    return [
        {
            "CenId": attachment.cen_id,
            "CenOwnerId": attachment.owner_uid,
            "CenStatus": "Attached" if attachment.state is State.STANDING else "Attaching",
        }
        for attachment in attachments.visible(call.session, call.account)
        if attachment.vpc_id == vpc.id and attachment.is_wanted
    ]


def facts(vpc: vpcs.Vpc, vswitches: list[str]) -> dict[str, Any]:
    """The fields that lists and details have in common; `vswitches`: ids of those in it."""
    return {
        "VpcId": vpc.id,
        "VpcName": vpc.name,
        "Description": vpc.description,
        "CidrBlock": vpc.cidr,
        "RegionId": vpc.region_id,
        "OwnerId": vpc.owner_uid,
        "Status": "Available",
        "CreationTime": second(vpc.created_at),
        "IsDefault": False,
        "VRouterId": vpc.router_id,
        "VSwitchIds": {"VSwitchId": vswitches},
        "SecondaryCidrBlocks": {"SecondaryCidrBlock": []},
        "UserCidrs": {"UserCidr": []},
        "Tags": {"Tag": []},
    }


def _delete(call: Call) -> dict[str, Any]:
    if call["ForceDelete"]:
        raise CloudError("InvalidParameter", "ForceDelete is not supported: delete what is in it")
    vpc = vpcs.find_vpc(call.session, call.account, call["VpcId"], call["RegionId"])
    vpcs.delete_vpc(call.session, vpc)
    return {}


ACTIONS = (
    Action(
        Product.VPC,
        "CreateVpc",
        "Create a VPC.",
        _create,
        (_REGION, Param("CidrBlock"), Param("VpcName"), Param("Description")),
        writes=True,
        resource="VpcId",
        dry_run=True,
        errors=(
            "InvalidRegionId.NotFound",
            "InvalidCidrBlock.Malformed",
            "InvalidVpcName.Malformed",
            "InvalidVpcDiscription.Malformed",
            "QuotaExceeded.Vpc",
        ),
        differences=f"IPv4 alone. Without CidrBlock it is {vpcs.DEFAULT_CIDR}.",
    ),
    Action(
        Product.VPC,
        "DescribeVpcs",
        "List the VPCs of a region.",
        _describe,
        (
            _REGION,
            Param("VpcId", Kind.NAMES, most=20),
            Param("VpcName"),
            Param("IsDefault", Kind.BOOLEAN),
            Param("VpcOwnerId", Kind.INTEGER),
            *PAGING,
        ),
        dry_run=True,
        errors=("InvalidRegionId.NotFound",),
        differences="There are no default VPCs, so without IsDefault all are listed.",
    ),
    Action(
        Product.VPC,
        "DescribeVpcAttribute",
        "Show one VPC.",
        _describe_attribute,
        (_REGION, _ID),
        dry_run=True,
        errors=("InvalidVpcId.NotFound",),
    ),
    Action(
        Product.VPC,
        "DeleteVpc",
        "Delete a VPC in which nothing is left.",
        _delete,
        (_ID, Param("RegionId"), Param("ForceDelete", Kind.BOOLEAN)),
        writes=True,
        resource="VpcId",
        dry_run=True,
        errors=("InvalidVpcId.NotFound", "DependencyViolation"),
        differences="ForceDelete is refused.",
    ),
)
