"""`landbridge instance parameter`: what a server is configured with."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ...options import pairs
from ..api import Api
from ..tables import Column, Row, at, table
from ..verbs import InstanceArgument, argument, group, verb
from .group import instance

parameter = group("parameter", "Parameters of an instance's server.")
instance.add_typer(parameter)

_COLUMNS = (
    Column("Parameter", "ParameterName"),
    Column("Value", "ParameterValue"),
    Column("Will be", "Waiting"),
    Column("Range", "ParameterValueRange"),
)


@verb(parameter, "set")
def set_(
    api: Api,
    instance: InstanceArgument,
    values: Annotated[list[str], argument("NAME=VALUE...", "What they shall be.")],
    restart: Annotated[
        bool,
        typer.Option("--restart", metavar="", help="Restart the server if one of them needs it."),
    ] = False,
) -> None:
    """Set parameters, and show what they are now and will be."""
    wanted = pairs(values, "NAME=VALUE")
    answer = api.call(
        "rds", "ModifyParameter", DBInstanceId=instance, Parameters=json.dumps(wanted),
        Forcerestart=restart,
    )  # fmt: skip
    rows = [row for row in _rows(api, instance) if row["ParameterName"] in wanted]
    api.done({**answer, "parameters": rows}, table(_COLUMNS, rows))


@verb(parameter, "list")
def list_(
    api: Api,
    instance: InstanceArgument,
    waiting: Annotated[
        bool, typer.Option("--waiting", metavar="", help="Those only that are about to change.")
    ] = False,
) -> None:
    """List the parameters that a server works with, and those that wait for a restart."""
    rows = [row for row in _rows(api, instance) if row["Waiting"] or not waiting]
    api.out.result({"parameters": rows}, table(_COLUMNS, rows) if rows else "Nothing waits.")


def _rows(api: Api, instance: str) -> list[Row]:
    """What the server works with, with what it will be where that differs."""
    answer = api.call("rds", "DescribeParameters", DBInstanceId=instance)
    coming = {row["ParameterName"]: row["ParameterValue"] for row in _listed(answer, "Config")}
    return [
        {**row, "Waiting": coming.get(row["ParameterName"], "")}
        for row in _listed(answer, "Running")
    ]


def _listed(answer: Row, which: str) -> list[dict[str, Any]]:
    return at(answer, f"{which}Parameters.DBInstanceParameter") or []
