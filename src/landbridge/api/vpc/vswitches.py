"""vSwitches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...cloud import CloudError, vpcs
from ...cloud.instances import lifecycle
from ...cloud.paging import numbered
from ..action import Action, Call, Kind, Param, Product
from ..moments import second
from ..paging import PAGING, paged


def _create(call: Call) -> dict[str, Any]:
    vswitch = vpcs.create_vswitch(
        call.session,
        vpcs.find_vpc(call.session, call.account, call["VpcId"], call["RegionId"]),
        call["ZoneId"],
        call["CidrBlock"],
        name=call["VSwitchName"],
        description=call["Description"],
    )
    return {"VSwitchId": vswitch.id}


def _describe(call: Call) -> dict[str, Any]:
    if not call["RegionId"] and not call["VpcId"]:
        raise CloudError("MissingParameter", "RegionId or VpcId is needed")
    query = vpcs.vswitches(
        call.account,
        region=call["RegionId"],
        vpc=call["VpcId"],
        zone=call["ZoneId"],
        wanted=call["VSwitchId"],
        name=call["VSwitchName"],
        owner=call["VSwitchOwnerId"],
    )
    page = numbered(call.session, query, call["PageNumber"], call["PageSize"])
    if call["IsDefault"]:
        page = replace(page, rows=(), total=0)
    return {"VSwitches": {"VSwitch": [_facts(call, v) for v in page.rows]}, **paged(page)}


def _facts(call: Call, vswitch: vpcs.VSwitch) -> dict[str, Any]:
    used = len(lifecycle.taken(call.session, vswitch))
    return {
        "VSwitchId": vswitch.id,
        "VSwitchName": vswitch.name,
        "Description": vswitch.description,
        "VpcId": vswitch.vpc_id,
        "ZoneId": vswitch.zone_id,
        "CidrBlock": vswitch.cidr,
        "OwnerId": vswitch.owner_uid,
        "Status": "Available",
        "AvailableIpAddressCount": vswitch.free_addresses - used,
        "CreationTime": second(vswitch.created_at),
        "IsDefault": False,
        "RouteTable": {"RouteTableId": vswitch.vpc.route_table_id, "RouteTableType": "System"},
        "Tags": {"Tag": []},
    }


def _delete(call: Call) -> dict[str, Any]:
    vpcs.delete_vswitch(call.session, call.account, call["VSwitchId"], call["RegionId"])
    return {}


ACTIONS = (
    Action(
        Product.VPC,
        "CreateVSwitch",
        "Create a vSwitch in a zone of a VPC.",
        _create,
        (
            Param("VpcId", required=True),
            Param("ZoneId", required=True),
            Param("CidrBlock", required=True),
            Param("RegionId"),
            Param("VSwitchName"),
            Param("Description"),
        ),
        writes=True,
        resource="VSwitchId",
        errors=(
            "InvalidVpcId.NotFound",
            "InvalidZoneId.NotFound",
            "InvalidCidrBlock.Malformed",
            "InvalidCidrBlock.Overlapped",
            "InvalidVSwitchName.Malformed",
            "InvalidVSwitchDescription.Malformed",
            "QuotaExceeded.VSwitch",
        ),
        differences="IPv4 alone; a mask alone (CidrMask) is not enough.",
    ),
    Action(
        Product.VPC,
        "DescribeVSwitches",
        "List the vSwitches of a region or a VPC.",
        _describe,
        (
            Param("RegionId"),
            Param("VpcId"),
            Param("ZoneId"),
            Param("VSwitchId"),
            Param("VSwitchName"),
            Param("IsDefault", Kind.BOOLEAN),
            Param("VSwitchOwnerId", Kind.INTEGER),
            *PAGING,
        ),
        dry_run=True,
    ),
    Action(
        Product.VPC,
        "DeleteVSwitch",
        "Delete a vSwitch in which nothing is left.",
        _delete,
        (Param("VSwitchId", required=True), Param("RegionId")),
        writes=True,
        resource="VSwitchId",
        dry_run=True,
        errors=("InvalidVSwitchId.NotFound", "DependencyViolation"),
    ),
)
