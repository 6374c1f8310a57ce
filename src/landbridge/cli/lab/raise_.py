"""`landbridge lab up` and `down`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import LandbridgeError
from ...network.choose import Wanted
from ..options import JsonFlag
from ..output import Mode, Output
from .common import LabName, labs

if TYPE_CHECKING:
    from ...lab.store import Store
    from ...migration.task import Task


def up(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            show_default=False,
            help="The plan, like examples/two-regions.toml; without it the lab is built again as"
            " it was, also after a reboot.",
        ),
    ] = None,
    driver: Annotated[
        Wanted | None,
        typer.Option(
            "--driver",
            show_default="auto, or as before",
            help="netns: the kernel isolates; relay: needs no privilege; auto tries them in this"
            " order.",
        ),
    ] = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Build a lab, or bring it back to what it shall be, and draw it.

    The same call again changes nothing. What was changed in FILE since is taken over; what
    was changed by command stays.
    """
    from ...lab.lab import up as run

    out = Output(Mode.of(json))
    status = out.console.status("") if out.is_live else None
    with status or _Nothing():
        raised = run(
            labs(), file, lab, driver.value if driver else None,
            lambda words: status.update(f"{words[0].upper()}{words[1:]}") if status else None,
        )  # fmt: skip
    can = raised.lab.fabric.capabilities()
    from ...lab.drawing import render_terminal

    out.result(
        {"lab": raised.lab.store.name, "driver": can.driver, "isolation": can.isolation.value,
         "reasons": can.reasons, "servers": raised.servers, "notes": raised.notes},
        render_terminal(raised.lab.picture(out.console.width)), "",
        f"Driver {can.driver}:",
        *(f"  {reason}" for reason in can.reasons),
        *raised.notes,
        "Next: landbridge lab probe",
    )  # fmt: skip


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def down(
    keep_data: Annotated[
        bool,
        typer.Option(
            "--keep-data",
            metavar="",
            help="Keep the servers' data, ended tasks and what the lab shall be; `lab up` builds it"
            " again.",
        ),
    ] = False,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Stop the servers and remove the network and all data, whatever is left of them.

    The tasks of migrations into the lab go with it, and their evidence.
    """
    from ...lab.lab import down as run

    out = Output(Mode.of(json))
    store = labs().get(lab)
    left = _migrations_into(store)
    _give_up(left)
    stopped = run(store, keep_data=keep_data)
    if not keep_data:
        for task in left:
            shutil.rmtree(task.folder, ignore_errors=True)
    kept = f" Its data are kept in {store.folder}." if keep_data else ""
    out.result(
        {"lab": store.name, "stopped": stopped, "kept": str(store.folder) if keep_data else None},
        f"Lab {store.name} is down.{kept}",
    )


def _migrations_into(store: Store) -> list[Task]:
    """All whose destination is an instance of this lab."""
    from ...migration.task import Tasks

    return [
        task for task in Tasks.default().all()
        if Path(task.request.data).is_relative_to(store.instances)
    ]  # fmt: skip


def _give_up(tasks: list[Task]) -> None:
    """End what is left of unfinished migrations; one that is worked on stays.

    LandbridgeError (lab.migration_running) for such a one.
    """
    from ...migration.copying import CopyJob
    from ...migration.states import is_end

    for task in tasks:
        if is_end(task.state):
            continue
        if task.is_worked_on():
            raise LandbridgeError(
                f"migration {task.id} into this lab is under way", id="lab.migration_running",
                remedy=f"Give it up first: landbridge cancel {task.id}",
            )  # fmt: skip
        CopyJob(task).cancel()
        shutil.rmtree(task.folder)
