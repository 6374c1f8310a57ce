"""What stands in the way of a switchover, looked at before anybody confirms it.

Nothing is changed. A guardrail of level error refuses the switchover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ...assessment.model import Level
from ...errors import LandbridgeError, ServerFailed, SwitchoverRefused
from ...postgres.positions import Connection, server_major
from ..task import Task
from ..verify.hold import is_held
from .hba import lock_out, read_rules, server_admits
from .settings import READ_ONLY, SYNC_COMMIT, SYNC_NAMES, is_superuser, show

#: Bytes the destination may be behind; at the measured 335 MB/s of replay under 0.1 s.
LAG_LIMIT = 32 * 1024**2
#: Seconds after which a transaction is worth a warning before it is ended.
LONG = 5.0


@dataclass(frozen=True)
class Guardrail:
    """One look at what the switchover depends on; `id` is stable."""

    id: str
    level: Level
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    remedy: str | None = None

    @property
    def blocks(self) -> bool:
        return self.level is Level.ERROR


@dataclass(frozen=True)
class View:
    """What the guardrails look through: the task and a session of the acting account."""

    task: Task
    conn: Connection

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values or None).fetchall()


Rails = Iterator[Guardrail]


def preflight(task: Task) -> list[Guardrail]:
    """All guardrails of the task's fence, those that were passed included.

    A source that cannot be reached is a guardrail itself; nothing is raised for it.
    """
    if task.request.fence != "manual" and task.request.fence_as is None:
        return [
            Guardrail(
                "fence.account_missing", Level.ERROR,
                f"the fence `{task.request.fence}` needs an account that may close the source",
                remedy="Name one with --fence-as, or close the source yourself: --fence manual.",
            )
        ]  # fmt: skip
    role = "source" if task.request.fence == "manual" else "fence_as"
    try:
        account = task.conninfo(role)
        with closing(account.connect(application_name="landbridge switchover")) as conn:
            return _look(View(task, conn))
    except (LandbridgeError, psycopg.Error) as error:
        text = " ".join(str(error).split())
        return [Guardrail("switchover.source_unreachable", Level.ERROR, text)]


def _look(view: View) -> list[Guardrail]:
    found: list[Guardrail] = []
    for look in _LOOKS[view.task.request.fence]:
        found += look(view)
        # Without its rights the account does not see what the others look at.
        if any(rail.id == "fence.rights" for rail in found):
            break
    return found


def _replication(view: View) -> Rails:
    rows = view.rows(
        "SELECT state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint AS lag"
        " FROM pg_stat_replication WHERE application_name = %s",
        view.task.slot,
    )
    if not rows or rows[0]["state"] != "streaming":
        yield Guardrail(
            "switchover.not_streaming", Level.ERROR,
            "the destination does not stream from the source"
            + (f" (state {rows[0]['state']})" if rows else ""),
            remedy="Wait until it has caught up.",
        )  # fmt: skip
        return
    lag = rows[0]["lag"]
    behind = lag is None or lag > LAG_LIMIT
    yield Guardrail(
        "switchover.lag", Level.ERROR if behind else Level.OK,
        f"the destination is {lag or 0} bytes behind" if not behind else
        f"the destination is {lag} bytes behind, at most {LAG_LIMIT} are allowed",
        {"bytes": lag}, remedy="Wait until it has caught up." if behind else None,
    )  # fmt: skip


def _destination(view: View) -> Rails:
    if is_held(view.task):
        yield Guardrail(
            "switchover.verifying", Level.ERROR, "the destination is being verified",
            remedy="Wait until the verification has ended.",
        )  # fmt: skip
        return
    try:
        conn = view.task.cluster().connect()
    except ServerFailed as error:
        yield Guardrail("switchover.no_destination", Level.ERROR, error.message)
        return
    with closing(conn):
        row = conn.execute("SELECT pg_is_in_recovery()").fetchone()
        if row != (True,):
            yield Guardrail(
                "switchover.no_standby", Level.ERROR, "the destination is not a standby any more"
            )
        elif conn.execute("SELECT pg_is_wal_replay_paused()").fetchone() == (True,):
            yield Guardrail(
                "switchover.replay_paused", Level.ERROR, "replay on the destination is paused",
                remedy="Resume it with SELECT pg_wal_replay_resume() on the destination.",
            )  # fmt: skip


def _transactions(view: View) -> Rails:
    prepared = view.rows(
        "SELECT gid, database, extract(epoch FROM now() - prepared)::float AS age_seconds"
        " FROM pg_prepared_xacts"
    )
    yield Guardrail(
        "switchover.prepared_transactions", Level.ERROR if prepared else Level.OK,
        f"{len(prepared)} prepared transactions are open" if prepared
        else "no transaction is prepared",
        {"prepared": prepared},
        remedy="They survive every fence and could then be committed on both sides: COMMIT"
        " PREPARED or ROLLBACK PREPARED them." if prepared else None,
    )  # fmt: skip
    old = view.rows(
        "SELECT pid, usename AS user, datname AS database, state,"
        " extract(epoch FROM clock_timestamp() - xact_start)::float AS age_seconds,"
        " backend_xid IS NOT NULL AS writing FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND xact_start < clock_timestamp() - %s * interval '1 second' ORDER BY xact_start",
        LONG,
    )
    for id, idle in (("long_transactions", False), ("idle_in_transaction", True)):
        found = [t for t in old if t["state"].startswith("idle in transaction") == idle]
        if found:
            yield Guardrail(
                f"switchover.{id}", Level.WARNING,
                f"{len(found)} transactions will be ended and rolled back, the oldest"
                f" {found[0]['age_seconds']:.0f} s old" + (", idle" if idle else ""),
                {"transactions": found},
            )  # fmt: skip


def _subscriptions(view: View) -> Rails:
    if is_superuser(view.conn):
        query = "SELECT subname FROM pg_subscription WHERE subenabled"
    else:
        query = "SELECT DISTINCT subname FROM pg_stat_subscription WHERE pid IS NOT NULL"
    names = [row["subname"] for row in view.rows(query)]
    if names:
        yield Guardrail(
            "switchover.subscriptions", Level.ERROR,
            f"the source subscribes to another server ({', '.join(names)}), and what it applies"
            " passes every fence",
            {"subscriptions": names},
            remedy="ALTER SUBSCRIPTION ... DISABLE on the source.",
        )  # fmt: skip


def _sessions(view: View) -> Rails:
    count = view.rows(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND application_name NOT LIKE 'landbridge%%' AND pid <> %s",
        view.conn.info.backend_pid,
    )[0]["n"]
    yield Guardrail(
        "switchover.sessions", Level.INFO, f"{count} client sessions are open", {"sessions": count}
    )


def _sync_rights(view: View) -> Rails:
    missing = [] if is_superuser(view.conn) else _missing_rights(view)
    if missing:
        yield Guardrail(
            "fence.rights", Level.ERROR,
            f"the fence account may not {', '.join(missing)}",
            {"missing": missing},
            remedy="Use a superuser, or from 15 on grant ALTER SYSTEM on the parameters"
            f" {SYNC_NAMES}, {READ_ONLY} and {SYNC_COMMIT}, EXECUTE on pg_reload_conf(),"
            " pg_signal_backend and pg_monitor.",
        )  # fmt: skip
    if server_major(view.conn) >= 17 and show(view.conn, "allow_alter_system") == "off":
        yield Guardrail(
            "fence.alter_system_off", Level.ERROR, "allow_alter_system is off on the source",
            remedy="Set it to on, or use the fence lockout or manual.",
        )  # fmt: skip


def _missing_rights(view: View) -> list[str]:
    rights = {
        "reload the configuration": "has_function_privilege('pg_reload_conf()', 'EXECUTE')",
        "end sessions": "pg_has_role('pg_signal_backend', 'USAGE')",
        "see other sessions": "pg_has_role('pg_read_all_stats', 'USAGE')",
    }
    for name in (SYNC_NAMES, READ_ONLY, SYNC_COMMIT):
        granted = f"has_parameter_privilege('{name}', 'ALTER SYSTEM')"
        rights[f"set {name}"] = granted if server_major(view.conn) >= 15 else "false"
    row = view.rows("SELECT " + ", ".join(f'{v} AS "{k}"' for k, v in rights.items()))[0]
    return [right for right, held in row.items() if not held]


def _sync_settings(view: View) -> Rails:
    fixed = view.rows(
        "SELECT name FROM pg_settings WHERE source = 'command line' AND name = ANY(%s)",
        [SYNC_NAMES, READ_ONLY],
    )
    if fixed:
        names = ", ".join(row["name"] for row in fixed)
        yield Guardrail(
            "fence.command_line", Level.ERROR,
            f"{names} is given on the source's command line and cannot be changed",
            remedy="Use the fence lockout or manual.",
        )  # fmt: skip
    others = show(view.conn, SYNC_NAMES)
    if others:
        yield Guardrail(
            "fence.sync_standbys", Level.INFO,
            f"the source has synchronous standbys of its own ({others}); they are waited for as"
            " before, and our standby always",
            {"names": others},
        )  # fmt: skip


def _overrides(view: View) -> Rails:
    rows = view.rows(
        "SELECT coalesce(rolname, 'all roles') AS role,"
        " coalesce(datname, 'all databases') AS database, setting"
        " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) setting"
        " WHERE setting ~ '^(default_transaction_read_only=(off|false|no|0)"
        "|synchronous_commit=(off|local|false|no|0))$'"
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


def _lockout(view: View) -> Rails:
    if not is_superuser(view.conn):
        yield Guardrail(
            "fence.rights", Level.ERROR, "the fence lockout needs a superuser",
            remedy="Name one with --fence-as, or use the fence manual.",
        )  # fmt: skip
        return
    ours = sorted({view.conn.info.user, view.task.conninfo().user})
    try:
        lines = lock_out(read_rules(view.conn), ours, server_admits(view.conn))
    except SwitchoverRefused as error:
        yield Guardrail(error.id, Level.ERROR, error.message, remedy=error.remedy)
        return
    yield Guardrail(
        "fence.hba", Level.OK, "pg_hba.conf can be replaced by rules that admit only us",
        {"lines": lines},
    )  # fmt: skip
    shared = view.rows(
        "SELECT usename AS user, count(*) AS sessions FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND usename = ANY(%s)"
        " AND application_name NOT LIKE 'landbridge%%' GROUP BY usename",
        ours,
    )
    if shared:
        names = ", ".join(f"{r['user']} ({r['sessions']} sessions)" for r in shared)
        yield Guardrail(
            "fence.account_shared", Level.ERROR,
            f"others use the accounts that would stay admitted: {names}",
            {"sessions": shared}, remedy="Name an account that nobody else uses with --fence-as.",
        )  # fmt: skip


_COMMON = (_replication, _destination, _transactions, _subscriptions, _sessions)
_LOOKS: dict[str, tuple[Callable[[View], Rails], ...]] = {
    "sync": (_sync_rights, *_COMMON, _sync_settings, _overrides),
    "lockout": (_lockout, *_COMMON),
    "manual": _COMMON,
}
