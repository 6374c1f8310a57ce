"""`landbridge lab migrate`: a whole migration from one instance to another."""

from __future__ import annotations

import json as json_
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import units
from ..options import JsonFlag
from ..output import Mode, Output
from .common import LabName, known, the_lab
from .look import bits
from .terminal import left_to_child

if TYPE_CHECKING:
    from ...lab.moving import Carried


def migrate(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Instance to move.")],
    destination: Annotated[
        str, typer.Argument(metavar="DESTINATION", help="Instance to move it to; empty.")
    ],
    lab: LabName = None,
    json: JsonFlag = False,
) -> int:
    """Move one instance's cluster to another, through the lab's network.

    Runs `landbridge migrate` at the place of the destination, as the lab's privileged account,
    and takes its options, like --switchover auto or --verify before. The destination's own
    empty server is stopped first, and started again if it comes to nothing; its whitelist
    stays its own. Says at the end what the line has carried.
    """
    from ...lab.moving import command, meter_of, refuse_unless_movable
    from ...migration.task import Tasks

    out = Output(Mode.of(json))
    the = the_lab(lab)
    for id in (source, destination):
        known(the.plan.topology, "instances", id)
    data = the.store.data(destination)
    if Tasks.default().for_destination(data) is None:
        refuse_unless_movable(the, source, destination)
        the.servers.stop(destination)
    # A terminal is redrawn by the migration itself; a line of ours would tear its picture.
    watch = meter_of(
        the, source, destination, lambda words: None if out.is_live else out.line(words)
    )
    options = [*context.args, *(["--json"] if json else [])]
    try:
        with watch or nullcontext(), left_to_child():
            done = subprocess.run(
                command(the, source, destination, options), check=False, text=True,
                stdout=subprocess.PIPE if json else None,
            )  # fmt: skip
    finally:
        if Tasks.default().for_destination(data) is None:
            the.raise_server(destination)
    _say(out, done, watch.carried() if watch else None)
    if done.returncode == 0:
        out.show(
            f"SQL on the source, as its superuser: landbridge lab psql {source}\n"
            f"`landbridge lab up` alone starts the server of {destination}, also after a boot:"
            " it listens at its instance's place."
        )
    return done.returncode


def _say(out: Output, done: subprocess.CompletedProcess[str], carried: Carried | None) -> None:
    line = carried.as_dict() if carried else None
    if out.mode is Mode.JSON:
        said: dict[str, Any] = json_.loads(done.stdout) if done.stdout.strip() else {}
        out.result({**said, "line": line})
    elif carried is not None:
        of = ", then ".join(bits(rate) if rate else "no bandwidth" for rate in carried.allocated)
        out.show(
            f"\n{carried.line} carried {units.size(carried.bytes)} in"
            f" {units.duration(carried.seconds)};"
            f" {bits(carried.busiest)} in its busiest seconds, of {of}."
        )
