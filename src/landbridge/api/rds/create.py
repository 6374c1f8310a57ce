"""New instances."""

from __future__ import annotations

from typing import Any

from ...cloud import ids, quotas
from ...cloud.instances import lifecycle, offered
from ...cloud.instances.tables import DBInstance
from ..action import Action, Call, Kind, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, major

_SIZE = (
    Param("DBInstanceClass", required=True),
    Param("DBInstanceStorage", Kind.INTEGER, required=True, least=5, most=64000),
)
_DESCRIPTION = Param("DBInstanceDescription")
_ADDRESS = Param("PrivateIpAddress")
_PAY = Param("PayType", required=True, choices=lifecycle.PAY_TYPES)
_PLACE_ERRORS = (
    "InvalidRegionId.NotFound",
    "InvalidVSwitchId.NotFound",
    "InvalidZoneId.NotFound",
    "InvalidEngineVersion",
    "InvalidDBInstanceClass.NotFound",
    "InvalidPrivateIpAddress",
    "InsufficientIpAddr.vsw",
    "InvalidDBInstanceDescription.Malformed",
    quotas.INSTANCES.code,
)


def _create(call: Call) -> dict[str, Any]:
    order = lifecycle.Order(
        region_id=call["RegionId"],
        vswitch_id=call["VSwitchId"],
        major=major(call["EngineVersion"]),
        class_name=call["DBInstanceClass"],
        storage_gb=call["DBInstanceStorage"],
        entries=call["SecurityIPList"],
        vpc_id=call["VPCId"],
        zone_id=call["ZoneId"],
        address=_address(call),
        port=call["Port"],
        storage_type=call["DBInstanceStorageType"],
        category=call["Category"],
        pay_type=call["PayType"],
        description=call["DBInstanceDescription"],
        is_protected=call["DeletionProtection"],
    )
    return _answer(lifecycle.create(call.session, call.account, order))


def _create_read_only(call: Call) -> dict[str, Any]:
    instance = lifecycle.create_read_only(
        call.session,
        call.cloud.vault,
        call.account,
        call["DBInstanceId"],
        region_id=call["RegionId"],
        major=major(call["EngineVersion"]),
        zone_id=call["ZoneId"],
        class_name=call["DBInstanceClass"],
        storage_gb=call["DBInstanceStorage"],
        vswitch_id=call["VSwitchId"],
        address=_address(call),
        pay_type=call["PayType"],
        description=call["DBInstanceDescription"],
    )
    return _answer(instance)


def _address(call: Call) -> str | None:
    wanted = call["PrivateIpAddress"]
    return offered.address(call.session, call.cloud, call.account, call["VSwitchId"], wanted)


def _answer(instance: DBInstance) -> dict[str, Any]:
    return {
        "DBInstanceId": instance.id,
        "ConnectionString": instance.address,
        "Port": str(instance.port),
        "OrderId": ids.new_order(),
    }


ACTIONS = (
    Action(
        Product.RDS,
        "CreateDBInstance",
        "Create a primary instance: a real server at a private address.",
        _create,
        (
            Param("RegionId", required=True),
            Param("Engine", required=True, choices=("PostgreSQL",)),
            Param("EngineVersion", required=True),
            *_SIZE,
            Param("DBInstanceNetType", required=True, choices=("Intranet",)),
            Param("SecurityIPList", Kind.NAMES, required=True),
            _PAY,
            Param("VSwitchId", required=True),
            Param("VPCId"),
            Param("ZoneId"),
            Param("InstanceNetworkType", default="VPC", choices=("VPC",)),
            _ADDRESS,
            Param("Port", Kind.INTEGER, default=5432, least=1000, most=5999),
            Param("DBInstanceStorageType", default="cloud_essd", choices=lifecycle.STORAGE_TYPES),
            Param("Category", default="Basic", choices=lifecycle.CATEGORIES),
            _DESCRIPTION,
            Param("DeletionProtection", Kind.BOOLEAN, default=False),
        ),
        writes=True,
        resource="DBInstanceId",
        dry_run=True,
        errors=(
            *_PLACE_ERRORS,
            "InvalidSecurityIPList.Format",
            "InvalidSecurityIPList.Duplicate",
            "InvalidSecurityIPList.QuotaExceeded",
        ),
        differences="VSwitchId is required. ConnectionString is the private address: there is no"
        " name service. HighAvailability is one server too. EngineVersion is one whose programs"
        " this machine has. A dry run that passes is answered with DryRunOperation.",
    ),
    Action(
        Product.RDS,
        "CreateReadOnlyDBInstance",
        "Create a standby of a primary instance, in its VPC.",
        _create_read_only,
        (
            Param("RegionId", required=True),
            Param("ZoneId", required=True),
            ID,
            Param("EngineVersion", required=True),
            *_SIZE,
            _PAY,
            Param("Category", default="Basic", choices=("Basic",)),
            Param("VSwitchId"),
            _ADDRESS,
            _DESCRIPTION,
        ),
        writes=True,
        resource="DBInstanceId",
        errors=(
            *_PLACE_ERRORS, NOT_FOUND, BAD_STATE, "IncorrectDBInstanceType", quotas.READ_ONLY.code,
        ),
    ),
)  # fmt: skip
