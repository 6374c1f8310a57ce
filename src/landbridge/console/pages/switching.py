"""The switchover: what will happen, what was measured, what is confirmed."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ...cloud.migrations.migrations import LONGEST
from ..forms import Field, Form, Kind
from ..page import Page
from ..visit import Visit, url
from .asking import CONFIRM, confirm_field, is_typed
from .migrating import OVER, task_of

_LIMIT, _FORCE = "TimeLimit", "Force"


def _blank(task: dict[str, Any]) -> Form:
    return Form(
        (
            Field(_LIMIT, "Time limit", Kind.NUMBER, required=True, default=str(task[_LIMIT]),
                  least=1, most=LONGEST, unit="s", rule=f"1 to {LONGEST:,} seconds.",
                  help="If the destination is not promoted by then, everything is put back."),
            *(
                Field(name, words, Kind.CHECK, required=True)
                for name, words in task["Confirmations"].items()
            ),
            Field(_FORCE, "Switch over although the source accepts writes", Kind.CHECK),
            confirm_field("force", task["TaskName"], only_if=f"{_FORCE}=true"),
        )
    )  # fmt: skip


def _form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    task = task_of(visit)
    back = url("rds", visit["id"], "migration", "tasks", visit["task"])
    if form is None and task["Status"] in ("Switching", *OVER):
        return visit.go(back)
    return visit.page(
        "switchover.html",
        status=status,
        task=task,
        id=visit["id"],
        form=form or _blank(task),
        back=back,
        **({} if visit.is_part else _measured(visit)),  # a dialog opens at once
    )


def _measured(visit: Visit) -> dict[str, Any]:
    """What the switchover would meet; asking takes some seconds at worst."""
    try:
        answer = visit.call("landbridge.DescribeSwitchoverReadiness", TaskId=visit["task"])
    except CloudError as problem:
        return {"readiness": None, "problem": problem}
    return {"readiness": answer, "problem": None}


def _readiness(visit: Visit) -> Response:
    """The part of the dialog that is measured again and again."""
    task_of(visit)
    if not visit.is_part:
        return visit.go(url("rds", visit["id"], "migration", "tasks", visit["task"], "switchover"))
    return visit.page("readiness.html", **_measured(visit))


def _switch(visit: Visit) -> Response:
    task = task_of(visit)
    form = _blank(task).filled(visit.form)
    is_right = form.check()
    if form.value(_FORCE) == "true" and not is_typed(form, task["TaskName"]):
        form.errors[CONFIRM] = f"Type {task['TaskName']} to force it; nothing was changed."
        is_right = False
    if not is_right:
        return _form(visit, form, 422)
    ordered = form.arguments(_LIMIT, _FORCE, *task["Confirmations"])
    try:
        visit.call("landbridge.SwitchOverMigration", TaskId=visit["task"], **ordered)
    except CloudError as problem:
        return _form(visit, form, form.refuse(problem))
    return visit.go(
        url("rds", visit["id"], "migration", "tasks", visit["task"]), "The switchover has begun."
    )


PAGES = (
    Page("/rds/{id}/migration/tasks/{task}/switchover", _form, _switch),
    Page("/rds/{id}/migration/tasks/{task}/switchover/readiness", _readiness),
)
