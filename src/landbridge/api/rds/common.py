"""What the RDS actions share: the instance they are about, and its facts in the answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...cloud.instances import classes, engines, lifecycle
from ...cloud.instances.tables import DBInstance
from ..action import Call, Param
from ..moments import second

ID = Param("DBInstanceId", required=True)
NOT_FOUND = DBInstance.not_found
BAD_STATE = "IncorrectDBInstanceState"

_VERSION = re.compile(r"([0-9]{2})(?:\.0)?")


def find(call: Call) -> DBInstance:
    """The instance that a call names."""
    return lifecycle.find(call.session, call.account, call["DBInstanceId"])


def major(text: str) -> int:
    """The major of an engine version like `15.0`. CloudError InvalidEngineVersion."""
    if (found := _VERSION.fullmatch(text)) is None:
        raise engines.not_offered(text)
    return int(found[1])


def engine_version(instance: DBInstance) -> str:
    """Like `15.0`."""
    return f"{instance.major}.0"


def facts(instance: DBInstance, replicas: Sequence[str]) -> dict[str, Any]:
    """The fields that lists and details have in common; `replicas`: ids of those that follow."""
    return {
        "DBInstanceId": instance.id,
        "DBInstanceDescription": instance.description,
        "DBInstanceStatus": instance.status.value,
        "DBInstanceStatusLabel": instance.status.label,
        "DBInstanceType": instance.role.value,
        "Engine": "PostgreSQL",
        "EngineVersion": engine_version(instance),
        "DBInstanceClass": instance.class_name,
        "DBInstanceStorageType": instance.storage_type,
        "RegionId": instance.region_id,
        "ZoneId": instance.zone_id,
        "VpcId": instance.vpc_id,
        "VSwitchId": instance.vswitch_id,
        "InstanceNetworkType": "VPC",
        "DBInstanceNetType": "Intranet",
        "ConnectionMode": "Standard",
        "ConnectionString": instance.address,
        "PayType": instance.pay_type,
        "ExpireTime": "",
        "LockMode": instance.lock_mode.value,
        "LockReason": instance.lock_mode.value if instance.lock_mode.locks else "",
        "Category": instance.category,
        "DeletionProtection": instance.is_protected,
        "MasterInstanceId": instance.primary_id or "",
        "ReadOnlyDBInstanceIds": {
            "ReadOnlyDBInstanceId": [{"DBInstanceId": id} for id in replicas]
        },
    }


def created(instance: DBInstance) -> str:
    """When it was ordered."""
    return second(instance.created_at)


def sold(instance: DBInstance) -> classes.InstanceClass:
    """The class it was sold as."""
    return classes.find(instance.class_name)
