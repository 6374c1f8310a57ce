"""What an instance's server does: its parameters, its sessions, its log."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ...postgres.units import count
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, missing, url
from .asking import CONFIRM, confirm, confirm_field, confirmed, is_typed
from .instance import dialog, outgoing, tab_page

#: How many hours of the log one may look at; entries a page; how a second is written.
_HOURS = {"1": "Last hour", "24": "Last day", "168": "Last week"}
_LINES = 100
_SECOND = "%Y-%m-%dT%H:%M:%SZ"
#: Seconds between two looks at a log; a look reads up to 8 MiB of it.
_LOG_LOOK = 10
_READ_ONLY = "rds_force_trans_ro_non_sup"
_TWO = (
    "The data of this instance have moved away, and another instance accepts writes. off: there"
    " are two writable clusters then, and what is written to one is not in the other."
)


def _rows(visit: Visit) -> list[dict[str, Any]]:
    """Every parameter: the value it runs with, the one that waits, and its rule."""
    answer = visit.call("rds.DescribeParameters", DBInstanceId=visit["id"])
    waiting = {
        row["ParameterName"]: row["ParameterValue"]
        for row in answer["ConfigParameters"]["DBInstanceParameter"]
    }
    running = answer["RunningParameters"]["DBInstanceParameter"]
    templates = visit.call(
        "rds.DescribeParameterTemplates", Engine="PostgreSQL", EngineVersion=answer["EngineVersion"]
    )["Parameters"]["TemplateRecord"]
    restarts = {row["ParameterName"] for row in templates if row["ForceRestart"] == "true"}
    rows = [
        {**row, "Waiting": waiting.get(row["ParameterName"]),
         "Restarts": row["ParameterName"] in restarts}
        for row in running
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["ParameterName"] != _READ_ONLY, row["ParameterName"]))


def _parameters(visit: Visit) -> Response:
    return tab_page(visit, "instance_parameters.html", "parameters", rows=_rows(visit))


def _field(visit: Visit) -> tuple[dict[str, Any], Form]:
    name = visit["name"]
    row = next((row for row in _rows(visit) if row["ParameterName"] == name), None)
    if row is None:
        raise CloudError("InvalidParameter", f"{name} is no parameter that can be set")
    allowed = row["ParameterValueRange"]
    field = Field("value", name, required=True, default=row["Waiting"] or row["ParameterValue"],
                  help=row["ParameterDescription"])  # fmt: skip
    if "|" in allowed:
        choices = tuple(Option(v, v) for v in allowed.strip("[]").split("|"))
        field = replace(field, kind=Kind.RADIO, options=choices)
    else:
        least, _, most = allowed.strip("[]").rpartition("-")
        default = row["ParameterDefaultValue"]
        field = replace(field, kind=Kind.NUMBER, least=int(least), most=int(most),
                        rule=f"{least} to {most}; the default is {default}.")  # fmt: skip
    fields = [field]
    if row["Restarts"]:
        fields.append(Field("restart", "Restart the instance now, so that it takes effect",
                            Kind.CHECK))  # fmt: skip
    if _asks(visit):
        fields.append(confirm_field("open", visit["id"], only_if="value=off"))
    return row, Form(fields, codes={"InvalidParameter": "value"})


def _asks(visit: Visit) -> bool:
    """Whether `off` would make a second writable cluster of one that has moved away."""
    if visit["name"] != _READ_ONLY:
        return False
    return any(each["Moved"] for each in outgoing(visit, DBInstanceId=visit["id"]))


def _change_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    row, blank = _field(visit)
    intro = ""
    if row["ParameterName"] == _READ_ONLY:
        intro = (
            "on: the instance processes only read requests. This is what a switchover needs of"
            " its source; then end the sessions that are open (Sessions)."
        )
        if _asks(visit):
            intro = _TWO
    elif row["Restarts"]:
        intro = "It takes effect with the next restart."
    return dialog(visit, "Modify Parameter", form or blank, "Submit", tab="parameters",
                  intro=intro, status=status)  # fmt: skip


def _change(visit: Visit) -> Response:
    _, blank = _field(visit)
    form, name = blank.filled(visit.form), visit["name"]
    if form.value("value") == "off" and _asks(visit) and not is_typed(form, visit["id"]):
        form.errors[CONFIRM] = f"Type {visit['id']} to go on; nothing was changed."
        return _change_form(visit, form, 422)
    try:
        visit.call(
            "rds.ModifyParameter",
            DBInstanceId=visit["id"],
            Parameters=json.dumps({name: form.values["value"]}),
            Forcerestart=form.values.get("restart"),
        )
    except CloudError as problem:
        return _change_form(visit, form, form.refuse(problem))
    return visit.go(url("rds", visit["id"], "parameters"), f"{name} = {form.values['value']}")


def _sessions(visit: Visit) -> Response:
    found, problem = [], None
    try:
        found = visit.call("landbridge.DescribeSessions", DBInstanceId=visit["id"])["Sessions"]
    except CloudError as refusal:
        problem = refusal
    shown = visit.query.get("show", "clients")
    rows = [s for s in found if shown == "all" or not s["IsService"]]
    return tab_page(visit, "instance_sessions.html", "sessions", sessions=rows, shown=shown,
                    hidden=len(found) - len(rows), problem=problem)  # fmt: skip


def _terminate(visit: Visit) -> Response:
    back = url("rds", visit["id"], "sessions")
    visit.call(
        "landbridge.TerminateSession",
        DBInstanceId=visit["id"],
        ProcessId=visit.form.get("pid"),
        BackendStart=visit.form.get("begun"),
    )
    return visit.go(back, f"Session {visit.form.get('pid')} is ended.")


_ALL = "end all sessions of"


def _all_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    return dialog(
        visit, "Terminate All Sessions", form or confirm(_ALL, visit["id"]), "Terminate",
        tab="sessions", danger=True, status=status,
        intro="Every session of a client ends, as the procedure's statement does it; those of the"
        " service stay. Clients may connect again, so make the instance read-only first.",
    )  # fmt: skip


def _terminate_all(visit: Visit) -> Response:
    id = visit["id"]
    ended: list[int] = []

    def act() -> None:
        for row in visit.call("landbridge.DescribeSessions", DBInstanceId=id)["Sessions"]:
            if row["IsService"]:
                continue
            one = {"ProcessId": row["ProcessId"], "BackendStart": row["BackendStart"]}
            try:
                visit.call("landbridge.TerminateSession", DBInstanceId=id, **one)
            except CloudError as refusal:
                if missing(refusal):
                    continue  # it has ended by itself
                raise
            ended.append(row["ProcessId"])

    again = confirmed(visit, _ALL, id, _all_form, act)
    return again or visit.go(url("rds", id, "sessions"), f"{count(len(ended), 'session')} ended.")


def _logs(visit: Visit) -> Response:
    """The log of the last hours, newest first; older pages go on from what the first one showed."""
    hours = int(visit.query["hours"]) if visit.query.get("hours") in _HOURS else 24
    until = _second(visit.query.get("until", ""))
    end = until or datetime.now(UTC) + timedelta(seconds=1)
    answer, problem, newest = None, None, None
    try:
        answer = visit.call(
            "rds.DescribeErrorLogs",
            DBInstanceId=visit["id"],
            StartTime=(end - timedelta(hours=hours)).strftime(_SECOND),
            EndTime=end.strftime(_SECOND),
            PageNumber=visit.query.get("page"),
            PageSize=_LINES,
        )
        newest = next((row["CreateTime"] for row in answer["Items"]["ErrorLog"]), None)
    except CloudError as refusal:
        problem = refusal
    if until is None and newest:
        end = datetime.fromisoformat(newest) + timedelta(seconds=1)

    def page_at(number: int) -> str:
        asked = {"page": number, "until": end.strftime(_SECOND)} if number > 1 else {}
        return url("rds", visit["id"], "logs", hours=hours, **asked)

    return tab_page(
        visit, "instance_logs.html", "logs", live=0 if until else _LOG_LOOK, log=answer,
        problem=problem, hours=hours, choices=_HOURS, size=_LINES, page_at=page_at,
    )  # fmt: skip


def _second(text: str) -> datetime | None:
    try:
        at = datetime.strptime(text, _SECOND).replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if at.year > 1970 else None


PAGES = (
    Page("/rds/{id}/parameters", _parameters),
    Page("/rds/{id}/parameters/{name}", _change_form, _change),
    Page("/rds/{id}/sessions", _sessions, _terminate),
    Page("/rds/{id}/sessions/terminate", _all_form, _terminate_all),
    Page("/rds/{id}/logs", _logs),
)
