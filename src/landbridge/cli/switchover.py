"""`landbridge switchover`: the moment of the move, or the word that the fence stands."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .output import Mode, Output


def switchover(
    id: options.TaskArgument,
    fence: Annotated[
        options.Fence | None,
        typer.Option("--fence", help="Another fence than the migration was begun with."),
    ] = None,
    fence_as: options.FenceAs = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            min=1,
            metavar="SECONDS",
            help="Another time limit than the migration was begun with.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", metavar="", help="Do not ask; the guardrails still hold.")
    ] = False,
    fenced: Annotated[
        bool,
        typer.Option(
            "--fenced", metavar="", help="Manual fence: say that the source is fenced now."
        ),
    ] = False,
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified",
            metavar="",
            help="With --fenced: the source would accept writes, but all applications are stopped.",
        ),
    ] = False,
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
    from .display.view import View
    from .guardrails import guardrails
    from .passwords import Passwords
    from .questions import confirmed
    from .steering import say_fenced, switch
    from .summary import conclude

    out = Output(Mode.of(json, events))
    view = View(Tasks.default().get(id))
    view.update()
    if unverified and not fenced:
        raise UsageError("--unverified belongs to --fenced")
    if fenced:
        say_fenced(view, unverified=unverified)
        out.result({"id": view.task.id, "fenced": True}, "Noted; the fence is being verified.")
        return 0
    if view.state is State.SYNCHRONIZING:
        account = Passwords(out).other(fence_as, "fence_as", Conninfo(view.request.source))
        view.task.amend(fence=fence and fence.value, time_limit=time_limit, fence_as=account)
        guardrails(view.task, out)
        if not confirmed(out, "Switch over now?", "switch", yes=yes):
            return 1
    return conclude(switch(view, out), out)
