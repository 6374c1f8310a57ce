"""The two servers of a comparison, and one moment of one database on either.

Both sides read with the same session settings, so that equal values have equal text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from ...errors import LandbridgeError
from ...postgres.lsn import Lsn
from ..task import Task

Connection = psycopg.Connection[Any]

#: What a value's text form depends on, and the time limits that would end a long reading.
#: Settings that a major does not know are passed over.
SETTINGS = {
    "search_path": "pg_catalog",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "client_encoding": "UTF8",
    # A policy must not hide rows: the query fails instead.
    "row_security": "off",
    "jit": "off",
    "statement_timeout": "0",
    # A standby that is stopped keeps the locks of the transactions open at its position.
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}

#: The accounts that may read the source, the most suitable first.
_READERS = ("verify_as", "fence_as", "source")


@dataclass(frozen=True)
class Side:
    """One server: how to open a connection to a database of it."""

    name: str
    """source or destination"""
    open: Callable[[str], Connection]

    def connect(self, dbname: str) -> Connection:
        """An autocommit connection with the settings of a comparison."""
        with closed_on_error(self.open(dbname)) as conn:
            conn.execute(
                "SELECT set_config(s.name, %(values)s::jsonb ->> s.name, false) FROM pg_settings s"
                " WHERE %(values)s::jsonb ? s.name",
                {"values": Jsonb(SETTINGS)},
            )
            return conn

    @contextlib.contextmanager
    def session(self, dbname: str) -> Iterator[Connection]:
        """`connect`, closed at the end."""
        with contextlib.closing(self.connect(dbname)) as conn:
            yield conn


def sides(task: Task) -> tuple[Side, Side]:
    """Source and destination of a task.

    The source is read as `verify_as`, else `fence_as`, else the migration account.
    Raises LandbridgeError (credentials.missing) when none is left.
    """
    request = task.request
    role = next(r for r in _READERS if getattr(request, r) is not None)
    conninfo = task.conninfo(role)
    if not task.passfile(role).exists():
        raise LandbridgeError(
            f"the password of {conninfo} is no longer kept",
            id="credentials.missing",
            remedy="Secrets are removed at the end of a migration; name the account again.",
        )
    return Side("source", lambda dbname: conninfo.connect(dbname=dbname)), destination_side(task)


def destination_side(task: Task) -> Side:
    """The destination, as its superuser over the private socket."""
    return Side("destination", task.cluster().connect_warily)


@contextlib.contextmanager
def closed_on_error(conn: Connection) -> Iterator[Connection]:
    """Close a connection that could not be prepared for its use."""
    try:
        yield conn
    except BaseException:
        conn.close()
        raise


class Held:
    """One database of one server at one moment, readable by many connections.

    Holds a transaction with an exported snapshot open until it is closed, which keeps
    vacuum on that server from removing what the snapshot sees.
    """

    snapshot: str
    """xmin:xmax:xip, 64-bit transaction ids"""
    lsn: Lsn
    """Flushed (primary) or replayed (standby) just after the snapshot was taken."""
    written: Lsn
    """On a primary: the end of what had been written to memory after the snapshot."""
    exported: str
    committed: frozenset[int]
    """Recent ids that the snapshot sees as committed."""

    def __init__(self, side: Side, dbname: str) -> None:
        self.side = side
        self.dbname = dbname
        self.conn = side.connect(dbname)

    def take(self) -> Self:
        """Hold what is now the present, and no longer what was held before."""
        self.conn.execute("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = self.conn.execute(_MOMENT).fetchone()
        assert row is not None
        self.snapshot, lsn, written, self.exported, committed = row
        self.lsn, self.written = Lsn.parse(lsn), Lsn.parse(written)
        self.committed = frozenset(committed)
        return self

    def join(self) -> Connection:
        """A new connection that sees exactly this moment."""
        with closed_on_error(self.side.connect(self.dbname)) as conn:
            conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            conn.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(self.exported))
            return conn

    def close(self) -> None:
        self.conn.close()


#: How far below the next transaction id `Held.committed` looks.
RECENT = 20_000

# The inner query runs once and first: snapshot, position, export, in this order. The
# statuses are read right after it, when a subtransaction of an open transaction still
# shows as in progress; later it could have been committed.
_MOMENT = sql.SQL(
    """
SELECT m.snapshot::text, m.lsn::text, m.written::text, m.exported, ARRAY(
    SELECT x FROM generate_series(
        greatest(txid_snapshot_xmin(m.snapshot), txid_snapshot_xmax(m.snapshot) - {recent}),
        txid_snapshot_xmax(m.snapshot) - 1) x
    WHERE txid_visible_in_snapshot(x, m.snapshot) AND txid_status(x) = 'committed')
FROM (SELECT txid_current_snapshot() AS snapshot,
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                  ELSE pg_current_wal_flush_lsn() END AS lsn,
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                  ELSE pg_current_wal_insert_lsn() END AS written,
             pg_export_snapshot() AS exported OFFSET 0) m
"""
).format(recent=RECENT)
