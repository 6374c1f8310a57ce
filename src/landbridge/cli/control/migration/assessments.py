"""Feasibility assessments."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ....errors import AssessmentFailed, UsageError
from ..api import Api
from ..passwords import PasswordFile, password
from ..verbs import InstanceArgument, Name, Wait, argument, verb
from ..waiting import Seen, wait
from .group import AssessmentArgument, migration

_PORT = 5432


@verb(migration)
def assess(
    api: Api,
    instance: InstanceArgument,
    source: Annotated[str, argument("SOURCE", "Internal ADDRESS or ADDRESS:PORT of the source.")],
    user: Annotated[
        str, typer.Option("--user", metavar="USER", help="Its privileged account.")
    ],
    password_file: PasswordFile = None,
    category: Annotated[
        str, typer.Option("--category", metavar="KIND", help="What the source is.")
    ] = "aliyunRDS",
    name: Name = None,
    wait: Wait = False,
) -> int:  # fmt: skip
    """Assess whether a source can be migrated into an instance, and print the assessment's id.

    With --wait the report follows; it ends 3 if something stands in the way.
    """
    address, port = _place(source)
    answer = api.call(
        "rds", "CreateCloudMigrationPrecheckTask", DBInstanceName=instance,
        SourceIpAddress=address, SourcePort=port, SourceAccount=user,
        SourcePassword=password(api.out, password_file, user), SourceCategory=category,
        TaskName=name,
    )  # fmt: skip
    id = str(answer["TaskId"])
    if not wait:
        api.done(answer, id)
        return 0
    return _report(api, _until_done(api, id), id)


@verb(migration)
def report(api: Api, assessment: AssessmentArgument, wait: Wait = False) -> int:
    """Show what an assessment found; ends 3 if something stands in the way."""
    return _report(api, _until_done(api, assessment) if wait else _described(api, assessment))


@verb(migration)
def fix(
    api: Api,
    assessment: AssessmentArgument,
    user: Annotated[
        str,
        typer.Option("--user", metavar="USER", help="An account of the source that may do it."),
    ],
    finding: Annotated[
        list[str] | None,
        typer.Option(
            "--finding",
            metavar="ID",
            show_default=False,
            help="Of this finding alone; may be given again. Without it: of all.",
        ),
    ] = None,
    password_file: PasswordFile = None,
    wait: Wait = False,
) -> int:
    """Apply the fixes of an assessment, or of some findings; then check those again.

    Nothing is restarted. With --wait it ends 3 if the source refused one.
    """
    before = _described(api, assessment)["Fixes"] or ()
    ordered = api.call(
        "landbridge", "ApplyAssessmentFixes", TaskId=assessment, AdminAccount=user,
        AdminPassword=password(api.out, password_file, user), FindingIds=json.dumps(finding or []),
    )  # fmt: skip
    row = _until_done(api, assessment) if wait else _described(api, assessment)
    applied = [each for each in row["Fixes"] or () if wait and each not in before]
    told = [line for each in applied for line in _told(each)]
    left = [f"{e['FindingId']}: not applied; {e['Why']}" for e in ordered["Findings"] if e["Why"]]
    under_way = ["The fixes are being applied."] if row["FixesPending"] else []
    api.done(ordered | row, *(told or [*left, *under_way] or ["No fix."]))
    is_refused = any("error" in each or each["outcome"] == "refused" for each in applied)
    return AssessmentFailed.exit_code if is_refused else 0


def _told(entry: dict[str, Any]) -> list[str]:
    """What became of a fix, in lines."""
    if "error" in entry:
        return [f"Nothing was applied: {entry['error']['message']}", entry["error"]["remedy"] or ""]
    if entry["outcome"] == "not_applicable":
        return [f"{entry['id']}: not applied; {entry['why']}"]
    said = f"{entry['id']}: {entry['outcome']}" + (f"; {entry['why']}" if entry["why"] else "")
    restart = ["    It counts from the next restart of the source on."]
    undo = ["  Taken back with:", *(f"    {line}" for line in entry.get("undo", ()))]
    return [
        said,
        *(f"    {line}" for line in entry.get("lines", ())),
        *(restart if entry.get("needs_restart") else ()),
        *(undo if entry.get("undo") else ()),
    ]


@verb(migration)
def recheck(
    api: Api,
    assessment: AssessmentArgument,
    finding: Annotated[
        str | None,
        typer.Option(
            "--finding",
            metavar="ID",
            show_default=False,
            help="This finding alone. Without it: everything.",
        ),
    ] = None,
    password_file: PasswordFile = None,
    wait: Wait = False,
) -> int:
    """Look at the source again, as after a finding was put right.

    With --wait the report follows; it ends 3 if something stands in the way.
    """
    action = "RecheckAssessmentFinding" if finding else "RecheckAssessment"
    secret = password(api.out, password_file, "the source's account")
    answer = api.call(
        "landbridge", action, TaskId=assessment, FindingId=finding, SourcePassword=secret
    )
    if not wait:
        api.done(answer, "The source is being looked at again.")
        return 0
    row = _until_done(api, assessment)
    if finding and not row["Recheck"]["Checked"]:
        api.out.warn(f"{finding} could not be checked: {row['Recheck']['WhyNot']}")
    return _report(api, row)


def _place(source: str) -> tuple[str, int]:
    address, colon, port = source.partition(":")
    if colon and not port.isdecimal():
        raise UsageError(f"{source!r} is not of the form ADDRESS:PORT")
    return address, int(port) if colon else _PORT


def _described(api: Api, id: str) -> dict[str, Any]:
    return api.call("landbridge", "DescribeAssessment", TaskId=id)


def _until_done(api: Api, id: str) -> Any:
    def look() -> Seen:
        row = _described(api, id)
        busy = (
            "fixes are being applied" if row["FixesPending"]
            else "it is looked at again" if row["RecheckPending"]
            else ""
        )  # fmt: skip
        over = row["Report"] is not None and row["Status"] != "Running" and not busy
        state = busy or row["Status"]
        return Seen(state, over, row=row)

    return wait(f"assessment {id}", look).row


def _report(api: Api, row: dict[str, Any], id: str = "") -> int:
    from ....assessment import Report
    from ....assessment.terminal import render_terminal

    if row["Report"] is None:
        api.done(row, f"Assessment {row['TaskId']} is under way.")
        return 0
    found = Report.from_dict(row["Report"])
    api.done(row, *filter(None, [id]), render_terminal(found))
    return AssessmentFailed.exit_code if found.errors else 0
