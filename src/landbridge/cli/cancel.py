"""`landbridge cancel`: give a migration up and put everything back."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonFlag, TaskArgument
from .output import Mode, Output


def cancel(
    id: TaskArgument,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> int:
    """Give a migration up and put everything back.

    The copy is removed, the slot dropped, the source as before. While the source is away
    it waits for that; cancelled again, it tries once more, says what is left to drop there
    by hand, and ends 1. Impossible once the destination has been promoted.
    """
    from ..migration.states import State
    from ..migration.task import Tasks
    from .display.view import View
    from .questions import agreed
    from .steering import cancel as give_up
    from .summary import conclude

    out = Output(Mode.of(json))
    view = View(Tasks.default().get(id))
    view.update()
    question = f"Cancel {view.task.id}? {view.label}; the copy in {view.request.data} is removed."
    if view.waiting is not None:
        question = f"Give it up? {view.label}; it is tried once more, and then left to you."
    if not agreed(out, question, "cancel", yes=yes or view.is_over):
        return 1
    view = give_up(view, out)
    conclude(view, out)
    return 0 if view.state is State.CANCELLED and view.given_up is None else 1
