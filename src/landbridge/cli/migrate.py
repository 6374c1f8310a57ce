"""`landbridge migrate`: the whole procedure, from the assessment to the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UsageError
from . import migrate_options as own
from . import options
from .move import Move, takes_move
from .output import Mode, Output

if TYPE_CHECKING:
    from ..migration.task import Request, Task
    from ..postgres.conninfo import Conninfo
    from .display.view import View
    from .running import Moment


@takes_move
def migrate(
    move: Move,
    context: typer.Context,
    listen: own.Listen = "localhost",
    allow: options.Cidrs = None,
    hba_file: own.HbaFile = None,
    compression: options.Compression = "auto",
    switchover: own.Switchover = None,
    time_limit: options.TimeLimit = options.TIME_LIMIT,
    verify: own.VerifyOption = options.Verify.none,
    verify_as: own.VerifyAs = None,
    waive: own.Waive = None,
    plan: own.Plan = False,
    detach: options.Detach = False,
    json: options.JsonFlag = False,
    events: options.EventsFlag = False,
) -> int:
    """Move a cluster: assess, copy, follow, switch over, prove.

    The same command again goes on where an interrupted migration was left. Ends 3 if the
    assessment found errors.
    """
    out = Output(Mode.of(json, events))
    when = switchover or (options.When.ask if out.can_ask and not detach else options.When.wait)
    if when is options.When.ask and (detach or not out.can_ask):
        raise UsageError("--switchover ask needs a terminal to ask on")
    chosen = move.chosen() | {
        "listen": listen, "hba_file": own.read_hba(hba_file), "compression": compression,
        "switchover": "auto" if when is options.When.auto else "wait",
        "time_limit": time_limit, "verify": verify.value, "waive": tuple(waive or ()),
    }  # fmt: skip
    if allow is not None:
        chosen["allow"] = tuple(allow)
    wish = Wish(move, chosen, verify_as, _typed(context))
    if plan:
        from .planning import show_plan

        accounts = wish.accounts(out)
        return show_plan(wish.request(accounts), accounts, out)
    return _begin(wish, out, ask=when is options.When.ask, detach=detach)


def _typed(context: typer.Context) -> dict[str, str]:
    """Parameters that stand on the command line, each with its option's name."""
    return {
        str(p.name): p.opts[-1]
        for p in context.command.params
        if (source := context.get_parameter_source(str(p.name))) and source.name == "COMMANDLINE"
    }


@dataclass(frozen=True)
class Wish:
    """What the command line asks for, before any server was asked."""

    move: Move
    chosen: dict[str, Any]
    """Fields of `Request`."""
    verify_as: str | None
    typed: dict[str, str]
    """Parameter that was given -> name of its option."""

    def accounts(self, out: Output) -> dict[str, Conninfo]:
        """Connection of each role, with its password."""
        from .passwords import Passwords

        passwords = Passwords(out)
        found = {"source": passwords.source(self.move.source)}
        for role, text in (("fence_as", self.move.fence_as), ("verify_as", self.verify_as)):
            if (other := passwords.other(text, role, found["source"])) is not None:
                found[role] = other
        return found

    def request(self, accounts: dict[str, Conninfo]) -> Request:
        """The request for these accounts; asks the source who it is."""
        from ..migration.plan import make_request

        others = {role: c for role, c in accounts.items() if role != "source"}
        return make_request(
            accounts["source"], self.move.to.absolute(), self.move.port, **others, **self.chosen
        )

    def unlike(self, request: Request) -> list[str]:
        """Options that were typed now and say something else than the request.

        Raises UsageError (task.exists) when the source is another one.
        """
        from ..postgres.conninfo import Conninfo

        source = Conninfo.parse(self.move.source).resolve()
        if any(source.parameters.get(k) != request.source.get(k) for k in ("host", "port")):
            raise UsageError(
                f"another source, {Conninfo(request.source)}, is being moved into {request.data}",
                id="task.exists",
                remedy="Name another directory with --to, or cancel that migration.",
            )
        said = {**self.chosen, "port": self.move.port}
        kept = {field: getattr(request, field) for field in said}
        for role, text in (("fence_as", self.move.fence_as), ("verify_as", self.verify_as)):
            said[role] = Conninfo.parse(text).user if text else None
            kept[role] = (getattr(request, role) or {}).get("user")
        return [
            option
            for name, option in self.typed.items()
            if (field := _FIELDS.get(name, name)) in said and said[field] != kept[field]
        ]


#: Parameters whose field in a request has another name.
_FIELDS = {
    "setting": "settings", "tablespace": "tablespaces", "replace_empty": "replaces_empty_cluster"
}  # fmt: skip


def _begin(wish: Wish, out: Output, *, ask: bool, detach: bool) -> int:
    """Create the task, or find the unfinished one of this destination, and work on it."""
    from ..migration.plan import create_task
    from ..migration.task import Tasks
    from .running import run_detached, run_here
    from .summary import conclude

    everything = Tasks.default()
    task = everything.for_destination(wish.move.to)
    if task is not None:
        unlike = wish.unlike(task.request)
        out.show(f"Going on with {task.id}, with the options that it was begun with.\n")
        if unlike:
            out.warn(f"not changed by this call: {', '.join(unlike)}{_to_change(task, unlike)}")
    else:
        accounts = wish.accounts(out)
        task = create_task(everything, wish.request(accounts), **accounts)
    if detach:
        return run_detached(task, out)
    return conclude(run_here(task, out, moments=_questions(task, out, ask)), out)


def _to_change(task: Task, options: list[str]) -> str:
    """How that is changed all the same which `resume` takes, where it is meant."""
    metavars = {"--port": "N", "--listen": "ADDRESSES", "--hba-file": "FILE", "--set": "NAME=VALUE"}
    taken = " ".join(f"{option} {metavars[option]}" for option in options if option in metavars)
    if not taken:
        return ""
    return (
        f"\n  It stays as it was begun, on port {task.request.port}. Only while its destination"
        f" cannot be started this changes it:\n  landbridge resume {task.id} {taken}"
    )


def _questions(task: Task, out: Output, ask: bool) -> list[Moment]:
    """What to ask the person in front of us, and otherwise how to do it from elsewhere."""
    from .running import Moment, asking, fencing, is_ready

    def say_how(view: View) -> None:
        out.line(f"Switch over, from elsewhere, with: landbridge switchover {view.task.id}")

    moments = []
    if task.request.switchover == "wait":
        moments.append(asking(out) if ask else Moment(is_ready, say_how, is_question=True))
    if out.can_ask and task.request.fence == "manual":
        moments.append(fencing(out))
    return moments
