"""What the owner of a source is told of the migrations that read from it."""

from __future__ import annotations

from typing import Any

from ...cloud.migrations import mover
from ...cloud.migrations.outgoing import outgoing
from ..action import Action, Call, Param, Product
from ..moments import second


def _outgoing(call: Call) -> dict[str, Any]:
    found = outgoing(call.session, mover.tasks_of(call.cloud), call.account, call["DBInstanceId"])
    return {
        "Items": [
            {
                "DBInstanceId": each.instance_id,
                "AccountName": each.account,
                "Moved": each.moved_at is not None,
                "MovedAt": second(each.moved_at) if each.moved_at else None,
            }
            for each in found
        ]
    }


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "DescribeOutgoingMigrations",
        "Say which own instances, or whether one, is the source of a migration or has moved away.",
        _outgoing,
        (Param("DBInstanceId"),),
        errors=("InvalidDBInstanceId.NotFound",),
    ),
)
