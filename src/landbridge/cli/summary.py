"""The end of a command about a task: a summary for people, an object, an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import AssessmentFailed, LandbridgeError
from ..migration.states import State
from . import units

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from .display.view import View
    from .output import Output


def conclude(view: View, out: Output) -> int:
    """Say how the work on a task ended; returns the exit code.

    Raises the error that ended or holds it, so that it is said in the one usual way.
    """
    view.update()
    if (error := failure(view)) is not None:
        if isinstance(error, AssessmentFailed):
            out.show(assessment(view))
        raise error
    out.result(view.as_dict(), closing(view))
    return 0 if view.state is State.FINISHED else 1


def failure(view: View) -> LandbridgeError | None:
    """What ended a failed task, or keeps one waiting for somebody to act."""
    entry = view.error if view.state is State.FAILED else None if view.is_over else view.held
    if entry is None:
        return None
    kind = AssessmentFailed if entry["id"] == AssessmentFailed.id else LandbridgeError
    return kind(str(entry["message"]), id=str(entry["id"]), remedy=entry.get("remedy"))


def assessment(view: View) -> RenderableType:
    """The findings of the task's assessment, with the lines that repair them."""
    from ..assessment import Report, render_terminal

    found = view.attachment("assessment")
    return render_terminal(Report.from_dict(found)) if found else ""


def closing(view: View) -> Text:
    """The last words of a picture: what came out, what is next, where the proof lies."""
    from rich.text import Text

    lines = [_outcome(view)]
    verification = view.attachment("verification")
    if verification is not None:
        tables = units.count(len(verification.get("tables", ())), "table")
        differences = int(verification.get("differences", 0))
        lines.append(f"Compared {tables}: {units.count(differences, 'difference')}.")
    evidence = view.task.folder / "evidence.html"
    if evidence.exists():
        lines.append(f"Evidence: {evidence} (and .json)")
    return Text("\n".join(lines))


def _outcome(view: View) -> str:
    request, id = view.request, view.task.id
    if view.state is State.FINISHED:
        return (
            f"Finished. The cluster lives in {request.data} on port {request.port};"
            " the source is still read-only."
        )
    if (error := failure(view)) is not None:
        verb = "Failed" if view.is_over else "Waits for somebody to act"
        return f"{verb}: {error.message} [{error.id}]\n{view.guarantee}"
    if view.state is State.CANCELLED:
        return f"Cancelled. {view.guarantee}"
    if view.task.is_worked_on():
        step = f" Switch over with: landbridge switchover {id}"
        return f"{view.guarantee}{step if view.state is State.SYNCHRONIZING else ''}"
    return f"{view.guarantee} Nobody works on it now; go on with: landbridge resume {id}"
