"""`landbridge tasks`, `show` and `watch`: what migrations there are, and how they do."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import AssessmentFailed
from .options import EventsFlag, JsonFlag, TaskArgument
from .output import Mode, Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .display.view import View


#: Columns from which on a task fits into one line.
_WIDE = 110
#: Columns of what nobody looks at: more than any task needs.
_UNLIMITED = 10_000


def tasks(json: JsonFlag = False) -> None:
    """List the migrations of this host, oldest first."""
    from ..migration.task import Tasks
    from .display.view import View

    out = Output(Mode.of(json))
    everything = Tasks.default()
    found = everything.all()
    if "LANDBRIDGE_STATE" in os.environ and not everything.root.is_dir():
        out.warn(f"LANDBRIDGE_STATE names no folder (yet): {everything.root}")
    views = []
    for task in found:
        with suppress(FileNotFoundError):  # forgotten meanwhile
            view = View(task)
            view.update()
            views.append(view)
    if not out.console.is_terminal and "COLUMNS" not in os.environ:
        out.console.width = _UNLIMITED
    wide = out.console.width >= _WIDE
    listed = (_table(views) if wide else _blocks(views)) if views else ""
    out.result(
        {"tasks": [view.summary() for view in views]},
        listed or f"No migrations in {everything.root}.",
    )


def _table(views: list[View]) -> RenderableType:
    """One line for each."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("ID", "STATE", "SINCE", "WORKER", "SOURCE", "DESTINATION"):
        whole = max(len(view.task.id) for view in views) if heading == "ID" else None
        table.add_column(
            heading, no_wrap=heading != "DESTINATION", overflow="fold", min_width=whole
        )
    for view in views:
        table.add_row(view.task.id, view.label, _since(view), _worker(view), *_ends(view))
    return table


def _blocks(views: list[View]) -> RenderableType:
    """A few short lines for each, down to 40 columns."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for view in views:
        worker = {"": "", "running": ", under way", "none": ", nobody works on it"}[_worker(view)]
        source, destination = _ends(view)
        said = Text.assemble(
            (view.label, "bold"), worker, (f"\nsince {_since(view)}", "dim"),
            f"\n{source} → {destination}",
        )  # fmt: skip
        grid.add_row(view.task.id, said)
    return grid


def _since(view: View) -> str:
    return f"{view.entered[view.state].astimezone():%Y-%m-%d %H:%M}" if view.entered else ""


def _worker(view: View) -> str:
    return "" if view.is_over else "running" if view.task.is_worked_on() else "none"


def _ends(view: View) -> tuple[str, str]:
    request = view.request
    source = f"{request.source.get('host', 'local')}:{request.source.get('port', 5432)}"
    return source, f"{request.data} :{request.port}"


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
