"""What is done to an instance as a whole."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, ids
from ...cloud.instances import lifecycle
from ..action import Action, Call, Kind, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, engine_version, find

#: What a change of class or storage leaves as it is.
_KEPT = (
    "EngineVersion", "DBInstanceStorageType", "Category", "PayType", "ZoneId", "VSwitchId",
)  # fmt: skip


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


def _resize(call: Call) -> dict[str, Any]:
    instance = find(call)
    kept = {
        "EngineVersion": engine_version(instance),
        "DBInstanceStorageType": instance.storage_type,
        "Category": instance.category,
        "PayType": instance.pay_type,
        "ZoneId": instance.zone_id,
        "VSwitchId": instance.vswitch_id,
    }
    if other := [name for name in kept if call[name] not in (None, kept[name])]:
        raise CloudError("InvalidParameter", f"{', '.join(other)} cannot be changed")
    lifecycle.resize(instance, call["DBInstanceClass"], call["DBInstanceStorage"])
    return {"DBInstanceId": instance.id, "OrderId": ids.new_order()}


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
        "ModifyDBInstanceSpec",
        "Give an instance another class or storage.",
        _resize,
        (
            ID,
            Param("DBInstanceClass"),
            Param("DBInstanceStorage", Kind.INTEGER),
            Param("EffectiveTime", choices=("Immediate",)),
            *(Param(name) for name in _KEPT),
        ),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE, "InvalidDBInstanceClass.NotFound"),
        differences="A class restarts the server, a storage counts at once; either may be less"
        f" than before. {', '.join(_KEPT)} are accepted as they are and cannot be changed.",
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
