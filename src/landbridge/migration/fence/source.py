"""The source's side of a switchover: our session there, other sessions, its stillness.

A source is still when nobody has a transaction open that wrote and the next
transaction id has stopped growing. The id is the cheap detector of everything that
slips past a fence: clients that override it, apply workers, COMMIT PREPARED.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ...errors import SwitchoverUndone
from ...postgres.conninfo import Conninfo
from ...postgres.lsn import Lsn
from ...postgres.positions import Connection, flush_lsn, server_major
from ..task import Task
from .attempt import Deadline
from .settings import is_superuser

#: Roles whose sessions are never ended, as in the vendor's own termination statement.
SERVICE_ROLES = ("replicator", "monitor", "pgsql", "aurora")
#: Seconds a source may take, once fenced, until nobody writes to it any more.
PATIENCE = 3.0

_SESSIONS = """
SELECT pid, usename AS "user", application_name AS application, client_addr::text AS address,
       backend_type AS type, backend_xid IS NOT NULL AS writing, backend_start AS started
FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
  AND (backend_type = 'client backend' OR backend_xid IS NOT NULL)
  AND NOT (coalesce(usename, '') = ANY(%(ours)s) AND application_name LIKE 'landbridge%%')
"""

_STILLNESS = """
SELECT {next_xid}::text, (SELECT count(*) FROM pg_prepared_xacts),
       (SELECT coalesce(json_agg(s), '[]') FROM ({sessions}) s WHERE writing)
"""

_TERMINATE = """
SELECT count(pg_terminate_backend(s.pid)) FROM ({sessions}) s
LEFT JOIN pg_roles r ON r.rolname = s."user"
WHERE NOT coalesce(s."user", '') = ANY(%(services)s)
  AND (%(superuser)s OR r.rolsuper IS FALSE)
"""


@dataclass(frozen=True)
class Stillness:
    """What still moves on the source."""

    next_xid: int
    prepared: int
    """Prepared transactions, which anybody may commit at any time."""
    writers: tuple[dict[str, Any], ...]
    """Sessions of others with a transaction that wrote: pid, user, application, address, type."""

    def who(self) -> str:
        """The writers in a few words, for a message."""
        names = {
            f"{w['user'] or w['type']} ({w['application'] or 'unnamed'})" for w in self.writers
        }
        return ", ".join(sorted(names)) or "sessions that ended meanwhile"


@dataclass(frozen=True)
class FencePoint:
    """Where the source stood still: everything acknowledged lies before `lsn`."""

    lsn: Lsn
    next_xid: int


class SourceSide:
    """One open session on the source for the whole switchover, and fresh ones on demand."""

    def __init__(self, task: Task, account: Conninfo, deadline: Deadline) -> None:
        self.task = task
        self.account = account
        self.deadline = deadline
        self.ours = sorted({account.user, task.conninfo().user})
        self.control = deadline.watch(self.fresh())
        # Our own commits must not wait for the standby that they help to make synchronous.
        self.control.execute("SET synchronous_commit = local")

    def fresh(self) -> Connection:
        """A new session of ours, whose application name keeps it from being ended."""
        return self.account.connect(application_name="landbridge switchover")

    def close(self) -> None:
        self.control.close()

    def stillness(self) -> Stillness:
        """Next transaction id, prepared transactions and writers, in one question."""
        next_xid = (
            "pg_snapshot_xmax(pg_current_snapshot())"
            if server_major(self.control) >= 13
            else "txid_snapshot_xmax(txid_current_snapshot())"
        )
        query = sql.SQL(_STILLNESS).format(next_xid=sql.SQL(next_xid), sessions=sql.SQL(_SESSIONS))
        row = self.control.execute(query, {"ours": self.ours}).fetchone()
        assert row is not None
        return Stillness(int(row[0]), row[1], tuple(row[2]))

    def terminate(self) -> int:
        """End all client sessions, and whatever else writes, but ours and the services'.

        Walsenders go on, so the stream to the destination is never interrupted.
        Returns how many sessions were ended.
        """
        query = sql.SQL(_TERMINATE).format(sessions=sql.SQL(_SESSIONS))
        row = self.control.execute(
            query,
            {
                "ours": self.ours,
                "services": list(SERVICE_ROLES),
                "superuser": is_superuser(self.control),
            },
        ).fetchone()
        assert row is not None
        return int(row[0])

    def settle(self) -> FencePoint:
        """Write out everything acknowledged so far, and note where that ends.

        Commits of clients with synchronous_commit=off reach the disk up to 0.6 s later by
        themselves; the commit of a message of ours takes them along at once.
        """
        try:
            self.control.execute("SELECT pg_logical_emit_message(true, 'landbridge', 'fence')")
        except psycopg.errors.InsufficientPrivilege:
            self._wait_flushed()
        return FencePoint(flush_lsn(self.control), self.stillness().next_xid)

    def _wait_flushed(self) -> None:
        query = "SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"
        inserted = self.control.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        while self.control.execute(query, inserted).fetchone() != (True,):
            self.deadline.check()
            time.sleep(0.001)


class Patience:
    """Bounds how long a fenced source may go on moving before the attempt is given up."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._end = time.monotonic() + seconds

    def spend(self, still: Stillness) -> None:
        """Raise SwitchoverUndone (switchover.still_writing) when none is left."""
        if time.monotonic() > self._end:
            raise SwitchoverUndone(
                f"the source was still written to {PATIENCE:.0f} s after it was fenced,"
                f" by {still.who()}",
                id="switchover.still_writing",
                remedy="Stop these clients, or take the fence `lockout`, which no client"
                " can override.",
                retryable=False,
            )
