"""Feasibility assessment: the wizard and the list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, confirm, confirmed
from .instance import attribute, tab_page

_STEPS = (
    "Configure Scenario and Source Type",
    "Configure Destination Instance",
    "Configure Source Instance",
    "Start Feasibility Assessment",
)
_SOURCES = (
    Option("aliyunRDS", "ApsaraDB RDS Instance", "An instance of another account or region"),
    Option("ecsOnVpc", "Self-managed on ECS", "A PostgreSQL server in a VPC that the CEN joins"),
    Option("idcOnVpc", "Data center", "A PostgreSQL server that the destination's VPC reaches"),
)
#: What a source is called, by its category; the rest are called like it.
SOURCE_TYPES = {each.value: each.label for each in _SOURCES}
#: What has to be prepared, by the source's side; ticked by whoever goes on.
CHECKLIST = {
    "network": "The VPC of the source is joined with the VPC of the destination by a CEN, and"
    " their CIDR blocks are different.",
    "whitelist": "The whitelist of the source has the CIDR block of the destination's VPC.",
    "account": "The source has a privileged account: CREATEROLE, REPLICATION, pg_monitor.",
    "calm": "The source will not be restarted, resized or migrated elsewhere meanwhile.",
}
_WHERE = (
    Field("SourceIpAddress", "Source VPC/DNS IP", required=True, placeholder="10.10.1.10",
          help="The internal endpoint of the source instance (Database Connection)."),
    Field("SourcePort", "Port of Source Instance", Kind.NUMBER, required=True, default="5432",
          least=1, most=65535),
    Field("SourceAccount", "Username", required=True,
          help="The privileged account of the source."),
    Field("SourcePassword", "Password", Kind.PASSWORD, required=True,
          help="Kept sealed for as long as the assessment needs it, shown to nobody."),
)  # fmt: skip


def _asked(visit: Visit) -> dict[str, str]:
    """What the steps before have settled."""
    kept = {name: visit.form.get(name) or visit.query.get(name, "") for name in ("source", "step")}
    source = kept["source"] if kept["source"] in {o.value for o in _SOURCES} else "aliyunRDS"
    step = kept["step"] if kept["step"] in ("1", "2", "3", "4") else "1"
    return {"source": source, "step": step}


def _wizard(visit: Visit) -> Response:
    asked = _asked(visit)
    ticked = [name for name in CHECKLIST if visit.query.get(name) == "true"]
    if asked["step"] == "4" and len(ticked) < len(CHECKLIST):
        return _step(visit, asked | {"step": "3"}, missing=set(CHECKLIST) - set(ticked))
    return _step(visit, asked)


def _step(
    visit: Visit, asked: dict[str, str], form: Form | None = None, status: int = 200,
    **facts: Any,
) -> Response:  # fmt: skip
    return visit.page(
        "assess.html",
        status=status,
        instance=attribute(visit),
        net=_net(visit),
        step=int(asked["step"]),
        steps=_STEPS,
        source=asked["source"],
        sources=_SOURCES,
        checklist=CHECKLIST,
        form=form or _blank(visit),
        **{"missing": set(), "tested": None, "untested": None, **facts},
    )


def _net(visit: Visit) -> dict[str, Any]:
    answer = visit.call("rds.DescribeDBInstanceNetInfo", DBInstanceId=visit["id"])
    found: dict[str, Any] = answer["DBInstanceNetInfos"]["DBInstanceNetInfo"][0]
    return found


def _blank(visit: Visit) -> Form:
    name = Field("TaskName", "Migration Task Name", default=f"into-{visit['id'][-6:]}-{_today()}",
                 help="Generated; it need not be modified.")  # fmt: skip
    return Form(
        (name, *_WHERE),
        codes={"InvalidSourceCategory": "SourceIpAddress"},
        values={n: v for n, v in visit.query.items() if n in ("SourceIpAddress", "SourcePort")},
    )


def _today() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M")


def _create(visit: Visit) -> Response:
    asked = _asked(visit) | {"step": "4"}
    form = _blank(visit).filled(visit.form)
    facts = {**form.arguments(), "SourceCategory": asked["source"], "DBInstanceName": visit["id"]}
    try:
        if "test" in visit.form:
            facts.pop("TaskName")
            tested = visit.call("landbridge.TestSourceConnection", **facts)
            # The password is typed again: a page never carries one back.
            return _step(visit, asked, form, tested=tested)
        visit.call("rds.CreateCloudMigrationPrecheckTask", **facts)
    except CloudError as problem:
        untested = problem if "test" in visit.form else None
        return _step(visit, asked, form, form.refuse(problem), untested=untested)
    return visit.go(url("rds", visit["id"], "migration"), "The feasibility assessment has begun.")


def _list(visit: Visit) -> Response:
    id, rows = visit["id"], assessments(visit, DBInstanceName=visit["id"])
    running = any(row["Active"] for row in rows)
    moves = visit.every("landbridge.ListMigrations", lambda answer: answer["Items"],
                        DBInstanceName=id)  # fmt: skip
    return tab_page(
        visit, "assessments.html", "migration", live=1 if running else 3, rows=rows,
        may_begin=bool(rows) and rows[0]["Status"] == "Successful" and not rows[0]["Stale"]
        and not is_taken(moves),
        pages=migration_tabs(id), page_here=url("rds", id, "migration"),
    )  # fmt: skip


def is_taken(moves: list[dict[str, Any]]) -> bool:
    """Whether an instance, of all migrations into it, is the destination of one, or became one."""
    return any(move["Status"] not in ("Cancelled", "Failed") for move in moves)


def assessments(visit: Visit, **of: str) -> list[dict[str, Any]]:
    """Those of an instance, or of all; newest first."""
    return visit.every("landbridge.ListAssessments", lambda answer: answer["Items"], **of)


def assessment(visit: Visit) -> dict[str, Any]:
    """The one that the address names. CloudError (InvalidTaskId.NotFound)."""
    row = visit.call("landbridge.DescribeAssessment", TaskId=visit["task"])
    if row["DBInstanceName"] != visit["id"]:
        raise CloudError("InvalidTaskId.NotFound")
    return row


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    row = assessment(visit)
    back = url("rds", visit["id"], "migration")
    asked = Asked(
        "Delete Assessment", "Delete", back, [(back, visit["id"])],
        "Its report is forgotten. One that a migration went by stays until the migration is"
        " deleted.", danger=True,
    )  # fmt: skip
    return asked.page(visit, form or confirm("delete", row["TaskName"]), status)


def _delete(visit: Visit) -> Response:
    name, task = assessment(visit)["TaskName"], visit["task"]
    again = confirmed(
        visit, "delete", name, _delete_form,
        lambda: visit.call("landbridge.DeleteAssessment", TaskId=task),
    )  # fmt: skip
    return again or visit.go(url("rds", visit["id"], "migration"), f"{name} was deleted.")


def migration_tabs(id: str) -> list[tuple[str, str]]:
    """The two tabs of the page Cloud Migration/DR Construction."""
    return [
        (url("rds", id, "migration"), "Feasibility assessment"),
        (url("rds", id, "migration", "tasks"), "Migration to Cloud"),
    ]


PAGES = (
    Page("/rds/{id}/migration", _list),
    Page("/rds/{id}/migration/assess", _wizard, _create),
    Page("/rds/{id}/migration/assessments/{task}/delete", _delete_form, _delete),
)
