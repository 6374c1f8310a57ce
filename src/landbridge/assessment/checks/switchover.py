"""Whether the source can be fenced, and what would get past the fence."""

from __future__ import annotations

from collections.abc import Iterator

from ...postgres.facts.account import FENCE_PARAMETERS, FenceRights, Override
from ..facts import Facts
from ..lines import ident, literal, may_run, source_sql
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import listing, server, source

READ_ONLY = ("default_transaction_read_only", "transaction_read_only")
_WEAK = ("off", "local")


def account(facts: Facts) -> Iterator[Verdict]:
    """The account for the fence: there, and able to log in."""
    fence = facts.fence
    assert fence is not None
    if not fence.login.ok:
        yield error(
            f"The account for the fence, {fence.user}, cannot log in: {fence.login.message}.",
            "Correct --fence-as, or leave it out and stop the writes by hand (--fence manual).",
            message=fence.login.message,
        )
    elif _mode(facts) == "manual" and not fence.separate:
        yield info(
            "No account for the fence was given: at the switchover you stop the writes yourself"
            " (the statements are printed), and Landbridge verifies that they have stopped.",
            "Give an account that may do it, and the write outage takes a fraction of a second.",
            Fix("shell", "destination", ("landbridge migrate ... --fence-as 'CONNINFO'",)),
        )
    else:
        yield passed(f"{fence.user} logs in")


def rights(facts: Facts) -> Iterator[Verdict]:
    fence, mode = facts.fence, _mode(facts)
    assert fence is not None and fence.rights is not None
    if mode == "manual":
        yield passed("the fence is raised by hand")
        return
    lacking = fence.rights.lacking(mode)
    if not lacking:
        yield passed(f"{fence.user} may raise the fence ({mode})")
        return
    yield error(
        f"{fence.user} cannot raise the fence ({mode}): it lacks {', '.join(lacking)}.",
        "Give it the rights, take a superuser (--fence-as), or stop the writes by hand"
        " (--fence manual).",
        *_grants(facts, fence.rights, mode),
        account=fence.user,
        lacking=lacking,
    )


def _mode(facts: Facts) -> str:
    """The fence that will be raised: without an account that may do it, by hand."""
    fence, mode = facts.fence, facts.plan.fence
    if fence is None or fence.separate or fence.rights is None:
        return mode
    return "manual" if fence.rights.lacking(mode) else mode


def _grants(facts: Facts, may: FenceRights, mode: str) -> list[Fix]:
    name = ident(may.name)
    if mode == "lockout" or server(facts).major < 15:
        # Before 15 only superusers may ALTER SYSTEM.
        fix = ("landbridge migrate ... --fence-as 'user=postgres ...'",)
        return [Fix("shell", "destination", fix)]
    do, undo = [], []
    if wanted := [p for p in FENCE_PARAMETERS if p not in may.alter_system]:
        names = ", ".join(wanted)
        do.append(f"GRANT ALTER SYSTEM ON PARAMETER {names} TO {name};")
        undo.append(f"REVOKE ALTER SYSTEM ON PARAMETER {names} FROM {name};")
    if not may.reload:
        do.append(f"GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {name};")
        undo.append(f"REVOKE EXECUTE ON FUNCTION pg_reload_conf() FROM {name};")
    if not may.terminate:
        do.append(f"GRANT pg_signal_backend TO {name};")
        undo.append(f"REVOKE pg_signal_backend FROM {name};")
    if not may.monitor:
        do.append(f"GRANT pg_monitor TO {name};")
        undo.append(f"REVOKE pg_monitor FROM {name};")
    return [source_sql(*do, undo=undo, automatic=True, database=may.database)]


def overrides(facts: Facts) -> Iterator[Verdict]:
    """Roles and databases whose sessions would not become read-only."""
    found = [
        o
        for o in source(facts).overrides or ()
        if o.name in READ_ONLY and o.value in ("off", "false", "no", "0")
    ]
    for override in found:
        target = _target(override.role, override.database)
        yield warning(
            f"{target} sets {override.name} = {override.value}: such sessions go on writing when"
            " the source is made read-only. Fence `sync` keeps their commits from being"
            " acknowledged, the others do not.",
            "Take the setting back.",
            _reset(facts, override),
            role=override.role,
            database=override.database,
        )


def weak_commits(facts: Facts) -> Iterator[Verdict]:
    """Commits that are acknowledged without waiting for a synchronous standby."""
    of = source(facts)
    found = [o for o in of.overrides or () if o.name == "synchronous_commit" and o.value in _WEAK]
    everywhere = of.server.value("synchronous_commit")
    if everywhere in _WEAK:
        yield info(
            f"synchronous_commit is {everywhere}: commits are acknowledged before they are on"
            " disk. During the switchover Landbridge sets it to on, so that they wait for the"
            " destination.",
            value=everywhere,
        )
    if found:
        yield warning(
            "Commits that do not wait, even during the switchover: "
            + listing(f"{_target(o.role, o.database)} ({o.name} = {o.value})" for o in found)
            + ". A commit acknowledged in the moment of the fence may be missing; if one is, the"
            " next transaction id tells, and the switchover is undone.",
            "Take the setting back before the switchover.",
            *(_reset(facts, override) for override in found),
        )


def _reset(facts: Facts, override: Override) -> Fix:
    """A role may reset what is its own, CREATEROLE before 16 that of others; else its database's
    owner may (PostgreSQL documentation, ALTER ROLE and ALTER DATABASE)."""
    of, target = source(facts), _target(override.role, override.database)
    if override.role is None:
        by = may_run(facts, *(d.owner for d in of.databases or () if d.name == override.database))
    else:
        by = may_run(facts, override.role)
        if by and of.account and of.account.createrole and of.server.major < 16:
            by = may_run(facts, override.role, facts.user)
    return source_sql(
        f"ALTER {target} RESET {override.name};",
        undo=[f"ALTER {target} SET {override.name} = {literal(override.value)};"],
        automatic=True,
        by=by,
    )


def _target(role: str | None, database: str | None) -> str:
    """What ALTER ... SET was given for, as it stands after ALTER."""
    if role is None:
        return f"DATABASE {ident(database)}" if database else "ROLE ALL"
    return f"ROLE {ident(role)}" + (f" IN DATABASE {ident(database)}" if database else "")


def sync_names(facts: Facts) -> Iterator[Verdict]:
    names = server(facts).value("synchronous_standby_names")
    if names:
        yield info(
            f"synchronous_standby_names is {names!r}: commits on the source wait for its own"
            " standbys. During the switchover they wait for the destination as well; afterwards"
            " it is put back.",
            value=names,
        )
