"""What goes on at a server: sessions, replication, prepared transactions, archiving, WAL."""

from __future__ import annotations

import time
from dataclasses import dataclass

from psycopg import sql

from .. import transactions
from .ask import Asker


@dataclass(frozen=True)
class Session:
    """A session that has kept a transaction open; no query text is ever read."""

    pid: int
    user: str | None
    database: str | None
    application: str
    state: str
    transaction_seconds: float
    idle_seconds: float
    writes: bool
    """Whether it has a transaction id, i.e. has written something."""


@dataclass(frozen=True)
class PreparedTransaction:
    """A transaction prepared for two-phase commit."""

    gid: str
    owner: str
    database: str
    age_seconds: float


@dataclass(frozen=True)
class Slot:
    """A replication slot; `retained` is the WAL in bytes it holds back."""

    name: str
    kind: str
    database: str | None
    active: bool
    retained: int | None
    status: str | None = None
    """wal_status, from 13 on."""


@dataclass(frozen=True)
class Standby:
    """A connected walsender: a standby, a subscriber, a backup."""

    user: str | None
    application: str
    address: str | None
    state: str
    sync_state: str


@dataclass(frozen=True)
class Subscription:
    """A logical subscription of this cluster; `enabled` is unknown (None) before 14."""

    name: str
    database: str | None
    enabled: bool | None
    running: bool


@dataclass(frozen=True)
class Archiver:
    """pg_stat_archiver; `failing` if the last attempt failed."""

    archived: int
    failed: int
    failing: bool
    last_failed: str | None


@dataclass(frozen=True)
class WalRate:
    """WAL written between two looks at the insert position."""

    bytes: int
    seconds: float
    directory: int | None = None
    """Bytes in pg_wal now."""

    @property
    def per_second(self) -> float:
        return self.bytes / self.seconds if self.seconds else 0.0


def read_sessions(ask: Asker) -> tuple[Session, ...] | None:
    """Client sessions in a transaction, longest first."""
    return ask.many(
        "sessions",
        Session,
        sql.SQL(
            'SELECT pid, "user", database, application, state, age_seconds AS transaction_seconds,'
            " idle_seconds, writes FROM ({}) t ORDER BY age_seconds DESC"
        ).format(transactions.OPEN),
    )


def read_prepared(ask: Asker) -> tuple[PreparedTransaction, ...] | None:
    return ask.many(
        "prepared",
        PreparedTransaction,
        sql.SQL("SELECT * FROM ({}) t ORDER BY age_seconds DESC").format(transactions.PREPARED),
    )


def read_slots(ask: Asker) -> tuple[Slot, ...] | None:
    status = sql.SQL("wal_status" if ask.major >= 13 else "NULL::text")
    return ask.many(
        "slots",
        Slot,
        sql.SQL(
            "SELECT slot_name::text AS name, slot_type AS kind, database::text, active,"
            " (CASE WHEN pg_is_in_recovery() THEN NULL ELSE"
            " pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END)::bigint AS retained,"
            " {status} AS status FROM pg_replication_slots WHERE NOT temporary ORDER BY 1"
        ).format(status=status),
    )


def read_standbys(ask: Asker) -> tuple[Standby, ...] | None:
    return ask.many(
        "standbys",
        Standby,
        "SELECT usename::text AS user, application_name AS application,"
        " client_addr::text AS address, coalesce(state, '') AS state,"
        " coalesce(sync_state, '') AS sync_state FROM pg_stat_replication ORDER BY 2, 3",
    )


def read_subscriptions(ask: Asker) -> tuple[Subscription, ...] | None:
    """14+: the catalog without its connection strings; before, only the statistics view."""
    if ask.major >= 14:
        return ask.many(
            "subscriptions",
            Subscription,
            "SELECT subname::text AS name, datname::text AS database, subenabled AS enabled,"
            " EXISTS (SELECT 1 FROM pg_stat_subscription a WHERE a.subid = s.oid"
            " AND a.pid IS NOT NULL) AS running"
            " FROM pg_subscription s LEFT JOIN pg_database d ON d.oid = subdbid ORDER BY 1",
        )
    return ask.many(
        "subscriptions",
        Subscription,
        "SELECT subname::text AS name, NULL::text AS database, NULL::bool AS enabled,"
        " bool_or(pid IS NOT NULL) AS running FROM pg_stat_subscription GROUP BY 1 ORDER BY 1",
    )


def read_archiver(ask: Asker) -> Archiver | None:
    found = ask.many(
        "archiver",
        Archiver,
        "SELECT archived_count AS archived, failed_count AS failed,"
        " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
        " AS failing, last_failed_wal AS last_failed FROM pg_stat_archiver",
    )
    return found[0] if found else None


class WalSample:
    """The WAL position now; `rate` compares it with a later one."""

    def __init__(self, ask: Asker) -> None:
        self._position = _wal_position(ask)
        self._begin = time.monotonic()

    def rate(self, ask: Asker, at_least: float) -> WalRate | None:
        """The rate since, sampled over `at_least` seconds."""
        time.sleep(max(0.0, at_least - (time.monotonic() - self._begin)))
        now = _wal_position(ask)
        if now is None or self._position is None:
            return None
        seconds = time.monotonic() - self._begin
        files = ask.row("wal.directory", "SELECT sum(size)::bigint AS size FROM pg_ls_waldir()")
        return WalRate(max(0, now - self._position), seconds, files.size if files else None)


def _wal_position(ask: Asker) -> int | None:
    row = ask.row(
        "wal.position",
        "SELECT (CASE WHEN pg_is_in_recovery()"
        " THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')"
        " ELSE pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') END)::bigint AS position",
    )
    return int(row.position) if row and row.position is not None else None
