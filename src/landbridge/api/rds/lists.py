"""Lists of instances."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, regions
from ...cloud.instances import lifecycle
from ...cloud.instances.states import BY_CODE, Role
from ...cloud.instances.tables import DBInstance
from ...cloud.paging import numbered
from ...cloud.vpcs import vpc_names
from ..action import Action, Call, Kind, Param, Product
from .common import created, facts, major, sold


def _describe(call: Call) -> dict[str, Any]:
    region = regions.region(call["RegionId"])
    role, status = call["DBInstanceType"], call["DBInstanceStatus"]
    found = lifecycle.search(
        call.account,
        region.id,
        call["SearchKey"],
        id=call["DBInstanceId"],
        status=BY_CODE.get(status),
        role=Role(role) if role else None,
        major=major(call["EngineVersion"]) if call["EngineVersion"] else None,
        vpc_id=call["VpcId"],
        vswitch_id=call["VSwitchId"],
        zone_id=call["ZoneId"],
        address=call["ConnectionString"],
        pay_type=call["PayType"],
        class_name=call["DBInstanceClass"],
        category=call["Category"],
    )
    number, size = _position(call)
    page = numbered(call.session, found, number, size)
    replicas = lifecycle.replica_ids(call.session, [row.id for row in page.rows])
    names = vpc_names(call.session, [row.vpc_id for row in page.rows])
    rows = [
        {**_row(row, replicas[row.id], call["InstanceLevel"]), "VpcName": names[row.vpc_id]}
        for row in page.rows
    ]
    answer = {
        "Items": {"DBInstance": rows},
        "PageNumber": page.number,
        "PageRecordCount": len(page.rows),
        "TotalRecordCount": page.total,
    }
    if call["MaxResults"] and number * size < page.total:
        answer["NextToken"] = str(number + 1)
    return answer


def _position(call: Call) -> tuple[int, int]:
    """Which page, and of how many rows; a NextToken is the number of a page."""
    if call["MaxResults"] is None:
        return call["PageNumber"], call["PageSize"]
    token = call["NextToken"] or "1"
    if not (token.isascii() and token.isdecimal() and 0 < len(token) < 10 and int(token)):
        raise CloudError("InvalidParameter", "NextToken is not one that was given out")
    return int(token), call["MaxResults"]


def _row(instance: DBInstance, replicas: list[str], level: int) -> dict[str, Any]:
    row = {
        **facts(instance, replicas),
        "CreateTime": created(instance),
        "VpcCloudInstanceId": instance.id,
    }
    if level:
        found = sold(instance)
        row |= {"DBInstanceCPU": str(found.cpus), "DBInstanceMemory": found.memory_mb}
    return row


ACTIONS = (
    Action(
        Product.RDS,
        "DescribeDBInstances",
        "List the instances of a region, newest first.",
        _describe,
        (
            Param("RegionId", required=True),
            Param("DBInstanceId"),
            Param("DBInstanceStatus", choices=tuple(BY_CODE)),
            Param("DBInstanceType", choices=tuple(role.value for role in Role)),
            Param("Engine", choices=("PostgreSQL",)),
            Param("EngineVersion"),
            Param("DBInstanceClass"),
            Param("Category"),
            Param("VpcId"),
            Param("VSwitchId"),
            Param("ZoneId"),
            Param("SearchKey"),
            Param("ConnectionString"),
            Param("PayType"),
            Param("InstanceNetworkType", choices=("VPC",)),
            Param("InstanceLevel", Kind.INTEGER, default=0, least=0, most=1),
            Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
            Param("PageSize", Kind.INTEGER, default=30, least=1, most=100),
            Param("MaxResults", Kind.INTEGER, least=1, most=100),
            Param("NextToken"),
        ),
        errors=("InvalidRegionId.NotFound", "InvalidEngineVersion"),
        differences="DBInstanceStatusLabel is ours: the status in the console's words.",
    ),
)
