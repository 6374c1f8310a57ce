"""One instance in detail."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import lifecycle, public, whitelist
from ...cloud.instances.homes import Homes
from ...cloud.instances.tables import DBInstance
from ..action import Action, Call, Product
from .common import ID, NOT_FOUND, created, facts, find, sold


def _describe_attribute(call: Call) -> dict[str, Any]:
    instance = find(call)
    found = sold(instance)
    row = {
        **facts(instance, lifecycle.replica_ids(call.session, [instance.id])[instance.id]),
        "DBInstanceStorage": instance.storage_gb,
        "DBInstanceDiskUsed": str(instance.used_bytes),
        "DBInstanceCPU": str(found.cpus),
        "DBInstanceMemory": found.memory_mb,
        "MaxConnections": found.max_connections,
        "Port": str(instance.port),
        "CreationTime": created(instance),
        "CurrentKernelVersion": Homes.of(call.cloud).version(instance.id),
        "MasterZone": instance.zone_id,
        "SlaveZones": {"SlaveZone": []},
        "SecurityIPList": ",".join(whitelist.entries(call.session, instance)),
        "SecurityIPMode": "normal",
        "DBClusterNodes": {"DBClusterNode": []},
        "Extra": {"DBInstanceIds": {"DBInstanceId": []}},
        "Trouble": instance.trouble,
    }
    return {"Items": {"DBInstanceAttribute": [row]}}


def _describe_net_info(call: Call) -> dict[str, Any]:
    instance = find(call)
    return {
        "InstanceNetworkType": "VPC",
        "SecurityIPMode": "normal",
        "DBInstanceNetInfos": {"DBInstanceNetInfo": _net_infos(call, instance)},
    }


def _net_infos(call: Call, instance: DBInstance) -> list[dict[str, Any]]:
    private = _net_info(instance)
    if (found := public.endpoint(call.session, instance)) is None:
        return [private]
    host, port = found
    where = {"ConnectionString": host, "IPAddress": host, "IPType": "Public", "Port": str(port)}
    return [private, private | where]


def _net_info(instance: DBInstance) -> dict[str, Any]:
    return {
        "ConnectionString": instance.address,
        "ConnectionStringType": "Normal",
        "IPAddress": instance.address,
        "IPType": "Private",
        "Port": str(instance.port),
        "VPCId": instance.vpc_id,
        "VPCCidrBlock": instance.vpc.cidr,
        "VSwitchId": instance.vswitch_id,
        "Upgradeable": "Disabled",
        "SecurityIPGroups": {
            "securityIPGroup": [
                {"SecurityIPGroupName": group.name, "SecurityIPs": ",".join(group.entries)}
                for group in instance.groups
            ]
        },
    }


ACTIONS = (
    Action(
        Product.RDS,
        "DescribeDBInstanceAttribute",
        "Show one instance.",
        _describe_attribute,
        (ID,),
        errors=(NOT_FOUND,),
        differences="Trouble is ours: why the server is not yet as it is wanted. Of some facts"
        " there are none: maintenance windows, IOPS.",
    ),
    Action(
        Product.RDS,
        "DescribeDBInstanceNetInfo",
        "Show the endpoint of an instance.",
        _describe_net_info,
        (ID,),
        errors=(NOT_FOUND,),
        differences="VPCCidrBlock is ours: what a whitelist on the other side needs.",
    ),
)
