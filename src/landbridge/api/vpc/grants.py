"""Grants to CENs, as the VPC product has them: the same grants as CEN's own actions give."""

from __future__ import annotations

from typing import Any

from ...cloud import grants
from ..action import Action, Call, Kind, Param, Product
from ..moments import second

_TYPE = Param("InstanceType", required=True, choices=("VPC",))
_RULE = (
    Param("RegionId", required=True),
    Param("CenId", required=True),
    Param("CenOwnerId", Kind.INTEGER, required=True),
    Param("InstanceId", required=True),
    _TYPE,
)
_ONLY_VPC = "Only VPCs can be granted."


def _give(call: Call) -> dict[str, Any]:
    grants.give(call.session, call.account, call["InstanceId"], call["CenId"], call["CenOwnerId"])
    return {}


def _revoke(call: Call) -> dict[str, Any]:
    grants.revoke(call.session, call.account, call["InstanceId"], call["CenId"], call["CenOwnerId"])
    return {}


def _describe(call: Call) -> dict[str, Any]:
    rows = [
        {
            "CenInstanceId": grant.cen_id,
            "CenOwnerId": grant.cen_owner_uid,
            "CreationTime": second(grant.created_at),
        }
        for grant in grants.of_vpc(call.session, call.account, call["InstanceId"])
    ]
    return {"CenGrantRules": {"CbnGrantRule": rows}}


ACTIONS = (
    Action(
        Product.VPC,
        "GrantInstanceToCen",
        "Let a CEN of another account attach one's VPC.",
        _give,
        _RULE,
        writes=True,
        resource="InstanceId",
        errors=("InvalidVpcId.NotFound", "InvalidCenId.NotFound"),
        differences=f"{_ONLY_VPC} One's own CEN needs no grant and is refused.",
    ),
    Action(
        Product.VPC,
        "RevokeInstanceFromCen",
        "Take a grant back.",
        _revoke,
        _RULE,
        writes=True,
        resource="InstanceId",
        errors=("InvalidVpcId.NotFound", "GrantNotExist", "DependencyViolation"),
        differences="Refused while the VPC is attached: its owner may detach it.",
    ),
    Action(
        Product.VPC,
        "DescribeGrantRulesToCen",
        "List to whom one's VPC was granted.",
        _describe,
        (Param("RegionId", required=True), Param("InstanceId", required=True), _TYPE),
        errors=("InvalidVpcId.NotFound",),
        differences=_ONLY_VPC,
    ),
)
