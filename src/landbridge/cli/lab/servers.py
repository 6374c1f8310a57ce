"""`landbridge lab psql`, `exec`, `conninfo` and `whitelist`."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import LandbridgeError, ServerProgramsMissing, UsageError
from ..options import JsonFlag
from ..output import Mode, Output
from .common import InstanceArgument, LabName, known, the_lab
from .terminal import left_to_child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...lab.lab import Lab
    from ...lab.plan import Plan


class Edit(StrEnum):
    """What is done to a whitelist."""

    add = "add"
    remove = "remove"
    list = "list"


def psql(
    instance: InstanceArgument,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="OTHER",
            show_default=False,
            help="From the place of this instance, over the network, as the lab's privileged"
            " account. Without it over the server's own socket, as its superuser.",
        ),
    ] = None,
    dbname: Annotated[
        str, typer.Option("--dbname", "-d", metavar="NAME", help="Database.")
    ] = "postgres",
    command: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            "-c",
            metavar="SQL",
            show_default=False,
            help="Run this and end; several run one after the other.",
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OPTION...]", help="Options of psql itself, after --.", show_default=False
        ),
    ] = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> int:
    """Open psql on an instance's server."""
    from psycopg.conninfo import make_conninfo

    the = the_lab(lab)
    known(the.plan.topology, "instances", instance)
    options = [*(word for sql in command or () for word in ("-c", sql)), *(more or [])]
    program, libraries = _psql(the, instance)
    if from_ is None:
        cluster = the.servers.cluster(instance)
        text = make_conninfo(
            host=str(cluster.socket_dir), port=cluster.port, user=cluster.superuser, dbname=dbname
        )
        return _run([program, text, *options], json, libraries)
    known(the.plan.topology, "instances", from_)
    place = the.conninfo(from_, instance).with_(dbname=dbname, connect_timeout=10)
    environment = {**libraries, "PGPASSFILE": place.parameters["passfile"]}
    whole = [program, f"{place} connect_timeout=10", *options]
    return _run(the.fabric.command(from_, whole), json, environment)


def _psql(the: Lab, instance: str) -> tuple[str, dict[str, str]]:
    """The psql of the server's own programs, or of this machine, and what it needs to run."""
    distribution = the.servers.cluster(instance).distribution
    if "psql" in distribution.tools:
        wanted = distribution.environment.get("LD_LIBRARY_PATH")
        return str(distribution.program("psql")), {"LD_LIBRARY_PATH": wanted} if wanted else {}
    if (found := shutil.which("psql")) is not None:
        return found, {}
    raise ServerProgramsMissing(
        "there is no psql on this host", id="programs.tool_missing",
        remedy="Install it (Debian: apt-get install postgresql-client).",
    )  # fmt: skip


def execute(
    instance: InstanceArgument,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            help="What to run; options of its own after --.",
            show_default=False,
        ),
    ],
    lab: LabName = None,
    json: JsonFlag = False,
) -> int:
    """Run a command at the place of an instance, with its address and its ways.

    The exit code is the command's. libpq finds the password of the account `mover` there.
    """
    from ...lab.accounts import MOVER, passfile

    the = the_lab(lab)
    known(the.plan.topology, "instances", instance)
    environment = {"PGPASSFILE": str(passfile(the.store.secrets, MOVER)), "PGUSER": MOVER}
    return _run(the.fabric.command(instance, command), json, environment)


def _run(command: Sequence[str], json: bool, environment: Mapping[str, str]) -> int:
    """Run a command on our terminal; or, for programs, keep what it says for the result."""
    with left_to_child():
        done = subprocess.run(
            command, env={**os.environ, **environment}, check=False, text=True,
            capture_output=json, errors="replace",
        )  # fmt: skip
    if json:
        said = {"exit_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        Output(Mode.JSON).result(said)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def conninfo(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="Instance that connects.")],
    server: Annotated[str, typer.Argument(metavar="SERVER", help="Instance it connects to.")],
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Say how one instance names another's server in a connection string.

    It holds at the client's place: `landbridge lab exec CLIENT -- psql "..."`. The password
    is in the passfile that it names.
    """
    from ...lab.accounts import text

    the = the_lab(lab)
    for id in (client, server):
        known(the.plan.topology, "instances", id)
    found = text(the.conninfo(client, server))
    Output(Mode.of(json)).result({"conninfo": found}, found)


def whitelist(
    instance: InstanceArgument,
    edit: Annotated[Edit, typer.Argument(metavar="add|remove|list", help="What to do.")],
    cidr: Annotated[
        str | None,
        typer.Argument(
            metavar="[CIDR]", help="A block like 10.20.0.0/16, or one address.", show_default=False
        ),
    ] = None,
    close_sessions: Annotated[
        bool,
        typer.Option(
            "--close-sessions",
            metavar="",
            help="End the sessions of clients that are not admitted any more.",
        ),
    ] = False,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Say or change whose connections an instance's server takes; no restart is needed.

    A session that is open stays open: the whitelist is asked when one begins.
    """
    out = Output(Mode.of(json))
    the = the_lab(lab)
    known(the.plan.topology, "instances", instance)
    if (edit is Edit.list) != (cidr is None):
        raise UsageError("add and remove take a CIDR, list takes none")
    left = []
    if cidr is not None:
        block = cidr
        left = the.change_whitelist(
            instance,
            lambda plan: _edit(plan, instance, edit, block, again=close_sessions),
            close=close_sessions,
        )
    blocks = [str(block) for block in the.plan.topology.instances[instance].whitelist]
    words = [f"{instance} lets in {', '.join(blocks) or 'nobody'}."]
    if left:
        what = (
            "closed" if close_sessions else "still open; the same with --close-sessions ends them"
        )
        words.append(f"Sessions of others: {len(left)}, {what}.")
    out.result(
        {"instance": instance, "whitelist": blocks, "closed": close_sessions,
         "sessions": [session.as_dict() for session in left]},
        *words,
    )  # fmt: skip


def _edit(plan: Plan, id: str, edit: Edit, cidr: str, *, again: bool) -> None:
    """`again`: what is removed may be gone already."""
    from ...network.things import network

    instance, block = plan.topology.instances[id], network(cidr)
    kept = tuple(old for old in instance.whitelist if old != block)
    if edit is Edit.remove and block not in instance.whitelist and not again:
        raise LandbridgeError(
            f"{block} is not in the whitelist of {id}", id="lab.not_whitelisted",
            remedy=f"It has: {', '.join(map(str, instance.whitelist)) or 'nothing'}.",
        )  # fmt: skip
    wanted = kept if edit is Edit.remove else (*kept, block)
    plan.topology.put(replace(instance, whitelist=wanted))
