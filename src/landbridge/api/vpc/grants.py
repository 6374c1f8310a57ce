"""Grants to CENs, as the VPC product has them: the same grants as CEN's own actions give."""

from __future__ import annotations

from typing import Any

from ...cloud import grants
from ..action import Action, Call, Param, Product
from ..grants import ONLY_VPC, TYPE, give, revoke
from ..moments import second

_REGION = Param("RegionId", required=True)


def _describe(call: Call) -> dict[str, Any]:
    found = grants.of_vpc(call.session, call.account, call["InstanceId"], call["RegionId"])
    rows = [
        {
            "CenInstanceId": grant.cen_id,
            "CenOwnerId": grant.cen_owner_uid,
            "CreationTime": second(grant.created_at),
        }
        for grant in found
    ]
    return {"CenGrantRules": {"CbnGrantRule": rows}}


ACTIONS = (
    give(Product.VPC, "GrantInstanceToCen", _REGION),
    revoke(Product.VPC, "RevokeInstanceFromCen", _REGION),
    Action(
        Product.VPC,
        "DescribeGrantRulesToCen",
        "List to whom one's VPC was granted.",
        _describe,
        (_REGION, Param("InstanceId", required=True), TYPE),
        errors=("InvalidVpcId.NotFound",),
        differences=ONLY_VPC,
    ),
)
