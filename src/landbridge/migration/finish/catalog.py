"""What came over in the catalogs and must not act on the destination as it did on the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from ...postgres.cluster import Cluster

Connection = psycopg.Connection[Any]

#: Values a role or a database may carry must not bind the work on the destination.
_UNBOUND = {
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


@contextmanager
def session(cluster: Cluster, dbname: str = "postgres") -> Iterator[Connection]:
    """A superuser's session on the destination that no setting of a role or database binds."""
    conn = cluster.connect_warily(dbname, **_UNBOUND)
    try:
        yield conn
    finally:
        conn.close()


def databases(conn: Connection) -> list[str]:
    """Names of the databases that can be connected to (-2: DROP DATABASE was interrupted)."""
    rows = conn.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1"
    )
    return [name for (name,) in rows]


def disable_subscriptions(cluster: Cluster, dbname: str) -> list[dict[str, str]]:
    """Disable every enabled subscription: database and name of each that is disabled now.

    They are copies of the source's, which may still apply. The workers have been kept
    from starting (max_logical_replication_workers = 0), so none has applied anything here.
    """
    with session(cluster, dbname) as conn:
        rows = conn.execute(
            "SELECT d.datname::text, s.subname::text, s.subenabled FROM pg_subscription s"
            " JOIN pg_database d ON d.oid = s.subdbid ORDER BY 1, 2"
        ).fetchall()
    for database, name, enabled in rows:
        if enabled:
            with session(cluster, database) as conn:
                conn.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(name)))
    return [{"database": database, "subscription": name} for database, name, _ in rows]


def reset_override(role: str | None, database: str | None) -> sql.Composed:
    """The statement that takes back one read-only default."""
    reset = sql.SQL("RESET default_transaction_read_only")
    if role is None and database is not None:
        return sql.SQL("ALTER DATABASE {} {}").format(sql.Identifier(database), reset)
    who = sql.SQL("ALL") if role is None else sql.Identifier(role)
    where = sql.SQL("IN DATABASE {} ").format(sql.Identifier(database)) if database else sql.SQL("")
    return sql.SQL("ALTER ROLE {} {}{}").format(who, where, reset)


def allow_login(role: str) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(role))
