"""Grants: who lets which CEN attach a VPC."""

from __future__ import annotations

from typing import Any

from ...cloud import grants
from ...cloud.grants import Payer
from ...cloud.paging import numbered_list
from ..action import Action, Call, Kind, Param, Product
from ..grants import CEN, ONLY_VPC, give, revoke
from ..moments import milliseconds
from ..paging import PAGING, TOKENS, chosen, page, paged

_PRODUCT = Param("ProductType", required=True, choices=("VPC", "VBR", "CCN", "VPN"))


def _to_cen(call: Call) -> dict[str, Any]:
    facts = {
        "ChildInstanceId": lambda grant: grant.vpc_id,
        "ChildInstanceOwnerId": lambda grant: grant.owner_uid,
        "RegionId": lambda grant: grant.vpc.region_id,
    }
    every = grants.of_cen(call.session, call.account, call["CenId"])
    found, told = page(call, chosen(call, _of_product(call, every), facts))
    rows = [
        {
            "CenId": grant.cen_id,
            "CenOwnerId": grant.cen_owner_uid,
            "ChildInstanceId": grant.vpc_id,
            "ChildInstanceOwnerId": grant.owner_uid,
            "ChildInstanceRegionId": grant.vpc.region_id,
            "ChildInstanceType": "VPC",
            **_terms(grant),
        }
        for grant in found
    ]
    return {"GrantRules": {"GrantRule": rows}, **told}


def _to_resource(call: Call) -> dict[str, Any]:
    every = grants.of_vpc(call.session, call.account, call["ResourceId"])
    found, told = page(call, _of_product(call, every))
    rows = [
        {"CenId": grant.cen_id, "CenOwnerId": grant.cen_owner_uid, **_terms(grant)}
        for grant in found
    ]
    return {"GrantRules": rows, **told}


def _of_product(call: Call, every: Any) -> list[grants.Grant]:
    return list(every) if call["ProductType"] == "VPC" else []


def _terms(grant: grants.Grant) -> dict[str, Any]:
    return {
        "OrderType": grant.payer.value,
        "EffectiveOrderType": grant.payer.value,
        "CreateTime": milliseconds(grant.created_at),
    }


def _list_vswitches(call: Call) -> dict[str, Any]:
    vpc = grants.granted(call.session, call.account, call["CenId"], call["VpcId"], call["RegionId"])
    rows = [v for v in vpc.vswitches if call["ZoneId"] in (None, v.zone_id)]
    found = numbered_list(rows, call["PageNumber"], call["PageSize"])
    told = [
        {
            "VSwitchId": vswitch.id,
            "VSwitchName": vswitch.name,
            "VpcId": vswitch.vpc_id,
            "ZoneId": vswitch.zone_id,
        }
        for vswitch in found.rows
    ]
    return {"VSwitches": told, **paged(found)}


ACTIONS = (
    give(
        Product.CBN,
        "GrantInstanceToTransitRouter",
        Param("RegionId"),
        Param(
            "OrderType",
            choices=tuple(payer.value for payer in Payer),
            default=Payer.CEN_OWNER.value,
        ),
    ),
    revoke(Product.CBN, "RevokeInstanceFromTransitRouter", Param("RegionId")),
    Action(
        Product.CBN,
        "DescribeGrantRulesToCen",
        "List what others granted to one's CEN.",
        _to_cen,
        (
            CEN,
            _PRODUCT,
            Param("ChildInstanceId"),
            Param("ChildInstanceOwnerId", Kind.INTEGER),
            Param("RegionId"),
            *TOKENS,
        ),
        errors=("InvalidCenId.NotFound",),
        differences=ONLY_VPC,
    ),
    Action(
        Product.CBN,
        "DescribeGrantRulesToResource",
        "List to whom one's VPC was granted.",
        _to_resource,
        (Param("ResourceId", required=True), _PRODUCT, *TOKENS),
        errors=("InvalidVpcId.NotFound",),
        differences=ONLY_VPC,
    ),
    Action(
        Product.CBN,
        "ListGrantVSwitchesToCen",
        "List the vSwitches of a VPC that was granted to one's CEN.",
        _list_vswitches,
        (
            CEN,
            Param("RegionId", required=True),
            Param("VpcId", required=True),
            Param("ZoneId"),
            *PAGING,
        ),
        errors=("InvalidCenId.NotFound", "InvalidVpcId.NotFound"),
    ),
)
