"""What the source says about our slot, our stream and what stands in a switchover's way.

One connection as the migration account, in autocommit: it never holds a transaction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from ...errors import ServerUnreachable
from ...postgres import transactions
from ...postgres.bounded import bounded, interrupt
from ...postgres.conninfo import Conninfo
from ...postgres.lsn import Lsn

#: Seconds after which a transaction is worth showing; one that writes, much earlier.
LONG, LONG_WRITING = 60, 5
#: Seconds between two looks at sessions and transactions.
_TRANSACTIONS_EVERY = 2.0
_CONNECT_TIMEOUT = 3
#: Seconds a look may take.
_ANSWER_WITHIN = 5.0

_POSITIONS = """
SELECT CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn() END::text,
       s.slot_name IS NOT NULL, s.restart_lsn::text, s.active_pid, {retention}, r.state
  FROM (SELECT) AS one
  LEFT JOIN pg_replication_slots s ON s.slot_name = %(slot)s
  LEFT JOIN pg_stat_replication r ON r.application_name = %(slot)s
 ORDER BY r.pid = s.active_pid DESC NULLS LAST LIMIT 1
"""
_RETENTION = {False: "NULL, NULL::bigint", True: "s.wal_status, s.safe_wal_size"}

_LONG = sql.SQL("""
SELECT pid, "user", database, application, age_seconds, state, started, query_start, writes
  FROM ({}) t WHERE age_seconds > CASE WHEN writes THEN %(writing)s ELSE %(long)s END
 ORDER BY age_seconds DESC LIMIT 50
""").format(transactions.OPEN)
_PREPARED = sql.SQL(
    "SELECT gid, database, age_seconds FROM ({}) t ORDER BY age_seconds DESC LIMIT 50"
).format(transactions.PREPARED)


@dataclass(frozen=True)
class SlotView:
    """Our slot as the source shows it."""

    restart_lsn: Lsn | None
    active_pid: int | None
    wal_status: str | None
    """reserved, extended, unreserved or lost; None before 13."""
    safe_bytes: int | None
    """WAL that may still be written before the source breaks the slot; None: no limit."""


@dataclass(frozen=True)
class SourceView:
    """The source at `moment` (seconds of the monotonic clock)."""

    moment: float
    lsn: Lsn
    slot: SlotView | None
    stream: str | None
    """State of our stream: startup, catchup, streaming; None without one."""
    long_transactions: list[dict[str, Any]] = field(default_factory=list)
    prepared_transactions: list[dict[str, Any]] = field(default_factory=list)
    sessions: int = 0

    @property
    def kept(self) -> int | None:
        """Bytes of WAL that the slot keeps; None while it keeps none."""
        if self.slot is None or self.slot.restart_lsn is None:
            return None
        return max(0, self.lsn - self.slot.restart_lsn)


class SourceWatch:
    """Asks the source, and connects again when that fails."""

    def __init__(
        self, source: Conninfo, slot: str, system_identifier: str, *, sessions: bool = True
    ) -> None:
        """Without `sessions` neither they nor transactions are looked at."""
        self._source = source.with_(connect_timeout=_CONNECT_TIMEOUT)
        self._slot = slot
        self._system_identifier = system_identifier
        self._sessions = sessions
        self._conn: psycopg.Connection[Any] | None = None
        self._transactions: dict[str, Any] = {}
        self._transactions_at = float("-inf")

    def read(self) -> SourceView:
        """One look at the source.

        Raises ServerUnreachable if it does not answer within 5 s (8 s with a new connection),
        or if another cluster does (follow.other_cluster).
        """
        try:
            conn = self.connection()
            with bounded(conn, _ANSWER_WITHIN):
                return self._view(conn)
        except psycopg.Error as error:
            self.close()
            raise ServerUnreachable(
                f"the source {self._source} does not answer: {' '.join(str(error).split())}"
            ) from None

    def connection(self) -> psycopg.Connection[Any]:
        """The open connection, made anew if it is gone."""
        if self._conn is None or self._conn.closed:
            conn = self._source.connect()
            row = conn.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
            if row is None or row[0] != self._system_identifier:
                conn.close()
                raise ServerUnreachable(
                    f"{self._source} is another cluster than the one that was copied",
                    id="follow.other_cluster",
                )
            self._conn = conn
        return self._conn

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def interrupt(self) -> None:
        """Make a read() that hangs, in whichever thread, fail at once."""
        if (conn := self._conn) is not None:
            interrupt(conn)

    def _view(self, conn: psycopg.Connection[Any]) -> SourceView:
        retention = _RETENTION[conn.info.server_version >= 130000]
        row = conn.execute(
            _POSITIONS.replace("{retention}", retention).encode(), {"slot": self._slot}
        ).fetchone()
        assert row is not None
        moment = time.monotonic()
        lsn, has_slot, restart, pid, status, safe, stream = row
        slot = SlotView(Lsn.parse(restart) if restart else None, pid, status, safe)
        if self._sessions and moment - self._transactions_at >= _TRANSACTIONS_EVERY:
            self._transactions = _transactions(conn)
            self._transactions_at = moment
        return SourceView(
            moment, Lsn.parse(lsn), slot if has_slot else None, stream, **self._transactions
        )


def _transactions(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        limits = {"long": LONG, "writing": LONG_WRITING}
        long = cursor.execute(_LONG, limits).fetchall()
        prepared = cursor.execute(_PREPARED).fetchall()
    (sessions,) = conn.execute(transactions.SESSIONS).fetchone() or (0,)
    return {"long_transactions": long, "prepared_transactions": prepared, "sessions": sessions}
