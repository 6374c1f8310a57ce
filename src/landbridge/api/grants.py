"""Grants to CENs: the same ones, by the actions of CEN and by those of the VPC product."""

from __future__ import annotations

from typing import Any

from ..cloud import grants, quotas
from ..cloud.grants import Payer
from .action import Action, Call, Kind, Param, Product

CEN = Param("CenId", required=True)
TYPE = Param("InstanceType", required=True, choices=("VPC",))
ONLY_VPC = "Only VPCs can be granted."
_RULE = (
    CEN,
    Param("CenOwnerId", Kind.INTEGER, required=True),
    Param("InstanceId", required=True),
    TYPE,
)


def give(product: Product, name: str, *more: Param) -> Action:
    """The action `name` that lets a CEN attach one's VPC; an OrderType in `more` says who pays."""
    return Action(
        product,
        name,
        "Let a CEN of another account attach one's VPC.",
        _give,
        (*_RULE, *more),
        writes=True,
        resource="InstanceId",
        errors=("InvalidVpcId.NotFound", "InvalidCenId.NotFound", quotas.GRANTS.code),
        differences=f"{ONLY_VPC} One's own CEN needs no grant and is refused. Whether a CEN is not"
        " there or not of CenOwnerId, the answer is the same.",
    )


def revoke(product: Product, name: str, *more: Param) -> Action:
    """The action `name` that takes such a grant back."""
    return Action(
        product,
        name,
        "Take a grant back.",
        _revoke,
        (*_RULE, *more),
        writes=True,
        resource="InstanceId",
        errors=("InvalidVpcId.NotFound", "GrantNotExist", "DependencyViolation"),
        differences="Refused while the VPC is attached: its owner may detach it.",
    )


def _give(call: Call) -> dict[str, Any]:
    payer = Payer(call.arguments.get("OrderType", Payer.CEN_OWNER.value))
    grants.give(call.session, call.account, *_which(call), payer, region=call["RegionId"])
    return {}


def _revoke(call: Call) -> dict[str, Any]:
    grants.revoke(call.session, call.account, *_which(call), region=call["RegionId"])
    return {}


def _which(call: Call) -> tuple[str, str, int]:
    return call["InstanceId"], call["CenId"], call["CenOwnerId"]
