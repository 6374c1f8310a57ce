"""The source's side of a switchover: our session there, other sessions, its stillness.

A source is still when nobody has a transaction open that wrote, none is prepared, and the
next transaction id has stopped growing. The id is the cheap detector of what slips past a
fence: clients that override it, apply workers. COMMIT PREPARED takes none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from ...errors import SwitchoverUndone
from ...postgres.conninfo import Conninfo
from ...postgres.lsn import Lsn
from ...postgres.positions import (
    IDENTITY,
    Connection,
    Identity,
    next_xid_sql,
    server_major,
)
from ...postgres.process import wait_until
from ..task import Task
from .attempt import Deadline
from .rivals import mark
from .settings import is_superuser

#: Roles whose sessions are spared where that is safe, as in the vendor's own statement.
SERVICE_ROLES = ("replicator", "monitor", "pgsql", "aurora")
#: A transaction of its own that writes nothing but a message into WAL; it does take an id.
SETTLE: LiteralString = "SELECT pg_logical_emit_message(true, 'landbridge', 'fence')"
#: Seconds a source may take, once fenced, until nobody writes to it any more.
PATIENCE = 2.0
#: Sessions that are not ours; `client` ones are those that a switchover ends.
_SESSIONS = """
SELECT pid, usename AS "user", application_name AS application, client_addr::text AS address,
       backend_type AS type, backend_xid IS NOT NULL AS writing, backend_start, xact_start,
       backend_type = 'client backend' AND NOT usename = ANY(%(services)s) AS client
FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
  AND (backend_type = 'client backend' OR backend_xid IS NOT NULL)
  AND NOT (coalesce(usename, '') = ANY(%(ours)s) AND application_name LIKE 'landbridge%%')
"""

_STILLNESS = """
SELECT {next_xid}, pg_current_wal_flush_lsn()::text, {identity},
       (SELECT count(*) FROM pg_prepared_xacts),
       (SELECT coalesce(json_agg(s), '[]') FROM ({sessions}) s
        WHERE writing OR client AND {since} < %(fenced)s
           OR type = 'client backend' AND xact_start < %(fenced)s)
"""

# Only a superuser may end a superuser's session.
_TERMINATE = """
SELECT pid, pg_terminate_backend(pid) FROM ({sessions}) s LEFT JOIN pg_roles r ON rolname = "user"
WHERE (client AND backend_start < %(fenced)s
       OR writing AND NOT coalesce("user", '') = ANY(%(services)s))
  AND (%(superuser)s OR r.rolsuper IS FALSE)
