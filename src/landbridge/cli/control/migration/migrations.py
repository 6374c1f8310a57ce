"""Migrations: begun, listed, followed to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....errors import LandbridgeError
from ..api import Api
from ..passwords import PasswordFile, password
from ..tables import Column, Row, facts, table
from ..verbs import InstanceArgument, Name, Wait, verb
from ..waiting import Seen, wait
from .group import ASSESSMENTS, MIGRATIONS, AssessmentArgument, TaskArgument, migration

READY, UNKNOWN = "ReadyToSwitch", "ReadinessUnknown"
FINISHED = "Finished"
_ENDS = (FINISHED, "Failed", "Cancelled")

_DETAILS = (
    Column("Migration", "TaskId"),
    Column("Into", "DBInstanceName"),
    Column("Phase", "Label"),
    Column("Stage", "Stage"),
    Column("Status", "Status"),
    Column("Figures", lambda row: _figures(row)),
    Column("Guaranteed", "Guarantee"),
    Column("Error", "Error.message"),
    Column("What to do", "Error.remedy"),
    Column("Trouble", "Trouble"),
    Column("Next", lambda row: _next(row)),
)


@verb(migration)
def create(
    api: Api,
    assessment: AssessmentArgument,
    password_file: PasswordFile = None,
    name: Name = None,
    wait: Wait = False,
) -> None:
    """Begin the migration that an assessment found possible, and print its id.

    With --wait it goes on until the destination follows the source.
    """
    instance = api.call("landbridge", "DescribeAssessment", TaskId=assessment)["DBInstanceName"]
    what = f"assessment {assessment}"
    source = api.one(ASSESSMENTS, what, DBInstanceName=instance, TaskId=assessment)
    same = ("SourceIpAddress", "SourcePort", "SourceAccount", "SourceCategory")
    answer = api.call(
        "rds", "CreateCloudMigrationTask", DBInstanceName=instance, TaskName=name,
        SourcePassword=password(api.out, password_file, source["SourceAccount"]),
        **{field: source[field] for field in same},
    )  # fmt: skip
    id = str(answer["TaskId"])
    if wait:
        follow(api, id, READY)
    api.done(answer, id)


@verb(migration, "list")
def list_(api: Api, instance: InstanceArgument) -> None:
    """List the assessments and migrations of an instance."""
    lists = {one: api.rows(one, DBInstanceName=instance) for one in (ASSESSMENTS, MIGRATIONS)}
    parts = [table(one.columns, rows) for one, rows in lists.items() if rows]
    told = {one.name: rows for one, rows in lists.items()}
    nothing = () if parts else (f"Nothing was assessed or migrated into {instance}.",)
    api.done(told, *parts, *nothing)


@verb(migration)
def show(api: Api, task: TaskArgument) -> None:
    """Show one migration: how far it is, what it guarantees, what is next."""
    row = described(api, task)
    api.done(row, facts(_DETAILS, row))


@verb(migration)
def watch(api: Api, task: TaskArgument) -> None:
    """Follow a migration to its end; Ctrl-C ends the watching and nothing else."""
    conclude(api, follow(api, task, FINISHED))


@verb(migration)
def evidence(api: Api, task: TaskArgument) -> None:
    """Print the evidence of a migration that is over, as JSON."""
    import json

    answer = api.call("landbridge", "DescribeMigrationEvidence", TaskId=task)
    api.done(answer, json.dumps(answer["Evidence"], indent=2, ensure_ascii=False))


def described(api: Api, id: str) -> dict[str, Any]:
    """All that is known of a migration."""
    return api.call("landbridge", "DescribeMigration", TaskId=id)


def follow(api: Api, id: str, goal: str, *, or_: Callable[[Row], bool] | None = None) -> Row:
    """Wait for a status, or until `or_` holds, or the end, whose error is raised."""

    def reached(row: Row) -> bool:
        return row["Status"] == goal or (or_ is not None and or_(row))

    def look() -> Seen:
        row = described(api, id)
        over = reached(row) or row["Status"] in _ENDS
        return Seen(row["Label"], over, _figures(row), _trouble(row), row)

    row = wait(f"migration {id}", look, f"Follow it: landbridge migration watch {id}").row
    assert row is not None
    if not reached(row) and row["Status"] != FINISHED:
        raise _failure(row)
    return row


def conclude(api: Api, row: Row) -> None:
    """The result of a command that followed a migration to its end."""
    said = f"Finished: the data are in {row['DBInstanceName']}, which accepts writes."
    proof = f"What was proved: landbridge migration evidence {row['TaskId']}"
    api.done(dict(row), said, proof)


def _failure(row: Row) -> LandbridgeError:
    error = row["Error"] or {}
    return LandbridgeError(
        error.get("message") or f"migration {row['TaskId']} ended: {row['Label']}",
        id=error.get("id") or f"migration.{row['Status'].lower()}",
        remedy=error.get("remedy") or row["Guarantee"],
    )


def _trouble(row: Row) -> str:
    return str(row["Trouble"] or (row["Error"] or {}).get("message", ""))


def _figures(row: Row) -> str:
    from ...display.details import copy_progress, lag_words

    live = row["Live"]
    if "age_seconds" in live and "copied" not in live:
        return f"none for {live['age_seconds']} s: nobody answers at the destination"
    return ", ".join(copy_progress(live)) or lag_words(live)


def _next(row: Row) -> str:
    id = row["TaskId"]
    if row["Status"] == READY:
        return f"landbridge migration switchover {id}"
    if row["MayGiveUp"]:
        return f"landbridge migration cancel {id} --give-up"
    return "" if row["Status"] in _ENDS else f"landbridge migration watch {id}"
