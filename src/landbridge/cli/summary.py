"""The end of a command about a task: a summary for people, an object, an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import AssessmentFailed, LandbridgeError
from ..migration.states import State
from . import units

if TYPE_CHECKING:
    from rich.text import Text

    from .display.view import View
    from .output import Output


def conclude(view: View, out: Output) -> int:
    """Say how a finished task ended; returns the exit code.

    Raises the error that ended a failed one, so that it is said in the one usual way.
    """
    view.update()
    if view.state is State.FAILED:
        raise failure(view)
    out.result(view.as_dict(), closing(view))
    return 0 if view.state is State.FINISHED else 1


def failure(view: View) -> LandbridgeError:
    """The first error of a failed task, as an error of this process."""
    entry = view.error or {}
    id = str(entry.get("id", "migration.failed"))
    kind = AssessmentFailed if id == AssessmentFailed.id else LandbridgeError
    return kind(
        str(entry.get("message", "the migration failed")), id=id, remedy=entry.get("remedy")
    )


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
    if view.state is State.FAILED:
        error = failure(view)
        return f"Failed: {error.message} [{error.id}]\n{view.state.guarantee}"
    if view.state is State.CANCELLED:
        return f"Cancelled. {view.state.guarantee}"
    if view.task.is_worked_on():
        step = f" Switch over with: landbridge switchover {id}"
        return f"{view.state.guarantee}{step if view.state is State.SYNCHRONIZING else ''}"
    return f"{view.state.guarantee} Nobody works on it now; go on with: landbridge resume {id}"
