"""Collations whose order may differ between the source's host and this one.

An index keeps its entries in the order of the library that built it. PostgreSQL records
that library's version and only warns when it changes; searches in such an index may miss
rows. Recorded are (PostgreSQL documentation, "Collation versions"): ICU collations from
10 on, libc's from 13, a database's default from 15. Before 15 the default's version is
that of the libc collation of the same name; before 13 it is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql

from ...postgres.cluster import Cluster
from .catalog import Connection, databases, session

#: Oid of the collation named "default": the database's own.
_DEFAULT = 100

_DATABASES = """
SELECT datname::text, datcollversion, pg_database_collation_actual_version(oid)
  FROM pg_database
 WHERE datcollversion <> coalesce(pg_database_collation_actual_version(oid), '')
 ORDER BY 1
"""
_DEFAULT_BEFORE_15 = """
SELECT c.collversion, pg_collation_actual_version(c.oid)
  FROM pg_database d
  JOIN pg_collation c ON c.collprovider = 'c' AND c.collcollate::text = d.datcollate::text
 WHERE d.datname = current_database()
   AND c.collversion <> coalesce(pg_collation_actual_version(c.oid), '') LIMIT 1
"""
_COLLATIONS = """
SELECT c.oid::int, n.nspname::text, c.collname::text, c.collversion,
       pg_collation_actual_version(c.oid)
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE c.collversion <> coalesce(pg_collation_actual_version(c.oid), '')
   AND c.oid IN (SELECT attcollation FROM pg_attribute UNION SELECT typcollation FROM pg_type
                 UNION SELECT rngcollation FROM pg_range)
 ORDER BY 2, 3
"""
# pattern_ops compare bytes and hashes of deterministic collations do not depend on order.
_INDEXES = """
SELECT n.nspname::text, c.relname::text, i.indrelid::regclass::text, i.indisunique,
       i.indisexclusion OR n.nspname IN ('pg_catalog', 'pg_toast')
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' AND c.relpersistence <> 't'
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am am ON am.oid = c.relam AND am.amname <> 'hash'
 WHERE EXISTS (
    SELECT FROM unnest(i.indcollation::oid[], i.indclass::oid[]) WITH ORDINALITY k(coll, class, n)
      JOIN pg_opclass o ON o.oid = k.class
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n
      LEFT JOIN pg_range r ON r.rngtypid = a.atttypid
     WHERE (k.coll = ANY(%(changed)s) AND o.opcname NOT LIKE '%%pattern_ops')
        OR r.rngcollation = ANY(%(changed)s))
 ORDER BY 1, 2
"""
_PARTITIONED = """
SELECT p.partrelid::regclass::text FROM pg_partitioned_table p
 WHERE p.partstrat = 'r' AND p.partcollation::oid[] && %(changed)s::oid[] ORDER BY 1
