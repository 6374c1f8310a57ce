"""Cloud migration: feasibility assessments, migration tasks, the switchover."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...cloud import quotas
from ...cloud.instances.homes import Homes
from ...cloud.migrations import assessments, migrations, mover
from ...cloud.migrations.progress import Progress
from ...cloud.migrations.search import wanted
from ...cloud.migrations.source import CATEGORIES, Source
from ...cloud.migrations.tables import Assessment, Migration, Task
from ...cloud.paging import Page, numbered
from ..action import Action, Call, Kind, Param, Product
from ..moments import second
from .common import BAD_STATE, NOT_FOUND

#: What stands where the vendor's examples show the password.
HIDDEN = "********"

_NAME = Param("DBInstanceName", required=True)
SOURCE = (
    _NAME,
    Param("SourceIpAddress", required=True),
    Param("SourcePort", Kind.INTEGER, required=True, least=1, most=65535),
    Param("SourceAccount", required=True),
    Param("SourcePassword", Kind.SECRET, required=True),
    Param("SourceCategory", required=True),
)
_ORDER = (*SOURCE, Param("TaskName"))
_SEARCH = (
    _NAME,
    Param("TaskId", Kind.INTEGER),
    Param("TaskName"),
    Param("SourceIpAddress"),
    Param("SourcePort", Kind.INTEGER),
    Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
    Param("PageSize", Kind.INTEGER, default=30, least=1, most=100),
)


def source(call: Call) -> Source:
    return Source.checked(
        call["SourceCategory"],
        call["SourceIpAddress"],
        call["SourcePort"],
        call["SourceAccount"],
        call["SourcePassword"],
    )


def _create_assessment(call: Call) -> dict[str, Any]:
    row = assessments.create(
        call.session,
        call.cloud.vault,
        call.account,
        call["DBInstanceName"],
        source(call),
        call["TaskName"],
    )
    return _ordered(row)


def _create_migration(call: Call) -> dict[str, Any]:
    name = call["DBInstanceName"]
    row = migrations.create(
        call.session,
        call.cloud.vault,
        call.account,
        name,
        source(call),
        Homes.of(call.cloud).home(name) / "data",
        call["TaskName"],
    )
    return _ordered(row)


def _ordered(row: Task) -> dict[str, Any]:
    return {"DBInstanceName": row.instance_id, "TaskId": int(row.id), "TaskName": row.name}


def _describe_assessments(call: Call) -> dict[str, Any]:
    page = _page(call, Assessment)
    items = [{**_facts(row), "Detail": assessments.text(row)} for row in page.rows]
    return _listed(page, items)


def _describe_migrations(call: Call) -> dict[str, Any]:
    page = _page(call, Migration)
    tasks = mover.tasks_of(call.cloud)
    items = []
    for row in page.rows:
        progress = Progress.of(tasks, row)
        items.append(
            {
                **_facts(row),
                "MigrateStage": progress.stage.value,
                "ReplicationState": progress.replication.value,
                "ReplicationInfo": progress.info,
                "SwitchTime": second(progress.switched_at) if progress.switched_at else "",
                "Detail": progress.text(
                    row, partial(call.session.get_one, Assessment, row.assessment_id)
                ),
            }
        )
    return _listed(page, items)


def _page(call: Call, kind: type[Any]) -> Page[Any]:
    found = wanted(
        call.session,
        call.account,
        kind,
        call["DBInstanceName"],
        id=call["TaskId"],
        name=call["TaskName"],
        address=call["SourceIpAddress"],
        port=call["SourcePort"],
    )
    return numbered(call.session, found, call["PageNumber"], call["PageSize"])


def _facts(row: Task) -> dict[str, Any]:
    return {
        "TaskId": int(row.id),
        "TaskName": row.name,
        "TargetInstanceName": row.instance_id,
        "TargetEip": None,
        "SourceIpAddress": row.address,
        "SourcePort": row.port,
        "SourceAccount": row.account,
        "SourcePassword": HIDDEN,
        "SourceCategory": row.category,
        "GmtCreated": second(row.created_at),
        "GmtModified": second(row.modified_at),
    }


def _listed(page: Page[Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "TotalSize": page.total,
        "PageNumber": page.number,
        "PageSize": page.size,
        "Items": items,
    }


def _activate(call: Call) -> dict[str, Any]:
    row = migrations.under_way(call.session, call.account, call["DBInstanceName"])
    progress = Progress.of(mover.tasks_of(call.cloud), row)
    migrations.switch(row, progress, forced=call["ForceSwitch"] == "1")
    return {
        "DBInstanceName": row.instance_id,
        "TaskId": int(row.id),
        "SourceIpAddress": row.address,
        "SourcePort": row.port,
    }


_REFUSED = (
    NOT_FOUND, BAD_STATE, "IncorrectDBInstanceType", "OperationDenied.LocalStorage",
    "OperationDenied.ReadOnlyInstances", "InvalidSourceCategory",
)  # fmt: skip
_CATEGORY = f"SourceCategory is one of {', '.join(CATEGORIES.values())}, in any case."

ACTIONS = (
    Action(
        Product.RDS,
        "CreateCloudMigrationPrecheckTask",
        "Assess whether a migration into an instance will work.",
        _create_assessment,
        _ORDER,
        writes=True,
        resource="DBInstanceName",
        errors=(*_REFUSED, quotas.ASSESSMENTS.code),
        differences=_CATEGORY,
    ),
    Action(
        Product.RDS,
        "DescribeCloudMigrationPrecheckResult",
        "List the assessments of an instance with their reports.",
        _describe_assessments,
        _SEARCH,
        errors=(NOT_FOUND,),
        differences="Detail is empty while the assessment runs; its checks are more than the"
        " vendor's, those without a line there come last. PageSize is 1 to 100.",
    ),
    Action(
        Product.RDS,
        "CreateCloudMigrationTask",
        "Begin to migrate a source into an instance.",
        _create_migration,
        _ORDER,
        writes=True,
        resource="DBInstanceName",
        errors=(
            *_REFUSED,
            "OperationDenied.AssessmentNotPassed",
            "OperationDenied.DestinationNotEmpty",
            "OperationDenied.SourceInMigration",
            quotas.MIGRATIONS.code,
        ),
        differences=f"{_CATEGORY} The latest assessment of the same instance, address, port and"
        " account must have been successful.",
    ),
    Action(
        Product.RDS,
        "DescribeCloudMigrationResult",
        "List the migrations into an instance, how far they are and what happened.",
        _describe_migrations,
        _SEARCH,
        errors=(NOT_FOUND,),
        differences="PageSize is 1 to 100. Closed migrations are listed by TaskId only.",
    ),
    Action(
        Product.RDS,
        "ActivateMigrationTargetInstance",
        "Switch over to the instance.",
        _activate,
        (
            _NAME,
            Param("ForceSwitch", choices=("1",)),
            Param("SwitchTimeMode", choices=("0",)),
        ),
        writes=True,
        resource="DBInstanceName",
        errors=(NOT_FOUND, BAD_STATE),
        differences="The source must refuse writes, or the switchover is put back. With"
        " ForceSwitch it may still accept them as long as nobody else is connected to it.",
    ),
)
