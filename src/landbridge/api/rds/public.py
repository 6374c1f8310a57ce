"""Public endpoints of instances."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import public
from ..action import Action, Call, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, find


def _allocate(call: Call) -> dict[str, Any]:
    instance = find(call)
    public.allocate(call.session, instance)
    return {"DbInstanceName": instance.id, "ConnectionString": public.HOST}


def _release(call: Call) -> dict[str, Any]:
    public.release(call.session, find(call), call["CurrentConnectionString"])
    return {}


ACTIONS = (
    Action(
        Product.RDS,
        "AllocateInstancePublicConnection",
        "Let the machine that Landbridge runs on reach an instance.",
        _allocate,
        (ID,),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE, "InvalidOperation.NetTypeExists"),
        differences="DescribeDBInstanceNetInfo says which port of this machine leads to it. Its"
        " clients come from the instance's own private address, which must be on its whitelist.",
    ),
    Action(
        Product.RDS,
        "ReleaseInstancePublicConnection",
        "Take an instance's public endpoint away.",
        _release,
        (ID, Param("CurrentConnectionString", required=True)),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, "InvalidCurrentConnectionString.NotFound"),
    ),
)
