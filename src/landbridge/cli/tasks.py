"""`landbridge tasks`, `show` and `watch`: what migrations there are, and how they do."""

from __future__ import annotations

from ..errors import AssessmentFailed
from .options import EventsFlag, JsonFlag, TaskArgument
from .output import Mode, Output


def tasks(json: JsonFlag = False) -> None:
    """List the migrations of this host, oldest first."""
    from rich.table import Table

    from ..migration.task import Tasks
    from .display.view import View

    everything = Tasks.default()
    views = [View(task) for task in everything.all()]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("ID", "STATE", "SINCE", "WORKER", "SOURCE", "DESTINATION"):
        table.add_column(heading, no_wrap=heading != "DESTINATION", overflow="fold")
    for view in views:
        view.update()
        request = view.request
        since = f"{view.entered[view.state].astimezone():%Y-%m-%d %H:%M}" if view.entered else ""
        source = f"{request.source.get('host', 'local')}:{request.source.get('port', 5432)}"
        worker = "" if view.is_over else "running" if view.task.is_worked_on() else "none"
        table.add_row(
            view.task.id, view.label, since, worker, source, f"{request.data} :{request.port}"
        )
    nothing = f"No migrations in {everything.root}."
    Output(Mode.of(json)).result(
        {"tasks": [view.summary() for view in views]}, table if views else nothing
    )


def show(id: TaskArgument, json: JsonFlag = False) -> None:
    """Show one migration: phases, figures, evidence."""
    from ..migration.task import Tasks
    from .display.screen import screen
    from .display.view import View
    from .summary import assessment, closing, failure

    view = View(Tasks.default().get(id))
    view.update()
    findings = [assessment(view)] if isinstance(failure(view), AssessmentFailed) else []
    parts = (screen(view), *findings, "", closing(view))
    Output(Mode.of(json)).result(view.as_dict(), *parts)


def watch(id: TaskArgument, json: JsonFlag = False, events: EventsFlag = False) -> int:
    """Follow a migration until it ends.

    Whoever works on it; Ctrl-C ends the watching and nothing else.
    """
    from ..migration.task import Tasks
    from .display.view import View
    from .running import watch as follow
    from .summary import conclude

    out = Output(Mode.of(json, events))
    view = View(Tasks.default().get(id))
    follow(view, out)
    return conclude(view, out)
