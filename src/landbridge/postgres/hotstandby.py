"""The settings in which a standby may not fall behind its source."""

from __future__ import annotations

import psycopg

#: A standby whose value is lower than its source's does not start, or pauses its replay
#: (PostgreSQL documentation, "Hot Standby", administrator's overview).
HOT_STANDBY = (
    "max_connections",
    "max_prepared_transactions",
    "max_worker_processes",
    "max_wal_senders",
    "max_locks_per_transaction",
)


def hot_standby_parameters(conn: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    """The five parameters that a standby must not have lower."""
    rows = conn.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(HOT_STANDBY)]
    ).fetchall()
    return {str(name): int(str(value)) for name, value in rows}
