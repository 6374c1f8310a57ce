"""What the fences sync and lockout ask of the source and of the account that raises them."""

from __future__ import annotations

from ...assessment.model import Level
from ...errors import SwitchoverRefused
from ...postgres.facts.account import read_fence_rights
from ...postgres.facts.ask import Asker
from ...postgres.positions import server_major
from ...postgres.units import count
from .hba import lock_out, read_rules, server_admits
from .rail import Guardrail, Rails, View
from .rivals import LEFT_REMEDY, OTHER, left_by, others_in
from .settings import READ_ONLY, SYNC_COMMIT, SYNC_NAMES, show
from .source import our_users

_SUPERUSER = "Name a superuser with --fence-as, or use the fence manual."
_GRANTS = (
    f"Use a superuser, or from 15 on grant ALTER SYSTEM on the parameters {SYNC_NAMES},"
    f" {READ_ONLY} and {SYNC_COMMIT}, EXECUTE on pg_reload_conf(), pg_signal_backend and"
    " pg_monitor."
)


def rights(view: View) -> Rails:
    """What the account lacks for its fence: the same that the assessment tells."""
    fence = view.task.request.fence
    held = read_fence_rights(Asker(view.conn))
    missing = ["a look at its own rights"] if held is None else held.lacking(fence)
    if missing:
        yield Guardrail(
            "fence.rights", Level.ERROR,
            f"the fence account {view.conn.info.user} cannot raise the fence {fence}: it lacks"
            f" {', '.join(missing)}",
            {"missing": missing},
            remedy=_GRANTS if fence == "sync" else _SUPERUSER,
        )  # fmt: skip


def _changeable(view: View, *names: str) -> Rails:
    """Whether ALTER SYSTEM takes effect for these settings."""
    if server_major(view.conn) >= 17 and show(view.conn, "allow_alter_system") == "off":
        yield Guardrail(
            "fence.alter_system_off", Level.ERROR, "allow_alter_system is off on the source",
            remedy="Set it to on, or use the fence manual.",
        )  # fmt: skip
    fixed = view.rows(
        "SELECT name FROM pg_settings WHERE source = 'command line' AND name = ANY(%s)",
        list(names),
    )
    if fixed:
        found = ", ".join(row["name"] for row in fixed)
        yield Guardrail(
            "fence.command_line", Level.ERROR,
            f"{found} is given on the source's command line and cannot be changed",
            remedy="Use the fence manual.",
        )  # fmt: skip


def sync_settings(view: View) -> Rails:
    yield from _changeable(view, SYNC_NAMES, READ_ONLY)
    others = show(view.conn, SYNC_NAMES)
    if rivals := others_in(others, view.task):
        yield Guardrail(OTHER, Level.ERROR, left_by(rivals), remedy=LEFT_REMEDY)
    elif others:
        yield Guardrail(
            "fence.sync_standbys", Level.INFO,
            f"the source has synchronous standbys of its own ({others}); they are waited for as"
            " before, and our standby always",
            {"names": others},
        )  # fmt: skip


def overrides(view: View) -> Rails:
    rows = view.rows(
        "SELECT coalesce(rolname, 'all roles') AS role,"
        " coalesce(datname, 'all databases') AS database, setting"
        " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) setting"
        # As it was typed: in any case, and `off`, `false` and `no` shortened at will.
        " WHERE setting ~* '^(default_transaction_read_only|synchronous_commit)="
        "(local|off?|f(a(l(se?)?)?)?|no?|0)$'"
    )
    if not rows:
        return
    said = "; ".join(f"{r['setting']} for {r['role']} in {r['database']}" for r in rows)
    yield Guardrail(
        "fence.overrides", Level.WARNING,
        f"the source keeps settings that weaken the fence: {said}. If such a session writes"
        " during the switchover, everything is put back",
        {"overrides": rows},
        remedy="ALTER ROLE/DATABASE ... RESET them, or use the fence lockout.",
    )  # fmt: skip
    own = ("all roles", view.conn.info.user)
    if any(r["role"] in own and r["setting"].startswith(READ_ONLY) for r in rows):
        yield Guardrail(
            "fence.account_overrides", Level.ERROR,
            f"{READ_ONLY} is off by default for the fence account itself, so that the fence"
            " cannot be verified",
        )  # fmt: skip


def lockout(view: View) -> Rails:
    yield from _changeable(view, READ_ONLY)
    ours = our_users(view.task)
    try:
        lines = lock_out(read_rules(view.conn), ours, server_admits(view.conn))
    except SwitchoverRefused as error:
        yield Guardrail(error.id, Level.ERROR, error.message, remedy=error.remedy)
        return
    yield Guardrail(
        "fence.hba", Level.OK, "pg_hba.conf can be replaced by rules that admit only us",
        {"rules": len(lines)},
    )  # fmt: skip
    shared = view.rows(
        "SELECT usename AS user, count(*) AS sessions FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND usename = ANY(%s)"
        " AND application_name NOT LIKE 'landbridge%%' GROUP BY usename",
        ours,
    )
    if shared:
        names = ", ".join(f"{r['user']} ({count(r['sessions'], 'session')})" for r in shared)
        yield Guardrail(
            "fence.account_shared", Level.ERROR,
            f"others use the accounts that would stay admitted: {names}",
            {"sessions": shared}, remedy="Name an account that nobody else uses with --fence-as.",
        )  # fmt: skip
