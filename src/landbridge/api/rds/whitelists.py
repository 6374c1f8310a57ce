"""Who may connect to an instance."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import lifecycle, whitelist
from ..action import Action, Call, Kind, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, find


def _describe(call: Call) -> dict[str, Any]:
    rows = [
        {
            "DBInstanceIPArrayName": group.name,
            "DBInstanceIPArrayAttribute": group.attribute,
            "SecurityIPType": "IPv4",
            "SecurityIPList": ",".join(group.entries),
            "WhitelistNetworkType": "MIX",
        }
        for group in find(call).groups
    ]
    return {"Items": {"DBInstanceIPArray": rows}}


def _modify(call: Call) -> dict[str, Any]:
    instance = find(call)
    lifecycle.require_kept(instance)
    whitelist.modify(
        call.session,
        instance,
        call["SecurityIps"],
        group=call["DBInstanceIPArrayName"],
        mode=whitelist.Mode(call["ModifyMode"]),
        attribute=call["DBInstanceIPArrayAttribute"],
    )
    if call["CloseSessions"]:
        whitelist.close_strangers(instance)
    return {"TaskId": str(instance.version)}


ACTIONS = (
    Action(
        Product.RDS,
        "DescribeDBInstanceIPArrayList",
        "List the whitelists of an instance.",
        _describe,
        (ID,),
        errors=(NOT_FOUND,),
        differences="One list is for every kind of network (MIX).",
    ),
    Action(
        Product.RDS,
        "ModifySecurityIps",
        "Change a whitelist of an instance, or add one.",
        _modify,
        (
            ID,
            Param("SecurityIps", Kind.NAMES, required=True),
            Param("DBInstanceIPArrayName", default="default"),
            Param("ModifyMode", default="Cover", choices=tuple(m.value for m in whitelist.Mode)),
            Param("DBInstanceIPArrayAttribute", choices=("hidden",)),
            Param("SecurityIPType", default="IPv4", choices=("IPv4",)),
            Param("CloseSessions", Kind.BOOLEAN, default=False, ours=True),
        ),
        writes=True,
        resource="DBInstanceId",
        errors=(
            NOT_FOUND,
            BAD_STATE,
            "InvalidSecurityIPList.Format",
            "InvalidSecurityIPList.Duplicate",
            "InvalidSecurityIPList.QuotaExceeded",
            "InvalidDBInstanceIPArrayName.Format",
        ),
        differences="Open sessions stay open, unless CloseSessions says that those which are not"
        " admitted any more end; CloseForeignSessions of our own version ends them later, too.",
    ),
)
