"""What an account has in all regions: the vendor's lists are of one region each."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import classes, engines, lifecycle
from ...cloud.instances.tables import DBInstance
from ...cloud.ownership import newest_first
from ...cloud.paging import listing, numbered
from ...cloud.vpcs import Vpc, vpc_names, vswitch_ids
from ..action import Action, Call, Param, Product
from ..paging import PAGING, paged
from ..rds.common import created, facts
from ..vpc.vpcs import facts as vpc_facts


def _instances(call: Call) -> dict[str, Any]:
    query = listing(DBInstance, call.account, lifecycle.newest_first, vpc_id=call["VpcId"])
    page = numbered(call.session, query, call["PageNumber"], call["PageSize"])
    replicas = lifecycle.replica_ids(call.session, [row.id for row in page.rows])
    names = vpc_names(call.session, [row.vpc_id for row in page.rows])
    rows = [
        {
            **facts(row, replicas[row.id]),
            "CreateTime": created(row),
            "VpcName": names[row.vpc_id],
        }
        for row in page.rows
    ]
    return {"Items": rows, **paged(page)}


def _vpcs(call: Call) -> dict[str, Any]:
    query = listing(Vpc, call.account, newest_first, id=call["VpcId"])
    page = numbered(call.session, query, call["PageNumber"], call["PageSize"])
    within = vswitch_ids(call.session, [row.id for row in page.rows])
    return {"Vpcs": [vpc_facts(row, within[row.id]) for row in page.rows], **paged(page)}


def _offer(call: Call) -> dict[str, Any]:
    return {
        "EngineVersions": [f"{major}.0" for major in engines.offered()],
        "StorageTypes": list(lifecycle.STORAGE_TYPES),
        "Categories": list(lifecycle.CATEGORIES),
        "Classes": [
            {"DBInstanceClass": each.name, "Cores": each.cpus, "MemoryMB": each.memory_mb}
            for each in map(classes.find, classes.OFFERED)
        ],
    }


#: What is in one VPC, or that one alone.
_OF_VPC = Param("VpcId")

ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "ListDBInstances",
        "List the instances of all regions, newest first.",
        _instances,
        (_OF_VPC, *PAGING),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeOffer",
        "Say which engine versions, storage types and classes instances can be ordered with here.",
        _offer,
    ),
    Action(
        Product.LANDBRIDGE,
        "ListVpcs",
        "List the VPCs of all regions, newest first.",
        _vpcs,
        (_OF_VPC, *PAGING),
    ),
)
