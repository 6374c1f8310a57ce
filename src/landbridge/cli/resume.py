"""`landbridge resume`: go on with a migration whose worker is gone."""

from __future__ import annotations

from ..errors import UsageError
from .options import Detach, EventsFlag, JsonFlag, TaskArgument
from .output import Mode, Output


def resume(
    id: TaskArgument,
    detach: Detach = False,
    json: JsonFlag = False,
    events: EventsFlag = False,
) -> int:
    """Go on with a migration where it was left, however it was left.

    What still runs (the copy, the destination) is taken over, never started twice.
    """
    from ..migration.task import Tasks
    from .display.view import View
    from .running import run_detached, run_here
    from .summary import conclude

    out = Output(Mode.of(json, events))
    view = View(Tasks.default().get(id))
    view.update()
    if view.is_over:
        raise UsageError(f"task {view.task.id} is over: {view.label}", id="task.over")
    if detach:
        return run_detached(view.task, out)
    return conclude(run_here(view.task, out), out)
