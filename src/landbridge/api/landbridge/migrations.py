"""Migrations for programs and for consoles: everything that is known, and every order."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError
from ...cloud.migrations import migrations, mover, timeline
from ...cloud.migrations.progress import Progress, status
from ...cloud.migrations.search import wanted
from ...cloud.migrations.series import Series
from ...cloud.migrations.tables import Migration
from ...cloud.paging import numbered
from ..action import Action, Call, Kind, Param, Product
from ..paging import PAGING, paged
from .assessments import ID, NOT_FOUND, OF_INSTANCE, facts

BAD_STATE = "IncorrectDBInstanceState"


def found(call: Call) -> tuple[Migration, Progress]:
    row = migrations.find(call.session, call.account, call["TaskId"])
    return row, Progress.of(mover.tasks_of(call.cloud), row)


def _brief(row: Migration, progress: Progress) -> dict[str, Any]:
    held, undone = progress.hold, progress.undoing
    return facts(row) | {
        "Trouble": row.trouble or (held.text if held else ""),
        "TroubleSince": held.since if held else None,
        "MayGiveUp": undone is not None and undone.waits is not None,
        "AssessmentId": int(row.assessment_id),
        "Status": status(row, progress),
        "Stage": progress.stage.value,
        "Label": progress.label,
        "Error": progress.error,
        "Closed": row.is_closed,
    }


def _list(call: Call) -> dict[str, Any]:
    of_all = wanted(call.session, call.account, Migration, call["DBInstanceName"], closed=True)
    page = numbered(call.session, of_all, call["PageNumber"], call["PageSize"])
    tasks = mover.tasks_of(call.cloud)
    rows = [_brief(row, Progress.of(tasks, row)) | {"Active": row.is_active} for row in page.rows]
    return {"Items": rows, **paged(page)}


def _describe(call: Call) -> dict[str, Any]:
    row, progress = found(call)
    return _brief(row, progress) | {
        "State": progress.state.value,
        "Guarantee": progress.guarantee,
        "Live": progress.live,
        "Confirmations": migrations.CONFIRMATIONS,
        "TimeLimit": migrations.time_limit(progress),
        "Steps": timeline.told_steps(progress),
        "Switchover": timeline.switchover(progress),
        "Events": timeline.news(progress),
    }


def _switch(call: Call) -> dict[str, Any]:
    row, progress = found(call)
    if missing := [name for name in migrations.CONFIRMATIONS if not call[name]]:
        said = "; ".join(f"{name}: {migrations.CONFIRMATIONS[name]}" for name in missing)
        raise CloudError("OperationDenied.ConfirmationMissing", f"not confirmed: {said}")
    migrations.switch(row, progress, forced=bool(call["Force"]), time_limit=call["TimeLimit"])
    return {"TaskId": int(row.id)}


def _cancel(call: Call) -> dict[str, Any]:
    row, progress = found(call)
    migrations.cancel(row, progress, give_up=bool(call["GiveUp"]))
    return {"TaskId": int(row.id)}


def _close(call: Call) -> dict[str, Any]:
    row, _ = found(call)
    migrations.close(row)
    return {"TaskId": int(row.id)}


def _delete(call: Call) -> dict[str, Any]:
    row, _ = found(call)
    migrations.delete(call.session, row)
    return {"TaskId": int(row.id)}


def _series(call: Call) -> dict[str, Any]:
    _, progress = found(call)
    points = Series(progress.record.folder).read(call["MaxPoints"]) if progress.record else []
    return {"Points": points}


def _evidence(call: Call) -> dict[str, Any]:
    _, progress = found(call)
    if (evidence := progress.evidence()) is None:
        raise CloudError(BAD_STATE, "the evidence is written when the migration is over")
    return {"Evidence": evidence}


def _order(name: str, summary: str, handler: Any, *more: Param, errors: tuple[str, ...]) -> Action:
    return Action(
        Product.LANDBRIDGE,
        name,
        summary,
        handler,
        (ID, *more),
        writes=True,
        resource="TaskId",
        errors=(NOT_FOUND, *errors),
    )


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "ListMigrations",
        "List the migrations into an instance or into all, closed ones too, newest first.",
        _list,
        (OF_INSTANCE, *PAGING),
        errors=("InvalidDBInstanceId.NotFound",),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeMigration",
        "Show a migration: state, what it guarantees, latest figures, why it waits or failed.",
        _describe,
        (ID,),
        errors=(NOT_FOUND,),
    ),
    _order(
        "SwitchOverMigration",
        "Switch over within TimeLimit seconds; all that a person answers for is confirmed.",
        _switch,
        *(Param(name, Kind.BOOLEAN) for name in migrations.CONFIRMATIONS),
        Param("Force", Kind.BOOLEAN),
        Param("TimeLimit", Kind.INTEGER, least=1, most=migrations.LONGEST),
        errors=(BAD_STATE, "OperationDenied.ConfirmationMissing"),
    ),
    _order(
        "CancelMigration",
        "Cancel a migration and put everything back; GiveUp: without what that waits for.",
        _cancel,
        Param("GiveUp", Kind.BOOLEAN),
        errors=(BAD_STATE,),
    ),
    _order(
        "CloseMigration",
        "Put a migration away that is over: it is not listed any more.",
        _close,
        errors=(BAD_STATE,),
    ),
    _order(
        "DeleteMigration",
        "Forget a migration that is over; the operator keeps its record.",
        _delete,
        errors=(BAD_STATE,),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeMigrationSeries",
        "Show the course of a migration: progress, lag and WAL kept, at most MaxPoints figures.",
        _series,
        (ID, Param("MaxPoints", Kind.INTEGER, default=300, least=2, most=5000)),
        errors=(NOT_FOUND,),
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeMigrationEvidence",
        "Show the evidence of a migration that is over.",
        _evidence,
        (ID,),
        errors=(NOT_FOUND, BAD_STATE),
    ),
)
