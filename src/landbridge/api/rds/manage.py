"""What is done to an instance as a whole."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import lifecycle
from ..action import Action, Call, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, find


def _delete(call: Call) -> dict[str, Any]:
    instance = find(call)
    lifecycle.delete(instance)
    return {"RegionId": instance.region_id}


def _restart(call: Call) -> dict[str, Any]:
    lifecycle.restart(find(call))
    return {}


def _describe(call: Call) -> dict[str, Any]:
    lifecycle.describe(find(call), call["DBInstanceDescription"])
    return {}


ACTIONS = (
    Action(
        Product.RDS,
        "DeleteDBInstance",
        "Delete an instance with all its data.",
        _delete,
        (ID,),
        writes=True,
        resource="DBInstanceId",
        errors=(
            NOT_FOUND, BAD_STATE, "DependencyViolation", "OperationDenied.DeletionProtection",
        ),
    ),
    Action(
        Product.RDS,
        "RestartDBInstance",
        "Restart the server of an instance.",
        _restart,
        (ID,),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE),
    ),
    Action(
        Product.RDS,
        "ModifyDBInstanceDescription",
        "Give an instance another description.",
        _describe,
        (ID, Param("DBInstanceDescription", required=True)),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, "InvalidDBInstanceDescription.Malformed"),
    ),
)  # fmt: skip
