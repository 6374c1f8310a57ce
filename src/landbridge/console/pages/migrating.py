"""Migration to Cloud: the list, one task as it happens, and what is ordered of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ...cloud.migrations.told import advice
from ...cloud.remedies import on_page
from ..forms import Field, Form, Kind, options
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, confirm, confirmed
from .assessing import SOURCE_TYPES, assessments, is_taken, migration_tabs
from .instance import attribute, tab_page

#: Stage of the API -> what its phase is called, in order.
PHASES = {
    "precheck": "Checking prerequisites",
    "basebackup": "Full copy",
    "startup": "Starting the destination",
    "increment": "Incremental synchronization",
    "switch": "Switchover",
    "success": "Finished",
}
#: Seconds between two looks at a switchover, whose steps take some tenths of a second.
_SWITCHING = 0.1
OVER = ("Finished", "Cancelled", "Failed")
#: What an assessment has settled of a migration, by its label.
_SETTLED = {
    "SourceType": "Migration Source Type",
    "SourceIpAddress": "Source IP/DNS",
    "SourcePort": "Source Port",
    "SourceAccount": "Username",
}


def _list(visit: Visit) -> Response:
    id, rows = visit["id"], migrations(visit, DBInstanceName=visit["id"])
    return tab_page(
        visit, "migrations.html", "migration", phases=PHASES, over=OVER, taken=is_taken(rows),
        rows=[row for row in rows if not row["Closed"]],
        closed=[row for row in rows if row["Closed"]],
        pages=migration_tabs(id), page_here=url("rds", id, "migration", "tasks"),
    )  # fmt: skip


def migrations(visit: Visit, **of: str) -> list[dict[str, Any]]:
    """Those into an instance, or into all; closed ones too, newest first."""
    return visit.every("landbridge.ListMigrations", lambda answer: answer["Items"], **of)


def _passed(visit: Visit) -> list[dict[str, Any]]:
    """The assessments that a migration may go by, newest first."""
    latest: dict[tuple[str, int, str], dict[str, Any]] = {}  # of each source and account
    for row in assessments(visit, DBInstanceName=visit["id"]):
        latest.setdefault((row["SourceIpAddress"], row["SourcePort"], row["SourceAccount"]), row)
    return [row for row in latest.values() if row["Status"] == "Successful" and not row["Stale"]]


def _create_blank(visit: Visit, given: Mapping[str, str]) -> tuple[Form, dict[str, Any] | None]:
    """The form, and the assessment that is chosen in it."""
    passed = _passed(visit)
    wanted = given.get("assessment") or (str(passed[0]["TaskId"]) if passed else "")
    chosen = next((row for row in passed if str(row["TaskId"]) == wanted), None)
    known = {}
    if chosen:
        category = chosen["SourceCategory"]
        known = {**chosen, "SourceType": SOURCE_TYPES.get(category, category)}
    return Form(
        (
            Field("assessment", "Associated Assessment Task", Kind.CHOICE, required=True,
                  options=options(passed, "TaskId", "TaskName", "SourceIpAddress", "SourceAccount"),
                  default=wanted, reload=True,
                  help="It settles what follows." if passed else "There is none that was"
                  " successful within a week: create a feasibility assessment task first."),
            *(
                Field(name, label, Kind.FIXED, default=str(known[name]))
                for name, label in _SETTLED.items() if known
            ),
            Field("SourcePassword", "Password of the username", Kind.PASSWORD, required=True,
                  help="The assessment's was forgotten when it ended."),
            Field("TaskName", "Task name", placeholder="As the assessment's",
                  help="If it is left empty, the migration is called like its assessment."),
        ),
        codes={"OperationDenied.AssessmentNotPassed": "assessment"},
    ), chosen  # fmt: skip


def _create_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    back = url("rds", visit["id"], "migration", "tasks")
    asked = Asked(
        "Create Cloud Migration Task",
        "Initiate Migration to Cloud",
        back,
        [(back, visit["id"])],
        "The destination's status becomes Migrating Data In. The source may be read and written;"
        " do not migrate, restart or resize it meanwhile.",
    )
    return asked.page(visit, form or _create_blank(visit, visit.query)[0], status)


def _create(visit: Visit) -> Response:
    if visit.looks:
        return visit.again()
    blank, chosen = _create_blank(visit, visit.form)
    form = blank.filled(visit.form)
    if chosen is None or not form.values["assessment"]:
        form.errors["assessment"] = "Choose an assessment that was successful."
        return _create_form(visit, form, 422)
    names = ("SourceIpAddress", "SourcePort", "SourceAccount", "SourceCategory")
    source = {name: chosen[name] for name in names}
    source["SourcePassword"] = form.value("SourcePassword")
    try:
        tested = visit.call("landbridge.TestSourceConnection", DBInstanceName=visit["id"], **source)
        if refused := [each for each in tested["Findings"] if each["Refusal"] == "password"]:
            told = refused[0]
            remedy = advice(told["Id"], told["Remedy"], told["Fixes"])
            form.errors["SourcePassword"] = f"{told['Cause']} {remedy}"
            return _create_form(visit, form, 422)
        made = visit.call(
            "rds.CreateCloudMigrationTask",
            DBInstanceName=visit["id"],
            TaskName=form.value("TaskName").strip() or chosen["TaskName"],
            **source,
        )
    except CloudError as problem:
        return _create_form(visit, form, form.refuse(problem))
    return visit.go(
        url("rds", visit["id"], "migration", "tasks", str(made["TaskId"])),
        "The migration has begun.",
    )


def task_of(visit: Visit) -> dict[str, Any]:
    """Everything that is known of the migration that the address names."""
    found = visit.call("landbridge.DescribeMigration", TaskId=visit["task"])
    if found["DBInstanceName"] != visit["id"]:
        raise CloudError("InvalidTaskId.NotFound")
    listed = visit.call(
        "rds.DescribeCloudMigrationResult", DBInstanceName=visit["id"], TaskId=visit["task"]
    )["Items"]
    return {**(listed[0] if listed else {}), **found}


def _show(visit: Visit) -> Response:
    task = task_of(visit)
    is_over = task["Status"] in OVER
    live = 0 if is_over else _SWITCHING if task["Status"] == "Switching" else 1
    evidence = None
    if is_over:
        try:
            evidence = visit.call("landbridge.DescribeMigrationEvidence", TaskId=visit["task"])
        except CloudError:
            evidence = None  # it came to nothing before there was anything to tell
    points = visit.call("landbridge.DescribeMigrationSeries", TaskId=visit["task"])["Points"]
    return visit.page(
        "migration.html",
        live=live,
        instance=attribute(visit),
        task=task,
        switchover=_after(task["Switchover"]),
        figures=task["Live"],
        phases=PHASES,
        over=OVER,
        checks=_checks(task.get("Detail") or ""),
        alarms=[on_page(e["Text"]) for e in task["Events"] if is_over and e["Level"] == "alarm"],
        evidence=evidence and evidence["Evidence"],
        curves=_curves(points),
    )


def _after(switchover: dict[str, Any] | None) -> dict[str, Any] | None:
    """A switchover, each phase with how many milliseconds after the first it began."""
    if switchover is None:
        return None
    first: datetime | None = None
    phases = []
    for phase in switchover["Phases"]:
        after = None
        if phase["Begin"]:
            begun = datetime.fromisoformat(phase["Begin"])
            first = first or begun
            after = (begun - first).total_seconds() * 1000
        phases.append(phase | {"After": after})
    return switchover | {"Phases": phases}


def _checks(detail: str) -> list[str]:
    """The lines of the checks that a migration began with."""
    lines = [line for line in detail.splitlines() if " --- " not in line]
    begin = lines.index("[Start RDS instance]") if "[Start RDS instance]" in lines else None
    return lines[:begin]


def _curves(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the course of a migration looks like: the copy, the lag, the WAL that is kept."""
    wanted = (
        ("copy", "Copied", "bytes", (("copied", "Copied"), ("total", "In all"))),
        ("lag", "Lag", "bytes", (("lag_bytes", "Lag"),)),
        ("wal", "WAL kept on the source", "bytes", (("wal_kept_bytes", "Kept"),)),
    )
    drawn = []
    for id, label, unit, series in wanted:
        known = [p for p in points if any(name in p for name, _ in series)]
        if id == "copy":
            known = _attempts(known)
        if len(known) < 2:
            continue
        drawn.append({
            "id": id,
            "label": label,
            "data": {
                "unit": unit,
                "times": [datetime.fromisoformat(p["at"]).timestamp() for p in known],
                "series": [
                    {"name": word, "values": [p.get(name) for p in known]} for name, word in series
                ],
                "height": 160,
            },
        })  # fmt: skip
    return drawn


