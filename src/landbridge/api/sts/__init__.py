"""Security Token Service: who the caller is."""

from __future__ import annotations

from typing import Any

from ..action import Action, Call, Product


def _get_caller_identity(call: Call) -> dict[str, Any]:
    uid = str(call.account.uid)
    return {
        "AccountId": uid,
        "UserId": uid,
        "PrincipalId": uid,
        "Arn": f"acs:ram::{uid}:root",
        "IdentityType": "Account",
    }


ACTIONS = (
    Action(
        Product.STS,
        "GetCallerIdentity",
        "Say whose access key it is: the account's UID.",
        _get_caller_identity,
        differences="There are no RAM users and roles: the caller is always the account itself.",
    ),
)
