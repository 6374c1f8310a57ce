"""What stands in the way of a switchover, looked at before anybody confirms it.

Nothing is changed. A guardrail of level error refuses the switchover.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
from psycopg import sql

from ...assessment.model import Level
from ...errors import LandbridgeError, ServerFailed
from ...postgres import transactions
from ...postgres.units import count, duration, size
from ..standby.hold import is_held
from ..task import Task
from . import requirements
from .rail import Guardrail, Rails, View
from .settings import is_superuser

#: Bytes the destination may be behind; at the measured 335 MB/s of replay under 0.1 s.
LAG_LIMIT = 32 * 1024**2
#: Seconds after which a transaction is worth a warning before it is ended.
LONG = 5.0


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
        remedy = getattr(error, "remedy", None)
        return [Guardrail("switchover.source_unreachable", Level.ERROR, text, remedy=remedy)]


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
        f"the destination is {size(lag)} behind"
        + (f", at most {size(LAG_LIMIT)} are allowed" if behind else ""),
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
        conn = view.task.cluster().connect_warily()
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
                remedy="`landbridge resume` lets it go on where a verification was broken off;"
                " pg_wal_replay_resume() would promote it at a recovery target.",
            )  # fmt: skip


def _transactions(view: View) -> Rails:
    prepared = view.rows(transactions.PREPARED)
    yield Guardrail(
        "switchover.prepared_transactions", Level.ERROR if prepared else Level.OK,
        f"open: {count(len(prepared), 'prepared transaction')}" if prepared
        else "no transaction is prepared",
        {"prepared": prepared},
        remedy="They survive every fence and could then be committed on both sides: COMMIT"
        " PREPARED or ROLLBACK PREPARED them." if prepared else None,
    )  # fmt: skip
    query = sql.SQL("SELECT * FROM ({}) t WHERE age_seconds > %s ORDER BY age_seconds DESC")
    old = view.rows(query.format(transactions.OPEN), LONG)
    for id, idle in (("long_transactions", False), ("idle_in_transaction", True)):
        found = [t for t in old if t["state"].startswith("idle in transaction") == idle]
        if found:
            yield Guardrail(
                f"switchover.{id}", Level.WARNING,
                f"to be ended and rolled back: {count(len(found), 'transaction')}, the oldest"
                f" open for {duration(found[0]['age_seconds'])}" + (", idle" if idle else ""),
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
    sessions = view.rows(transactions.SESSIONS)[0]["count"]
    yield Guardrail(
        "switchover.sessions", Level.INFO,
        f"open on the source: {count(sessions, 'client session')}", {"sessions": sessions},
    )  # fmt: skip


_COMMON = (_replication, _destination, _transactions, _subscriptions, _sessions)
_LOOKS: dict[str, tuple[Callable[[View], Rails], ...]] = {
    "sync": (
        requirements.rights,
        *_COMMON,
        requirements.sync_settings,
        requirements.overrides,
    ),
    "lockout": (requirements.rights, requirements.lockout, *_COMMON),
    "manual": (*_COMMON, requirements.overrides),
}