"""


@dataclass(frozen=True)
class Stillness:
    """Where the source stands, and what still moves on it; one question, one round trip."""

    next_xid: int
    lsn: Lsn
    """Up to where WAL is on disk."""
    identity: Identity
    prepared: int
    """Prepared transactions, which anybody may commit at any time."""
    movers: tuple[dict[str, Any], ...]
    """Sessions of others that wrote, or may still because they, or their transactions, are
    older than the fence: pid, user, application, address, type, writing."""


class SourceSide:
    """One open session on the source for the whole switchover, and fresh ones on demand."""

    def __init__(self, task: Task, account: Conninfo, deadline: Deadline) -> None:
        self.task = task
        self.account = account
        self.deadline = deadline
        self.reload_closes = True
        """Whether the fence reaches sessions that are open: then a session older than it may
        stay, though not a transaction."""
        self.terminates = True
        """Whether we end sessions, or wait until they have ended."""
        self.spared: tuple[str, ...] = SERVICE_ROLES
        """Roles whose sessions are not ended; their transactions must end by themselves."""
        self.ended: set[int] = set()
        """Process ids of the sessions that were ended."""
        self._fenced: datetime | None = None
        self.ours = our_users(task)
        self.control = deadline.watch(self.fresh())
        mark(self.control, task)
        # Our own commits must not wait for the standby that they help to make synchronous.
        self.control.execute("SET synchronous_commit = local")

    def fresh(self) -> Connection:
        """A new session of ours, whose application name keeps it from being ended."""
        return self.account.connect(application_name="landbridge switchover")

    def close(self) -> None:
        self.control.close()

    def note_fenced(self, conn: Connection) -> datetime:
        """Take `conn`, which cannot write, as the first session that cannot.

        Returns its begin: no session (no transaction, if we end none) begun later can.
        """
        (self._fenced,) = _row(
            conn, sql.SQL("SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        )
        assert self._fenced is not None
        return self._fenced

    def ask(self, template: LiteralString, **parts: sql.Composable) -> tuple[Any, ...]:
        """The one row of a question about the sessions that are not ours.

        The template may use {sessions}, {next_xid}, %(fenced)s, %(ours)s and %(services)s.
        """
        return _row(self.control, self._query(template, **parts), self._values())

    def stillness(self) -> Stillness:
        """Where the source stands, and who may still move."""
        since = sql.Identifier("xact_start" if self.reload_closes else "backend_start")
        xid, lsn, identity, prepared, movers = self.ask(_STILLNESS, since=since, identity=IDENTITY)
        return Stillness(
            next_xid=int(xid),
            lsn=Lsn.parse(lsn),
            identity=Identity.parse(identity),
            prepared=prepared,
            movers=tuple(movers),
        )

    def others(self) -> list[dict[str, Any]]:
        """All client sessions that are not ours; the services' too."""
        query: LiteralString = (
            "SELECT coalesce(json_agg(s), '[]') FROM ({sessions}) s WHERE type = 'client backend'"
        )
        return list(self.ask(query)[0])

    def terminate(self) -> None:
        """End all client sessions older than the fence, and whatever else writes, if we may.

        Spared are ours, those of `spared`, and walsenders, so that the stream to the
        destination is never interrupted.
        """
        if self.terminates:
            values = self._values() | {"superuser": is_superuser(self.control)}
            ended = self.control.execute(self._query(_TERMINATE), values)
            self.ended |= {pid for pid, _ in ended}

    def _query(self, template: LiteralString, **parts: sql.Composable) -> sql.Composed:
        next_xid = next_xid_sql(server_major(self.control))
        sessions = sql.SQL(_SESSIONS)
        return sql.SQL(template).format(next_xid=next_xid, sessions=sessions, **parts)

    def _values(self) -> dict[str, Any]:
        return {"ours": self.ours, "services": list(self.spared), "fenced": self._fenced}

    def settle(self) -> Stillness:
        """Have everything acknowledged so far on disk; where that leaves the source.

        Commits of clients with synchronous_commit=off reach the disk up to 0.6 s later by
        themselves; the commit of a message of ours takes them along at once.
        """
        try:
            self.control.execute(SETTLE)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
            self.wait_flushed()
        return self.stillness()

    def wait_flushed(self) -> None:
        """Wait for all that is inserted, but not beyond the time that commits take by themselves.

        Within three times wal_writer_delay (PostgreSQL documentation, "Asynchronous Commit");
        what is no commit may stay unwritten on an idle server.
        """
        query = "SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"
        row = self.control.execute(
            "SELECT pg_current_wal_insert_lsn()::text, 3 * setting::float / 1000"
            " FROM pg_settings WHERE name = 'wal_writer_delay'"
        ).fetchone()
        assert row is not None
        wait_until(lambda: self.control.execute(query, row[:1]).fetchone() == (True,), row[1])


class Patience:
    """Bounds how long a fenced source may go on moving before the attempt is given up."""

    def __init__(self, source: SourceSide) -> None:
        self._source = source
        self._end = time.monotonic() + PATIENCE

    def spend(self) -> None:
        """Wait a moment; raise SwitchoverUndone (switchover.still_writing) when none is left."""
        if time.monotonic() > self._end:
            raise SwitchoverUndone(
                f"the source did not stand still within {PATIENCE:.0f} s after it was fenced,"
                f" because of {who(self._source.stillness().movers)}",
                id="switchover.still_writing",
                remedy="Stop these clients, or take the fence `lockout`, which no client"
                " can override.",
            )
        time.sleep(0.0005)


def who(sessions: Iterable[dict[str, Any]]) -> str:
    """Sessions in a few words, for a message: their roles and application names."""
    names = {f"{s['user'] or s['type']} ({s['application'] or 'unnamed'})" for s in sessions}
    return ", ".join(sorted(names)) or "sessions that have ended since"


def our_users(task: Task) -> list[str]:
    """The roles that act for us on the source: migration, fence and verification account."""
    given = [r for r in ("source", "fence_as", "verify_as") if getattr(task.request, r)]
    return sorted({task.conninfo(role).user for role in given})


def _row(
    conn: Connection, query: sql.SQL | sql.Composed, values: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    row = conn.execute(query, values).fetchone()
    assert row is not None
    return tuple(row)
