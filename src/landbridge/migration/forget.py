"""Removes the folder of a migration that is over, and keeps its evidence."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import UsageError
from .fence.attempt import Attempt
from .fence.guard import is_guarded
from .states import is_end
from .task import Task


def refuse_unless_over(task: Task) -> None:
    """Raise UsageError (task.not_over) while anybody may still need the task's folder."""
    remedy = f"See `landbridge show {task.id}`; end it with `landbridge cancel {task.id}`."
    if not is_end(task.state):
        why = f"it is {task.state.value}"
    elif Attempt.load(task) is not None:
        why = "its guard is still putting the source back"
        remedy = f"Look again with `landbridge show {task.id}`."
    elif is_guarded(task):
        why = "its guard has not left yet"
        remedy = "Call this again in a moment."
    elif task.is_worked_on():
        why = "a process still works on it"
    else:
        return
    raise UsageError(f"task {task.id} is not over: {why}", id="task.not_over", remedy=remedy)


def forget(task: Task) -> list[Path]:
    """Remove the task; returns where its evidence is now, in a folder beside all tasks.

    Raises UsageError (task.not_over).
    """
    refuse_unless_over(task)
    root = task.folder.parent.parent
    kept = root / "evidence"
    kept.mkdir(mode=0o700, exist_ok=True)
    for found in task.folder.glob("evidence.*"):
        found.replace(kept / f"{task.id}{found.suffix}")
    # Out of the list at once; what a kill leaves behind is no task, and removed by the next.
    task.folder.rename(root / f"{task.id}.forgotten")
    for gone in root.glob("m-*.forgotten"):
        shutil.rmtree(gone, ignore_errors=True)
    return sorted(kept.glob(f"{task.id}.*"))
