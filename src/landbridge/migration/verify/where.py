"""Where a table differs: in which blocks, and in which rows.

A physical copy has every row at the same place (ctid), so both sides are hashed by ranges
of blocks, and only ranges that differ are looked at more closely.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from ...postgres.positions import server_major
from .sides import Connection
from .tables import Table, hash_of

#: Blocks and rows that are named at most.
LIMIT = 10
#: Ranges a differing range is divided into.
_FAN = 256

_BLOCK = sql.SQL("(ctid::text::point)[0]::bigint")


def where(source: Connection, destination: Connection, table: Table) -> dict[str, Any]:
    """Blocks (numbers), rows by primary key, and whether there are more than are named.

    `keys` has, of each row that one side lacks or has otherwise, the primary key as text,
    or its place (block, number) in a table without one; never other columns. Both
    connections read at the moments that were compared.
    """
    conns = (source, destination)
    blocks, more = _blocks(conns, table)
    keys: list[str] = []
    for block in blocks:
        here, there = (_rows(conn, table, block) for conn in conns)
        keys += sorted({here.get(p, there.get(p, ("",)))[0] for p in _unequal(here, there)})
    return {
        "blocks": blocks,
        "keys": keys[:LIMIT],
        "key_columns": table.key or ["ctid"],
        "more": more or len(keys) > LIMIT,
    }


def _blocks(conns: tuple[Connection, Connection], table: Table) -> tuple[list[int], bool]:
    """The first differing blocks, and whether there are more."""
    length = max(_length(conn, table) for conn in conns)
    width, ranges, more = max(length, 1), [0], False
    while width > 1:
        finer = -(-width // _FAN)
        found: list[int] = []
        for begin in ranges:
            here, there = (_sums(c, table, begin, begin + width, finer) for c in conns)
            found += sorted(_unequal(here, there))
        more = more or len(found) > LIMIT
        width, ranges = finer, found[:LIMIT]
    return ranges, more


def _unequal(here: dict[Any, Any], there: dict[Any, Any]) -> Iterable[Any]:
    return [k for k in here.keys() | there.keys() if here.get(k) != there.get(k)]


def _sums(
    conn: Connection, table: Table, begin: int, end: int, width: int
) -> dict[int, tuple[int, str]]:
    """Row count and hash of each range of `width` blocks from `begin` to `end`."""
    query = sql.SQL(
        "SELECT {block} / %(width)s * %(width)s AS begin, count(*), sum({hash})::text"
        " FROM ONLY {table} WHERE ctid >= %(begin)s::tid AND ctid < %(end)s::tid GROUP BY 1"
    ).format(
        block=sql.SQL("({} - %(first)s)").format(_BLOCK),
        hash=hash_of(table.row_text(), server_major(conn)),
        table=table.relation,
    )
    rows = conn.execute(
        query, {"width": width, "first": begin, "begin": f"({begin},0)", "end": f"({end},0)"}
    )
    return {begin + int(row[0]): (int(row[1]), str(row[2])) for row in rows}


def _rows(conn: Connection, table: Table, block: int) -> dict[str, tuple[str, int]]:
    """The rows of one block: place -> primary key as text, hash."""
    key = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, table.key)))
    query = sql.SQL(
        "SELECT ctid::text, {key}, {hash} FROM ONLY {table}"
        " WHERE ctid >= %s::tid AND ctid < %s::tid"
    ).format(
        key=key if table.key else sql.SQL("ctid::text"),
        hash=hash_of(table.row_text(), server_major(conn)),
        table=table.relation,
    )
    rows = conn.execute(query, [f"({block},0)", f"({block + 1},0)"])
    return {row[0]: (row[1], row[2]) for row in rows}


def _length(conn: Connection, table: Table) -> int:
    row = conn.execute(
        "SELECT pg_relation_size(%s::oid) / current_setting('block_size')::bigint", [table.oid]
    ).fetchone()
    return int(row[0] or 0) if row else 0
