"""A source with mixed data: pgbench's accounts, text of words, JSON, GIN indexes over both."""

from __future__ import annotations

from fix_servers import Source

# Bytes of disk per row, index included (measured), and each part's share of the whole.
_PARTS = {"accounts": (0.45, 157), "docs": (0.30, 604), "events": (0.25, 420)}

# Words out of 5,000, used as unevenly as words are: text that compresses like text.
_WORD = "translate(left(md5(n::text), 2 + n % 7), '0123456789', 'ghklmnorst')"
_TEXT = f"""
    (SELECT coalesce(string_agg({_WORD}, ' '), '')
     FROM (SELECT (power(random(), 3) * 4999)::int AS n
           FROM generate_series(1, {{words}})) AS drawn)
"""

_TABLES = {
    "accounts": """
        CREATE TABLE pgbench_accounts AS
        SELECT i AS aid, 1 + i / 100000 AS bid, 0 AS abalance, repeat(' ', 84) AS filler
        FROM generate_series(1, {rows}) i
    """,
    "docs": f"""
        CREATE TABLE docs AS SELECT i AS id, {_TEXT.format(words="40 + i % 40")} AS body
        FROM generate_series(1, {{rows}}) i
    """,
    "events": f"""
        CREATE TABLE events AS
        SELECT i AS id, jsonb_build_object('user', (random() * 5000)::int, 'at', now()
            + i * interval '1 s', 'kind', (ARRAY['click','view','buy'])[1 + i % 3],
            'amount', round((random() * 900)::numeric, 2), 'tag', 'tag' || i % 97,
            'note', {_TEXT.format(words="i % 20")}) AS doc
        FROM generate_series(1, {{rows}}) i
    """,
}
_INDEXES = (
    "ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)",
    "ALTER TABLE docs ADD PRIMARY KEY (id)",
    "CREATE INDEX ON docs USING gin (to_tsvector('simple', body))",
    "ALTER TABLE events ADD PRIMARY KEY (id)",
    "CREATE INDEX ON events USING gin (doc jsonb_path_ops)",
    "VACUUM FREEZE",
    "CHECKPOINT",
)


def fill(source: Source, gigabytes: float) -> int:
    """Create about that much data; the bytes it really takes."""
    for name, (share, row) in _PARTS.items():
        rows = int(gigabytes * 1e9 * share / row)
        source.sql(_TABLES[name].format(rows=rows))
    for statement in _INDEXES:
        source.sql(statement)
    ((size,),) = source.sql("SELECT sum(pg_database_size(oid)) FROM pg_database")
    return int(size)