"""
# What REINDEX CONCURRENTLY leaves when it is interrupted (its documentation says to drop it).
_UNFINISHED = """
SELECT n.nspname::text, c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relname ~ '_ccnew[0-9]*$'
"""


@dataclass(frozen=True)
class Index:
    """An index whose entries may be out of order."""

    database: str
    name: str
    """With its schema, quoted where SQL needs it."""
    table: str
    unique: bool
    statement: str
    """What rebuilds it."""
    error: str | None = None
    """Why it could not be rebuilt."""


@dataclass
class CollationReport:
    """What differs, what depends on it, and what to run."""

    changed: list[dict[str, Any]] = field(default_factory=list)
    """database, collation (None: the database's default), recorded, actual version."""
    indexes: list[Index] = field(default_factory=list)
    partitioned: list[dict[str, str]] = field(default_factory=list)
    """database, table: its rows may belong into other partitions; no index repairs that."""
    statements: list[dict[str, str]] = field(default_factory=list)
    """database, sql: what remains to be run, in this order."""
    rebuilt: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_collations(
    cluster: Cluster, dbname: str, *, rebuild: bool, progress: Callable[[str], None]
) -> CollationReport:
    """Compare versions in every database; with `rebuild` reindex and record the new ones.

    An index that cannot be rebuilt (duplicates that the old order hid) is reported with the
    server's words, and its database keeps the old versions. Running it again repeats only
    what is not done: versions are recorded after the last index of a database.
    """
    report = CollationReport(rebuilt=rebuild)
    with session(cluster, dbname) as conn:
        names = databases(conn)
        outdated = _databases(conn) if cluster.distribution.major >= 15 else {}
    for name in names:
        with session(cluster, name) as conn:
            _check_database(conn, name, outdated.pop(name, None), report, rebuild, progress)
    for name, versions in outdated.items():
        # template0: nothing of a user's is in it, so only its version is recorded.
        report.changed.append(_changed(name, None, versions))
        with session(cluster, dbname) as conn:
            _refresh(conn, name, [_refresh_database(name)], report, rebuild)
    return report


def _check_database(
    conn: Connection,
    name: str,
    default: tuple[str, str | None] | None,
    report: CollationReport,
    rebuild: bool,
    progress: Callable[[str], None],
) -> None:
    statements = [_refresh_database(name)] if default else []
    if default is None and conn.info.server_version < 150000:
        row = conn.execute(_DEFAULT_BEFORE_15.encode()).fetchone()
        default = (row[0], row[1]) if row else None
    changed = [_DEFAULT] if default else []
    if default:
        report.changed.append(_changed(name, None, default))
    for oid, schema, collation, *versions in conn.execute(_COLLATIONS.encode()).fetchall():
        changed.append(oid)
        found = sql.Identifier(schema, collation)
        report.changed.append(_changed(name, found.as_string(conn), versions))
        statements.append(sql.SQL("ALTER COLLATION {} REFRESH VERSION").format(found))
    if not changed:
        return
    rows = conn.execute(_PARTITIONED.encode(), {"changed": changed}).fetchall()
    report.partitioned += [{"database": name, "table": table} for (table,) in rows]
    indexes = _indexes(conn, name, changed)
    if rebuild:
        for leftover in conn.execute(_UNFINISHED.encode()).fetchall():
            conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(*leftover)))
        indexes = [_rebuild(conn, index, progress) for index in indexes]
    report.indexes += indexes
    left = [i.statement for i in indexes if i.error or not rebuild]
    report.statements += [{"database": name, "sql": statement} for statement in left]
    _refresh(conn, name, statements, report, rebuild and not left)


def _refresh(
    conn: Connection,
    name: str,
    statements: list[sql.Composed],
    report: CollationReport,
    run: bool,
) -> None:
    for statement in statements:
        if run:
            conn.execute(statement)
        else:
            report.statements.append({"database": name, "sql": statement.as_string(conn)})


def _databases(conn: Connection) -> dict[str, tuple[str, str | None]]:
    return {name: (old, new) for name, old, new in conn.execute(_DATABASES.encode())}


def _refresh_database(name: str) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} REFRESH COLLATION VERSION").format(sql.Identifier(name))


def _changed(database: str, collation: str | None, versions: Any) -> dict[str, Any]:
    recorded, actual = versions
    return {
        "database": database, "collation": collation, "recorded": recorded, "actual": actual
    }  # fmt: skip


def _indexes(conn: Connection, database: str, changed: list[int]) -> list[Index]:
    concurrently = "CONCURRENTLY " if conn.info.server_version >= 120000 else ""
    found = []
    rows = conn.execute(_INDEXES.encode(), {"changed": changed}).fetchall()
    for schema, name, table, unique, only_plain in rows:
        qualified = sql.Identifier(schema, name)
        statement = sql.SQL("REINDEX INDEX {}{}").format(
            sql.SQL("" if only_plain else concurrently), qualified
        )
        found.append(
            Index(database, qualified.as_string(conn), table, unique, statement.as_string(conn))
        )
    return found


def _rebuild(conn: Connection, index: Index, progress: Callable[[str], None]) -> Index:
    progress(f"{index.database}: {index.name}")
    try:
        conn.execute(index.statement.encode())
    except psycopg.Error as error:
        return replace(index, error=" ".join(str(error).split()))
    return index
