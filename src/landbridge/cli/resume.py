"""`landbridge resume`: go on with a migration whose worker is gone."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError
from . import options
from .migrate_options import HbaFile, read_hba
from .options import Detach, EventsFlag, JsonFlag, TaskArgument
from .output import Mode, Output


def resume(
    id: TaskArgument,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            metavar="N",
            show_default=False,
            help="Another port for a destination that could not be started.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="ADDRESSES", show_default=False, help="Other addresses for it."
        ),
    ] = None,
    hba_file: HbaFile = None,
    setting: options.Settings = None,
    detach: Detach = False,
    json: JsonFlag = False,
    events: EventsFlag = False,
) -> int:
    """Go on with a migration where it was left, however it was left.

    What still runs (the copy, the destination) is taken over, never started twice. What
    waits for somebody to act is tried again.
    """
    from ..migration.states import State
    from ..migration.task import Tasks
    from .display.view import View
    from .running import run_detached
    from .steering import resume as go_on
    from .summary import conclude

    out = Output(Mode.of(json, events))
    view = View(Tasks.default().get(id))
    view.update()
    if view.is_over:
        raise UsageError(f"task {view.task.id} is over: {view.label}", id="task.over")
    if setting or any(given is not None for given in (port, listen, hba_file)):
        if view.state is not State.STARTING or view.held is None:
            raise UsageError(
                f"task {view.task.id} is past the start of its destination, or before it:"
                " --port, --listen, --hba-file and --set are for one that could not be started"
            )
        lines = read_hba(hba_file)
        view.task.amend(
            port=port, listen=listen, hba_file=lines, settings=options.settings(setting)
        )
    if detach and not view.task.is_worked_on():
        return run_detached(view.task, out)
    return conclude(go_on(view, out), out)
