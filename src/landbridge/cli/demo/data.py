"""What the demonstration's source holds: some of everything a cluster may hold.

One unit of scale is about 25 MB: 100,000 accounts of the TPC-B-like load, and
articles with text, JSON under a GIN index, and arrays.
"""

from __future__ import annotations

from psycopg import Connection, sql

#: The application's database, and a second one.
DATABASE = "shop"
ARCHIVE = "archive"
TABLESPACE = "cold"

_LOAD_TABLES = """
CREATE TABLE pgbench_branches (bid int NOT NULL, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int NOT NULL, bid int, tbalance int, filler char(84));
CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp,
                              filler char(22));
INSERT INTO pgbench_branches SELECT n, 0, '' FROM generate_series(1, {scale}) n;
INSERT INTO pgbench_tellers
  SELECT n, (n - 1) / 10 + 1, 0, '' FROM generate_series(1, 10 * {scale}) n;
INSERT INTO pgbench_accounts
  SELECT n, (n - 1) / 100000 + 1, 0, '' FROM generate_series(1, 100000 * {scale}) n;
ALTER TABLE pgbench_branches ADD PRIMARY KEY (bid);
ALTER TABLE pgbench_tellers ADD PRIMARY KEY (tid);
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
"""

_APPLICATION_TABLES = """
CREATE TABLE articles (
  id bigserial PRIMARY KEY, title text NOT NULL, body text NOT NULL,
  attributes jsonb NOT NULL, raw json, labels text[], price numeric(12, 2),
  changed timestamptz NOT NULL);
INSERT INTO articles (title, body, attributes, raw, labels, price, changed)
  SELECT 'Brücke № ' || n || ' 橋', repeat(md5(n::text) || ' ', 10),
         jsonb_build_object('sku', md5((n * 7)::text), 'stock', n % 500,
                            'colours', jsonb_build_array('red', 'blue', n % 13)),
         json_build_object('n', n, 'note', 'naïve "quotes" \\ and tabs' || chr(9)),
         ARRAY['label' || n % 97, NULL, 'ümlaut'], n * 1.01,
         timestamptz '2020-01-01 00:00+00' + n * interval '1 minute'
  FROM generate_series(1, 6000 * {scale}) n;
CREATE INDEX articles_attributes ON articles USING gin (attributes);
CREATE INDEX articles_title ON articles (title);
CREATE TABLE attachments (id serial PRIMARY KEY, name text, content oid);
INSERT INTO attachments (name, content)
  SELECT 'file' || n, lo_from_bytea(0, decode(repeat(md5(n::text), 4000), 'hex'))
  FROM generate_series(1, 5 * {scale}) n;
CREATE SEQUENCE invoice_numbers START 1000 INCREMENT 7;
SELECT setval('invoice_numbers', 1000 + 7 * 1234);
CREATE UNLOGGED TABLE basket_cache (id int, content text);
INSERT INTO basket_cache SELECT n, md5(n::text) FROM generate_series(1, 1000) n;
CREATE TABLE ledger (n bigint NOT NULL, payload text NOT NULL,
                     written timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ledger_n ON ledger (n);
"""

_ARCHIVE_TABLES = """
CREATE TABLE old_orders (id int PRIMARY KEY, note text) TABLESPACE {tablespace};
INSERT INTO old_orders SELECT n, 'order ' || n FROM generate_series(1, 5000 * {scale}) n;
"""


def create_tables(shop: Connection, archive: Connection, scale: int) -> None:
    """Fill the application's database and the second one; both connections autocommit.

    The ledger has no unique constraint: a row written twice must show, not be refused.
    """
    values = {"scale": sql.Literal(scale), "tablespace": sql.Identifier(TABLESPACE)}
    for conn, script in (
        (shop, _LOAD_TABLES),
        (shop, _APPLICATION_TABLES),
        (archive, _ARCHIVE_TABLES),
    ):
        conn.execute(sql.SQL(script).format(**values))
    for conn in (shop, archive):
        conn.execute("ANALYZE")
