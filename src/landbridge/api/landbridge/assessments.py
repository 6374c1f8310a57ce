"""Assessments for programs: the status, every finding, and the fixes that can be applied."""

from __future__ import annotations

from typing import Any

from ...cloud.migrations import assessments
from ...cloud.migrations.search import in_short
from ...cloud.migrations.tables import Task
from ...cloud.paging import numbered
from ..action import Action, Call, Kind, Param, Product
from ..moments import second
from ..paging import PAGING, paged

ID = Param("TaskId", Kind.INTEGER, required=True)
NOT_FOUND = "InvalidTaskId.NotFound"
NO_FINDING = "InvalidFindingId.NotFound"
_LOOK_REFUSED = (
    NOT_FOUND, "IncorrectDBInstanceState", "InvalidDBInstanceId.NotFound",
    "IncorrectDBInstanceType", "OperationDenied.LocalStorage", "OperationDenied.ReadOnlyInstances",
)  # fmt: skip


#: Of a list of tasks: which instance's, all where none is named.
OF_INSTANCE = Param("DBInstanceName")


def facts(row: Task) -> dict[str, Any]:
    """What is known of a task of either kind."""
    return {
        "TaskId": int(row.id),
        "TaskName": row.name,
        "DBInstanceName": row.instance_id,
        "SourceCategory": row.category,
        "SourceIpAddress": row.address,
        "SourcePort": row.port,
        "SourceAccount": row.account,
        "Created": second(row.created_at),
        "Modified": second(row.modified_at),
    }


def _list(call: Call) -> dict[str, Any]:
    found = in_short(call.session, call.account, call["DBInstanceName"])
    page = numbered(call.session, found, call["PageNumber"], call["PageSize"])
    rows = [
        facts(row)
        | {
            "Status": row.verdict.value,
            "Active": assessments.is_worked_on(row),
            "Stale": assessments.is_stale(row),
            "Counts": row.gist["counts"] if row.gist else None,
        }
        for row in page.rows
    ]
    return {"Items": rows, **paged(page)}


def _describe(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    return facts(row) | {
        "Status": row.verdict.value,
        "Report": row.report,
        "Stale": assessments.is_stale(row),
        "Fixes": row.fixes,
        "FixesPending": row.fix_account is not None,
        "FixesPendingFor": row.fix_ids or [],
        "RecheckPending": row.recheck,
        "Recheck": row.rechecked,
    }


def _apply(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    chosen = assessments.order_fixes(
        call.session, call.cloud.vault, row, call["AdminAccount"], call["AdminPassword"],
        call["FindingIds"],
    )  # fmt: skip
    return {
        "TaskId": int(row.id),
        "Findings": [
            {"FindingId": id, "Outcome": "not_applicable" if why else "pending", "Why": why}
            for id, why in chosen
        ],
    }


def _again_one(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    assessments.again_one(
        call.session, call.cloud.vault, row, call["FindingId"], call["SourcePassword"]
    )
    return {"TaskId": int(row.id), "FindingId": call["FindingId"]}


def _again(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    assessments.again(call.session, call.cloud.vault, row, call["SourcePassword"])
    return {"TaskId": int(row.id)}


def _delete(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    assessments.delete(call.session, row)
    return {"TaskId": int(row.id)}


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "ListAssessments",
        "List the assessments of an instance or of all, newest first, and how many findings.",
        _list,
        (OF_INSTANCE, *PAGING),
        errors=("InvalidDBInstanceId.NotFound",),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeAssessment",
        "Show an assessment: its status, every finding with cause and remedy, applied fixes.",
        _describe,
        (ID,),
        errors=(NOT_FOUND,),
        differences="Each finding has the moment of its check; Stale says that one is older than"
        " a week, and that no migration goes by the assessment until it is checked again.",
    ),
    Action(
        Product.LANDBRIDGE,
        "ApplyAssessmentFixes",
        "Apply an assessment's fixes, of all findings or of some, as an account of the source.",
        _apply,
        (
            ID,
            Param("FindingIds", many=100),
            Param("AdminAccount", required=True),
            Param("AdminPassword", Kind.SECRET, required=True),
        ),
        writes=True,
        resource="TaskId",
        errors=(NOT_FOUND, NO_FINDING, "IncorrectDBInstanceState"),
        differences="Answered is what will be tried of FindingIds, and why the rest is not."
        " DescribeAssessment tells of each what was run, what takes it back, and what the source"
        " refused. Nothing is restarted.",
    ),
    Action(
        Product.LANDBRIDGE,
        "RecheckAssessment",
        "Look at everything again, as after a finding was put right.",
        _again,
        (ID, Param("SourcePassword", Kind.SECRET, required=True)),
        writes=True,
        resource="TaskId",
        errors=_LOOK_REFUSED,
        differences="All checks are made. The report before stays until then; the password is"
        " forgotten again.",
    ),
    Action(
        Product.LANDBRIDGE,
        "RecheckAssessmentFinding",
        "Look at one finding again, as after it was put right.",
        _again_one,
        (
            ID,
            Param("FindingId", required=True),
            Param("SourcePassword", Kind.SECRET, required=True),
        ),
        writes=True,
        resource="TaskId",
        errors=(*_LOOK_REFUSED, NO_FINDING),
        differences="Its check is made and the status follows; the others stay with the moments"
        " of theirs. All are made where it is one that others depend on (address, port, login,"
        " pg_monitor, databases, version), where such a one is in the way, where the source is"
        " another than before, and where the report is Stale: what one failure had hidden would be"
        " taken for well.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DeleteAssessment",
        "Forget an assessment that is over and that no migration goes by.",
        _delete,
        (ID,),
        writes=True,
        resource="TaskId",
        errors=(NOT_FOUND, "IncorrectDBInstanceState", "DependencyViolation"),
    ),
)
