"""`landbridge forget`: remove the record of a migration that is over."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonFlag, TaskArgument
from .output import Mode, Output


def forget(
    id: TaskArgument,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> int:
    """Remove the record of a migration that is over.

    Its evidence is kept in the state directory's folder `evidence`; neither server is touched.
    """
    from ..migration.forget import forget as remove
    from ..migration.forget import refuse_unless_over
    from ..migration.task import Tasks
    from .questions import agreed

    out = Output(Mode.of(json))
    task = Tasks.default().get(id)
    refuse_unless_over(task)
    if not agreed(out, f"Forget {task.id}? Its evidence is kept.", "forget", yes=yes):
        return 1
    kept = remove(task)
    out.result(
        {"id": task.id, "forgotten": True, "evidence": [str(path) for path in kept]},
        f"Forgotten: {task.id}.",
        f"Its evidence: {', '.join(map(str, kept))}" if kept else "It had no evidence.",
    )
    return 0
