"""`landbridge migrate`: the whole procedure, from the assessment to the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import migrate_options as own
from . import options
from .output import Mode, Output

if TYPE_CHECKING:
    from ..migration.task import Request, Task
    from ..postgres.conninfo import Conninfo
    from .running import Moment


def migrate(
    source: options.SourceArgument,
    to: options.To,
    port: options.Port = 5432,
    listen: own.Listen = "localhost",
    allow: options.Cidrs = None,
    hba_file: own.HbaFile = None,
    setting: options.Settings = None,
    tablespace: options.Tablespaces = None,
    archive_command: own.ArchiveCommand = None,
    max_rate: options.MaxRate = None,
    compression: options.Compression = "auto",
    wal_policy: options.WalPolicyOption = options.WalPolicy.protect_source,
    wal_budget: options.WalBudget = options.WAL_BUDGET,
    switchover: own.Switchover = None,
    fence: options.FenceOption = None,
    fence_as: options.FenceAs = None,
    time_limit: options.TimeLimit = options.TIME_LIMIT,
    verify: own.VerifyOption = options.Verify.none,
    verify_as: own.VerifyAs = None,
    waive: own.Waive = None,
    reindex: own.Reindex = False,
    plan: own.Plan = False,
    detach: own.Detach = False,
    json: options.JsonFlag = False,
    events: options.EventsFlag = False,
) -> int:
    """Move a cluster: assess, copy, follow, switch over, prove.

    The same command again goes on where an interrupted migration was left. Ends 3 if the
    assessment found errors.
    """
    out = Output(Mode.of(json, events))
    when = switchover or (options.When.ask if out.can_ask else options.When.wait)
    if when is options.When.ask and (detach or not out.can_ask):
        raise UsageError("--switchover ask needs a terminal to ask on")
    chosen = {
        "listen": listen, "hba_file": str(hba_file.absolute()) if hba_file else None,
        "settings": options.pairs(setting, "--set"), "archive_command": archive_command,
        "tablespaces": options.pairs(tablespace, "--tablespace"), "max_rate": max_rate,
        "compression": compression, "wal_policy": wal_policy.value, "wal_budget": wal_budget,
        "switchover": "auto" if when is options.When.auto else "wait",
        "time_limit": time_limit, "verify": verify.value, "waive": tuple(waive or ()),
        "reindex": reindex,
    }  # fmt: skip
    if fence is not None:
        chosen["fence"] = fence.value
    if allow is not None:
        chosen["allow"] = tuple(allow)
    wish = Wish(source, to, port, chosen, fence_as, verify_as)
    if plan:
        from .planning import show_plan

        accounts = wish.accounts(out)
        return show_plan(wish.request(accounts), accounts, out)
    return _begin(wish, out, ask=when is options.When.ask, detach=detach)


@dataclass(frozen=True)
class Wish:
    """What the command line asks for, before any server was asked."""

    source: str
    to: Path
    port: int
    chosen: dict[str, Any]
    """Fields of `Request`."""
    fence_as: str | None
    verify_as: str | None

    def accounts(self, out: Output) -> dict[str, Conninfo]:
        """Connection of each role, with its password."""
        from .passwords import Passwords

        passwords = Passwords(out)
        found = {"source": passwords.source(self.source)}
        for role, text in (("fence_as", self.fence_as), ("verify_as", self.verify_as)):
            if (other := passwords.other(text, role, found["source"])) is not None:
                found[role] = other
        return found

    def request(self, accounts: dict[str, Conninfo]) -> Request:
        """The request for these accounts; asks the source who it is."""
        from ..migration.plan import make_request

        others = {role: c for role, c in accounts.items() if role != "source"}
        return make_request(
            accounts["source"], self.to.absolute(), self.port, **others, **self.chosen
        )


def _begin(wish: Wish, out: Output, *, ask: bool, detach: bool) -> int:
    """Create the task, or find the unfinished one of this destination, and work on it."""
    from ..migration.plan import create_task
    from ..migration.task import Tasks
    from .running import run_detached, run_here
    from .summary import conclude

    everything = Tasks.default()
    task = everything.for_destination(wish.to)
    if task is not None:
        out.show(f"Going on with {task.id}, with the options that it was begun with.\n")
    else:
        accounts = wish.accounts(out)
        task = create_task(everything, wish.request(accounts), **accounts)
    if detach:
        return run_detached(task, out)
    return conclude(run_here(task, out, moments=_questions(task, out, ask)), out)


def _questions(task: Task, out: Output, ask: bool) -> list[Moment]:
    """What to ask the person in front of us, and otherwise how to do it from elsewhere."""
    from .running import asking, fencing

    waits = task.request.switchover == "wait"
    if waits and not ask:
        later = f"landbridge switchover {task.id}"
        out.line(f"Once it has caught up, switch over with: {later}")
    moments = [asking(out)] if waits and ask else []
    if out.can_ask and task.request.fence == "manual":
        moments.append(fencing(out))
    return moments
