"""Assessments for programs: the status, every finding, and the fixes that can be applied."""

from __future__ import annotations

from typing import Any

from ...cloud.migrations import assessments
from ..action import Action, Call, Kind, Param, Product
from ..moments import second

ID = Param("TaskId", Kind.INTEGER, required=True)
NOT_FOUND = "InvalidTaskId.NotFound"


def _describe(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    return {
        "TaskId": int(row.id),
        "DBInstanceName": row.instance_id,
        "Status": row.verdict.value,
        "Created": second(row.created_at),
        "Modified": second(row.modified_at),
        "Report": row.report,
        "Fixes": row.fixes,
        "FixesPending": row.fix_account is not None,
    }


def _apply(call: Call) -> dict[str, Any]:
    row = assessments.find(call.session, call.account, call["TaskId"])
    assessments.order_fixes(
        call.session, call.cloud.vault, row, call["AdminAccount"], call["AdminPassword"]
    )
    return {"TaskId": int(row.id)}


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
        "DescribeAssessment",
        "Show an assessment: its status, every finding with cause and remedy, applied fixes.",
        _describe,
        (ID,),
        errors=(NOT_FOUND,),
    ),
    Action(
        Product.LANDBRIDGE,
        "ApplyAssessmentFixes",
        "Apply the fixes of an assessment that need no restart, as an account of the source.",
        _apply,
        (
            ID,
            Param("AdminAccount", required=True),
            Param("AdminPassword", Kind.SECRET, required=True),
        ),
        writes=True,
        resource="TaskId",
        errors=(NOT_FOUND, "IncorrectDBInstanceState"),
    ),
    Action(
        Product.LANDBRIDGE,
        "RecheckAssessment",
        "Look at everything again, as after a finding was put right.",
        _again,
        (ID, Param("SourcePassword", Kind.SECRET, required=True)),
        writes=True,
        resource="TaskId",
        errors=(
            NOT_FOUND,
            "IncorrectDBInstanceState",
            "InvalidDBInstanceId.NotFound",
            "IncorrectDBInstanceType",
            "OperationDenied.LocalStorage",
            "OperationDenied.ReadOnlyInstances",
        ),
        differences="All checks are made: what a first failure had hidden would be taken for well."
        " The report before stays until then; the password is forgotten again.",
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
