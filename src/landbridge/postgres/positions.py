"""Where a server stands: WAL positions, the next transaction id, its identity.

Every function asks one question over an open connection, needs no more than
pg_monitor and works on majors 10-18. A query that fails raises psycopg.Error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString, Self

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from .lsn import Lsn

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Identity:
    """What tells one cluster, and one history of it, from another."""

    system_identifier: str
    timeline: int
    """The timeline being written (primary) or received (standby)."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the answer to `IDENTITY`."""
        system, timeline = text.split()
        return cls(system, int(timeline))


#: What `identity` asks, for larger questions.
IDENTITY = sql.SQL("""
    (SELECT system_identifier || ' ' || CASE WHEN pg_is_in_recovery()
        THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                      (SELECT timeline_id FROM pg_control_checkpoint()))
        ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END
     FROM pg_control_system())
""")


def server_major(conn: Connection) -> int:
    """Major version of the server, e.g. 15."""
    return conn.info.server_version // 10000


def in_recovery(conn: Connection) -> bool:
    """Whether the server is a standby, which accepts no writes."""
    return bool(_one(conn, "SELECT pg_is_in_recovery()"))


def flush_lsn(conn: Connection) -> Lsn:
    """On a primary: up to where WAL is on disk; no standby can receive more than this."""
    return Lsn.parse(_one(conn, "SELECT pg_current_wal_flush_lsn()::text"))


def receive_lsn(conn: Connection) -> Lsn | None:
    """On a standby: up to where WAL has been received; None before streaming began."""
    return _lsn(_one(conn, "SELECT pg_last_wal_receive_lsn()::text"))


def replay_lsn(conn: Connection) -> Lsn | None:
    """On a standby: the end of the last record replayed; None before the first."""
    return _lsn(_one(conn, "SELECT pg_last_wal_replay_lsn()::text"))


def next_xid(conn: Connection) -> int:
    """One past the highest finished transaction id, with its epoch (64 bits).

    It grows with every transaction that wrote, committed or not, as soon as that
    has ended; one still open shows as `backend_xid` in pg_stat_activity instead.
    """
    return int(_one(conn, sql.SQL("SELECT {}").format(next_xid_sql(server_major(conn)))))


def next_xid_sql(major: int) -> sql.SQL:
    """What `next_xid` asks, for larger questions; the answer is text."""
    if major >= 13:
        return sql.SQL("pg_snapshot_xmax(pg_current_snapshot())::text")
    return sql.SQL("txid_snapshot_xmax(txid_current_snapshot())::text")


def identity(conn: Connection) -> Identity:
    """System identifier and timeline.

    A primary's timeline is read from the name of the segment it writes, because its
    control file keeps the old one until the first checkpoint after a promotion.
    """
    return Identity.parse(_one(conn, sql.SQL("SELECT {}").format(IDENTITY)))


def _one(conn: Connection, query: LiteralString | sql.Composed) -> Any:
    row = conn.cursor(row_factory=tuple_row).execute(query).fetchone()
    assert row is not None
    return row[0]


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)
