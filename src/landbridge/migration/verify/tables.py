"""Which tables a database has, and the query that reduces one to a count and a hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from psycopg import sql

from .sides import Connection


@dataclass(frozen=True)
class Table:
    """A table as the catalog shows it at the moment of the comparison."""

    oid: int
    schema: str
    name: str
    kind: str
    """relkind: r, m (materialized view), f (foreign)"""
    persistence: str
    """relpersistence: p, u (unlogged)"""
    pages: int
    """Size in blocks at the last vacuum or analyze: only for ordering."""
    file: int
    """relfilenode; another one later means that the table was truncated or rewritten."""
    populated: bool
    columns: list[str]
    key: list[str]
    """Columns of the primary key, or none."""
    readable: bool | None
    """Whether this session may read all rows (rights, row security); None: dropped since."""

    @property
    def relation(self) -> sql.Composable:
        return sql.Identifier(self.schema, self.name)

    @property
    def why_skipped(self) -> str | None:
        """Why its content is not compared, or None."""
        if self.kind == "f":
            return "foreign table: its rows live on another server"
        if self.persistence == "u":
            return "unlogged: not replicated, empty after promotion"
        if not self.populated:
            return "materialized view that was never populated"
        return None

    def row_text(self) -> sql.Composable:
        """One row as text. Columns are named, so that a column added later changes nothing."""
        return sql.SQL("ROW({})::text").format(
            sql.SQL(", ").join(map(sql.Identifier, self.columns))
        )


_TABLES = """
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, c.relpersistence::text,
       c.relpages, c.relfilenode::bigint, c.relispopulated,
       -- a virtual generated column (18) has no stored value
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND to_jsonb(a) ->> 'attgenerated' IS DISTINCT FROM 'v' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) k, pg_attribute a
             WHERE i.indrelid = c.oid AND i.indisprimary
               AND a.attrelid = c.oid AND a.attnum = k),
       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
           AND (NOT c.relrowsecurity OR NOT row_security_active(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


def list_tables(conn: Connection) -> dict[tuple[str, str], Table]:
    """All tables of users in this database, by schema and name."""
    rows = conn.execute(_TABLES.encode()).fetchall()
    tables = [Table(*row) for row in rows]
    return {(t.schema, t.name): t for t in tables}


def wanted(database: str, table: Table, patterns: Sequence[str] | None) -> bool:
    """Whether a table matches one of the patterns: TABLE, SCHEMA.TABLE or DB.SCHEMA.TABLE,
    each with `*` and `?`; None means all tables."""
    names = (
        table.name,
        f"{table.schema}.{table.name}",
        f"{database}.{table.schema}.{table.name}",
    )
    return patterns is None or any(fnmatchcase(n, p) for p in patterns for n in names)


@dataclass(frozen=True)
class Pair:
    """A table on both sides; None on a side that lacks it."""

    source: Table | None
    destination: Table | None

    @property
    def any(self) -> Table:
        found = self.source or self.destination
        assert found is not None
        return found

    @property
    def both(self) -> bool:
        return self.source is not None and self.destination is not None

    @property
    def pages(self) -> int:
        return max(t.pages for t in (self.source, self.destination) if t)


def pair_up(
    source: dict[tuple[str, str], Table], destination: dict[tuple[str, str], Table]
) -> dict[tuple[str, str], Pair]:
    """The tables of both sides, by schema and name."""
    return {k: Pair(source.get(k), destination.get(k)) for k in {**source, **destination}}


def unreadable(database: str, tables: Sequence[Table]) -> list[str]:
    """Names of the tables that ought to be compared and may not be read."""
    return [
        f"{database}.{t.schema}.{t.name}"
        for t in tables
        if t.readable is False and t.why_skipped is None
    ]


def hash_of(text: sql.Composable, major: int) -> sql.Composable:
    """SQL: a 64-bit hash of a text. hashtextextended exists from 11 on."""
    if major >= 11:
        return sql.SQL('hashtextextended({} COLLATE "C", 0)').format(text)
    return sql.SQL("('x' || left(md5({}), 16))::bit(64)::bigint").format(text)


def digest_query(table: Table, major: int) -> sql.Composed:
    """SQL: row count, and the sum of all rows' hashes, which no order of rows changes.

    The sum counts a doubled row twice, where an exclusive-or would lose it.
    """
    return sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM ONLY {}").format(
        hash_of(table.row_text(), major), table.relation
    )
