"""Sample data: a shop's orders, so that a migration has something to carry."""

from __future__ import annotations

from psycopg import sql

from ..postgres.cluster import Cluster

DATABASE = "shop"

_TABLES = """
CREATE TABLE orders (
  id bigint NOT NULL, customer int NOT NULL, placed timestamptz NOT NULL,
  price numeric(10, 2) NOT NULL, note text NOT NULL);
INSERT INTO orders
  SELECT n, n % 10007, timestamptz '2024-01-01 00:00+00' + n * interval '1 minute', n % 900 * 1.1,
         (SELECT string_agg(md5((n * 8 + k)::text), '') FROM generate_series(1, 8) k)
  FROM generate_series(1, {rows}) n;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX orders_customer ON orders (customer, placed);
GRANT SELECT ON orders TO PUBLIC;
"""


def ensure_sample(cluster: Cluster, rows: int) -> bool:
    """Give a running server its orders if it has none; whether anything was made."""
    with cluster.connect() as conn:
        known = conn.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if known.fetchone() is None:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with cluster.connect(DATABASE) as conn:
        if conn.execute("SELECT to_regclass('orders')").fetchone() != (None,):
            return False
        with conn.transaction():
            conn.execute(sql.SQL(_TABLES).format(rows=sql.Literal(rows)))
        conn.execute("ANALYZE orders")
    return True