def _attempts(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The course of a copy; one that began again is a line of its own."""
    drawn: list[dict[str, Any]] = []
    for point in points:
        if not point.get("total"):
            continue
        if drawn and point["copied"] < drawn[-1]["copied"]:
            drawn.append({"at": point["at"], "copied": None, "total": None})
        drawn.append(point)
    return drawn


def _evidence(visit: Visit) -> Response:
    task_of(visit)
    found = visit.call("landbridge.DescribeMigrationEvidence", TaskId=visit["task"])["Evidence"]
    name = f"evidence-{visit['task']}.json"
    return Response(
        json.dumps(found, indent=2, ensure_ascii=False),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


#: Order -> verb, button, what it undoes, action and its parameters beside the task.
_ORDERS = {
    "cancel": (
        "cancel", "Cancel Migration",
        "The migration ends. Its copy is removed and the destination becomes an empty instance"
        " again. On the source the replication slot is dropped; all else of it stays as it is.",
        "landbridge.CancelMigration", {},
    ),
    "give-up": (
        "end", "Give Up the Source",
        "The migration ends although the source does not answer. Its replication slot may stay"
        " there and keep WAL until somebody drops it; the event log says by which statement.",
        "landbridge.CancelMigration", {"GiveUp": True},
    ),
    "close": (
        "close", "Close",
        "The task is put away, below the others. Nothing else changes.",
        "landbridge.CloseMigration", {},
    ),
    "delete": (
        "delete", "Delete",
        "The task and its history are forgotten. The instance and its data stay.",
        "landbridge.DeleteMigration", {},
    ),
}  # fmt: skip


def _order_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    verb, button, words, _, _ = _chosen(visit)
    name = task_of(visit)["TaskName"]
    tasks = ("rds", visit["id"], "migration", "tasks")
    crumbs = [(url(*tasks), visit["id"])]
    loses = visit["order"] != "close"
    asked = Asked(button, button, url(*tasks, visit["task"]), crumbs, words, danger=loses)
    return asked.page(visit, form or (confirm(verb, name) if loses else Form(())), status)


def _order(visit: Visit) -> Response:
    verb, _, _, action, more = _chosen(visit)
    name = task_of(visit)["TaskName"]
    task = visit["task"]

    def act() -> None:
        visit.call(action, TaskId=task, **more)

    again = None
    if visit["order"] == "close":  # nothing is lost by it
        act()
    else:
        again = confirmed(visit, verb, name, _order_form, act)
    stays = action == "landbridge.CancelMigration"
    back = url("rds", visit["id"], "migration", "tasks", *([task] if stays else []))
    return again or visit.go(back, f"{name}: {verb} ordered.")


def _chosen(visit: Visit) -> tuple[str, str, str, str, dict[str, Any]]:
    found = _ORDERS.get(visit["order"])
    if found is None:
        raise CloudError("InvalidTaskId.NotFound", "There is no such page.")
    return found


PAGES = (
    Page("/rds/{id}/migration/tasks", _list),
    Page("/rds/{id}/migration/create", _create_form, _create),
    Page("/rds/{id}/migration/tasks/{task}", _show),
    Page("/rds/{id}/migration/tasks/{task}/evidence", _evidence),
)
#: After those with an address of their own.
ORDER_PAGES = (Page("/rds/{id}/migration/tasks/{task}/{order}", _order_form, _order),)
