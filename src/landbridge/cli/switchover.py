"""`landbridge switchover`: the moment of the move, or the word that the fence stands."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .output import Mode, Output

NewFence = Annotated[
    options.Fence | None,
    typer.Option(
        "--fence",
        help="Another fence than the migration was begun with. --fence-as alone: sync"
        " instead of manual.",
    ),
]
NewTimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        min=1,
        metavar="SECONDS",
        help="Another time limit than the migration was begun with.",
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", metavar="", help="Do not ask; the guardrails still hold.")
]
Fenced = Annotated[
    bool,
    typer.Option("--fenced", metavar="", help="Manual fence: say that the source is fenced now."),
]
Unverified = Annotated[
    bool,
    typer.Option(
        "--unverified",
        metavar="",
        help="With --fenced: the source would accept writes, but all applications are stopped.",
    ),
]
Undo = Annotated[
    bool,
    typer.Option(
        "--undo", metavar="", help="Put the switchover under way back; until the promotion."
    ),
]


def switchover(
    id: options.TaskArgument,
    fence: NewFence = None,
    fence_as: options.FenceAs = None,
    time_limit: NewTimeLimit = None,
    yes: Yes = False,
    fenced: Fenced = False,
    unverified: Unverified = False,
    undo: Undo = False,
    json: options.JsonFlag = False,
    events: options.EventsFlag = False,
) -> int:
    """Switch over now, or put everything back.

    Shows what stands in the way, asks for the word `switch`, then fences the source, drains,
    promotes the destination. If that fails before the promotion, the source is as before.
    """  # fmt: skip
    from ..errors import UsageError
    from ..migration.states import State
    from ..migration.task import Tasks
    from ..postgres.conninfo import Conninfo
    from . import steering
    from .display.view import View
    from .guardrails import guardrails
    from .passwords import Passwords
    from .questions import agreed
    from .summary import conclude

    out = Output(Mode.of(json, events))
    view = View(Tasks.default().get(id))
    view.update()
    if unverified and not fenced:
        raise UsageError("--unverified belongs to --fenced")
    if undo and fenced:
        raise UsageError("--undo and --fenced exclude each other")
    if undo:
        view = steering.undo(view, out)
        out.result(view.as_dict(), f"The switchover is put back. {view.guarantee}")
        return 0
    if fenced:
        return conclude(steering.say_fenced(view, out, unverified=unverified), out)
    if view.state is State.SYNCHRONIZING:
        account = Passwords(out).other(fence_as, "fence_as", Conninfo(view.request.source))
        if fence is None and account is not None and view.request.fence == "manual":
            fence = options.Fence.sync  # as for `migrate`: whoever names the account wants it
        view.task.amend(fence=fence and fence.value, time_limit=time_limit, fence_as=account)
        guardrails(view.task, out)
        kept = "The options given count for the next switchover." if fence or account else ""
        if not agreed(out, "Switch over now?", "switch", yes=yes, kept=kept):
            return 1
    return conclude(steering.switch(view, out), out)
