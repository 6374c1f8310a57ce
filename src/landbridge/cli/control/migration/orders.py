"""Orders to a migration: switch over, give up, put away."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ....errors import SwitchoverUndone
from ..api import Api
from ..tables import Row
from ..verbs import Wait, Yes, verb
from .group import TaskArgument, migration
from .migrations import FINISHED, READY, UNKNOWN, conclude, described, follow


def _confirmation(name: str, help: str) -> Any:
    return typer.Option(f"--{name}", metavar="", help=f"Confirmed: {help}")


@verb(migration)
def switchover(
    api: Api,
    task: TaskArgument,
    writes_stopped: Annotated[
        bool, _confirmation("writes-stopped", "nothing writes to the source any more.")
    ] = False,
    lag_accepted: Annotated[
        bool, _confirmation("lag-accepted", "it has caught up, or what it lacks may take time.")
    ] = False,
    repointing: Annotated[
        bool, _confirmation("repointing", "the applications are going to use the destination.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", metavar="",
            help="Also while the source accepts writes, if nobody else is connected to it.",
        ),
    ] = False,
    time_limit: Annotated[
        int | None,
        typer.Option(
            "--time-limit", metavar="SECONDS", show_default="the migration's",
            help="Put everything back if the destination is not promoted by then, 1 to 3600.",
        ),
    ] = None,
    wait: Wait = False,
) -> None:  # fmt: skip
    """Switch over to the destination. On a terminal each missing confirmation is asked for."""
    from ...questions import confirmed

    given = {
        "ConfirmWritesStopped": writes_stopped,
        "ConfirmLag": lag_accepted,
        "ConfirmRepointing": repointing,
    }
    if api.out.can_ask:
        for name, sentence in described(api, task)["Confirmations"].items():
            if not confirmed(api.out, sentence, "yes", yes=given.get(name, False)):
                api.out.show("Nothing was done.")
                return
            given[name] = True
    answer = api.call(
        "landbridge", "SwitchOverMigration",
        TaskId=task, Force=force, TimeLimit=time_limit, **given,
    )  # fmt: skip
    if not wait:
        api.done(answer, f"Switching over. Follow it: landbridge migration watch {task}")
        return
    row = follow(api, task, FINISHED, or_=_was_put_back)
    if _was_put_back(row):
        error = row["Error"]
        raise SwitchoverUndone(error["message"], id=error["id"], remedy=error["remedy"])
    conclude(api, row)


@verb(migration)
def cancel(
    api: Api,
    task: TaskArgument,
    give_up: Annotated[
        bool,
        typer.Option(
            "--give-up", metavar="",
            help="End one that is being put back without what that waits for: the slot may stay.",
        ),
    ] = False,
    yes: Yes = False,
    wait: Wait = False,
) -> None:  # fmt: skip
    """Cancel a migration and put everything back."""
    from ...questions import agreed

    said = f"Migration {task} is given up; the source stays as it is."
    if give_up:
        said = f"Migration {task} ends; its slot may stay on the source and keep WAL there."
    if not agreed(api.out, said, "cancel", yes=yes):
        return
    answer = api.call("landbridge", "CancelMigration", TaskId=task, GiveUp=give_up)
    if wait:
        follow(api, task, "Cancelled")
    api.done(answer, f"{task} is {'' if wait else 'being '}cancelled.")


@verb(migration)
def close(api: Api, task: TaskArgument) -> None:
    """Put a migration away that is over: it is not listed any more."""
    answer = api.call("landbridge", "CloseMigration", TaskId=task)
    api.done(answer, f"{task} is put away.")


@verb(migration)
def delete(api: Api, task: TaskArgument) -> None:
    """Forget a migration that is over; the operator keeps its record."""
    answer = api.call("landbridge", "DeleteMigration", TaskId=task)
    api.done(answer, f"{task} is forgotten.")


def _was_put_back(row: Row) -> bool:
    """Not merely not begun: an order takes the error of an earlier attempt away."""
    return row["Status"] in (READY, UNKNOWN) and row["Error"] is not None
