"""Feasibility assessments."""

from __future__ import annotations

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
    password_file: PasswordFile = None,
    wait: Wait = False,
) -> None:
    """Apply an assessment's fixes that need no restart; then assess again."""
    api.call(
        "landbridge", "ApplyAssessmentFixes", TaskId=assessment, AdminAccount=user,
        AdminPassword=password(api.out, password_file, user),
    )  # fmt: skip
    row = _until_done(api, assessment) if wait else _described(api, assessment)
    applied = [f"{one.get('error') or one}" for one in row["Fixes"] or ()]
    api.done(row, *(applied or ["The fixes are being applied." if not wait else "No fix."]))


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
        over = row["Report"] is not None and not row["FixesPending"]
        state = "fixes are being applied" if row["FixesPending"] else row["Status"]
        return Seen(state, over, row=row)

    return wait(f"assessment {id}", look).row


def _report(api: Api, row: dict[str, Any], id: str = "") -> int:
    from ....assessment import Report, render_terminal

    if row["Report"] is None:
        api.done(row, f"Assessment {row['TaskId']} is under way.")
        return 0
    found = Report.from_dict(row["Report"])
    api.done(row, *filter(None, [id]), render_terminal(found))
    return AssessmentFailed.exit_code if found.errors else 0
