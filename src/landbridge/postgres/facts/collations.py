"""Whether two servers sort text alike: a canary fingerprint and the recorded versions.

An index on text is only right as long as the library that sorts (libc, ICU) sorts as it
did when the index was built. Versions of the library are recorded for ICU from 10, for
libc from 13, for a database's default from 15 on. A version may change without the order
(measured: glibc 2.31 to 2.43 sort alike, ICU 60 and 72 do not), so the order itself is
compared: md5 over probe strings in collation order, by the same query on both sides.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from ..cluster import Cluster
from ..distribution import Distribution
from .ask import Asker

#: Scripts that occur in real data and have been in Unicode long enough to be sorted by
#: every library version (first, last, step); then words that differ in case, accents,
#: digits and punctuation only, where glibc 2.28 changed its mind.
_PROBES = sql.SQL(
    "SELECT chr(c) || x AS s FROM (VALUES (33, 126, 1), (161, 591, 1), (880, 1319, 1),"
    " (1488, 1514, 1), (1569, 1610, 1), (2309, 2361, 1), (3585, 3632, 1), (12353, 12438, 1),"
    " (12449, 12538, 1), (19968, 40869, 7), (44032, 55203, 23), (127744, 128317, 3))"
    " AS r (low, high, step) CROSS JOIN LATERAL generate_series(low, high, step) c"
    " CROSS JOIN (VALUES (''), ('a'), ('1')) AS t (x)"
    " UNION ALL SELECT a || p || b FROM (VALUES ('a'), ('A'), ('ab'), ('1'), ('11'), ('z'),"
    " ('ss'), (U&'\\00E4'), (U&'\\00DF'), (U&'\\00E9')) AS a (a),"
    " (VALUES (''), ('b'), ('B'), ('1'), ('11'), ('zz'), (U&'\\00E9')) AS b (b),"
    " (VALUES (''), (' '), ('-'), ('_'), ('.'), (','), ('/'), (''''), ('\"'), ('@'), ('('))"
    " AS p (p)"
)
_FINGERPRINT = sql.SQL(
    "SELECT md5(string_agg(s, '|' ORDER BY s COLLATE {collation}, s COLLATE \"C\")) AS {name}"
    " FROM ({probes}) probes"
)
_ANSWER = re.compile(r'\b(order|version)_(\d+) = "([^"]*)"')


@dataclass(frozen=True)
class Order:
    """A way to sort text: provider ('c' libc, 'i' ICU), locale, ICU's tailoring rules."""

    provider: str
    locale: str
    rules: str | None = None


@dataclass(frozen=True)
class Collation:
    """A collation that indexes of one database of the source are ordered by."""

    database: str
    oid: int
    schema: str
    name: str
    order: Order
    recorded: str | None
    """Version when it was created, or last refreshed."""
    actual: str | None
    """Version of the library the source runs with."""
    fingerprint: str | None = None
    """None if the database is not UTF8, or the source refused."""


@dataclass(frozen=True)
class TextIndex:
    """An index whose order depends on libc or ICU; size in bytes."""

    name: str
    collations: tuple[int, ...]
    """Oids of those of its collations that do."""
    size: int
    database: str


@dataclass(frozen=True)
class LocalOrder:
    """How server programs of this host sort; both None if they cannot."""

    fingerprint: str | None
    version: str | None


def read_collations(ask: Asker, database: str) -> tuple[Collation, ...]:
    """The collations that user indexes of this database depend on, with fingerprints."""
    rows = ask.rows(f"collations in {database}", _used_collations(ask.major)) or []
    utf8 = ask.conn.info.parameter_status("server_encoding") == "UTF8"
    return tuple(
        Collation(
            database, row.oid, row.schema, row.name, Order(row.provider, row.locale, row.rules),
            row.recorded, row.actual, _fingerprint(ask, row.schema, row.name) if utf8 else None,
        )
        for row in rows
    )  # fmt: skip


def _used_collations(major: int) -> sql.Composed:
    """Collations of libc and ICU in indexes; the default one resolved to what it stands for."""
    icu_locale = "daticulocale" if major in (15, 16) else "datlocale"
    own_icu = "colliculocale" if major in (15, 16) else "colllocale" if major > 16 else None
    default = "d.datlocprovider" if major >= 15 else "'c'::\"char\""
    parts: dict[str, str] = {
        "provider": f"CASE collprovider WHEN 'd' THEN {default} ELSE collprovider END",
        "default_locale": f"CASE datlocprovider WHEN 'c' THEN datcollate ELSE {icu_locale} END"
        if major >= 15
        else "datcollate",
        "own_locale": f"coalesce({own_icu}, collcollate)" if own_icu else "collcollate",
        "rules": "CASE collprovider WHEN 'd' THEN daticurules ELSE collicurules END"
        if major >= 16
        else "NULL::text",
        "default_recorded": "datcollversion" if major >= 15 else "NULL::text",
        "default_actual": "pg_database_collation_actual_version(d.oid)"
        if major >= 15
        else "NULL::text",
    }
    return sql.SQL(
        "SELECT * FROM (SELECT DISTINCT co.oid, nspname::text AS schema, collname::text AS name,"
        " ({provider})::text AS provider, (CASE collprovider WHEN 'd' THEN {default_locale}"
        " ELSE {own_locale} END)::text AS locale, {rules} AS rules,"
        " CASE collprovider WHEN 'd' THEN {default_recorded} ELSE collversion END AS recorded,"
        " CASE collprovider WHEN 'd' THEN {default_actual}"
        " ELSE pg_collation_actual_version(co.oid) END AS actual"
        " FROM pg_index i CROSS JOIN unnest(i.indcollation::oid[]) c"
        " JOIN pg_collation co ON co.oid = c JOIN pg_namespace n ON n.oid = collnamespace"
        " JOIN pg_database d ON d.datname = current_database()"
        " WHERE i.indexrelid >= 16384) used WHERE provider = 'i' OR provider = 'c'"
        " AND locale NOT IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') ORDER BY 2, 3"
    ).format(**{name: sql.SQL(text) for name, text in parts.items()})


def read_text_indexes(
    ask: Asker, database: str, collations: tuple[Collation, ...]
) -> tuple[TextIndex, ...]:
    """The user's indexes that are ordered by one of these collations, largest first."""
    if not collations:
        return ()
    rows = ask.rows(
        f"text indexes in {database}",
        "SELECT i.indexrelid::regclass::text AS name, array_agg(DISTINCT c) AS collations,"
        " pg_relation_size(i.indexrelid) AS size"
        " FROM pg_index i CROSS JOIN unnest(i.indcollation::oid[]) c"
        " WHERE i.indexrelid >= 16384 AND c = ANY(%s::oid[])"
        " GROUP BY i.indexrelid ORDER BY 3 DESC, 1",
        [[c.oid for c in collations]],
    )
    return tuple(
        TextIndex(row.name, tuple(row.collations), row.size, database) for row in rows or ()
    )


def _fingerprint(ask: Asker, schema: str, name: str) -> str | None:
    query = _FINGERPRINT.format(
        collation=sql.Identifier(schema, name), name=sql.Identifier("order"), probes=_PROBES
    )
    row = ask.row(f"order of {name}", query)
    return row[0] if row else None


def local_orders(distribution: Distribution, orders: Iterable[Order]) -> dict[Order, LocalOrder]:
    """How this distribution sorts: a scratch cluster is made, asked and thrown away (about 1 s).

    Asked in single-user mode: no port, no socket, and every major has it. Raises
    ServerFailed if initdb fails.
    """
    wanted = list(dict.fromkeys(orders))
    if not wanted:
        return {}
    with tempfile.TemporaryDirectory(prefix="landbridge-") as folder:
        scratch = Cluster(Path(folder) / "data", distribution, 0)
        scratch.account.own(Path(folder))
        scratch.init(checksums=False)
        answer = subprocess.run(
            [distribution.program("postgres"), "--single", "-F", "-D", scratch.data, "postgres"],
            input="".join(_questions(number, order) for number, order in enumerate(wanted)),
            capture_output=True, text=True, env=distribution.environment, check=False,
            **scratch.account.popen_arguments(),
        )  # fmt: skip
    said = {(m[1], int(m[2])): m[3] for m in _ANSWER.finditer(answer.stdout)}
    return {
        order: LocalOrder(said.get(("order", n)), said.get(("version", n)))
        for n, order in enumerate(wanted)
    }


def _questions(number: int, order: Order) -> str:
    """Three statements of one line each, as single-user mode reads them."""
    name = sql.Identifier(f"canary_{number}")
    rules = sql.SQL(", rules = {}").format(sql.Literal(order.rules)) if order.rules else sql.SQL("")
    create = sql.SQL("CREATE COLLATION {name} (provider = {provider}, locale = {locale}{rules})")
    version = sql.SQL(
        "SELECT pg_collation_actual_version(oid) AS {column} FROM pg_collation"
        " WHERE collname = {name}"
    )
    statements = (
        create.format(
            name=name,
            provider=sql.SQL("icu" if order.provider == "i" else "libc"),
            locale=sql.Literal(order.locale),
            rules=rules,
        ),
        version.format(
            column=sql.Identifier(f"version_{number}"), name=sql.Literal(f"canary_{number}")
        ),
        _FINGERPRINT.format(collation=name, name=sql.Identifier(f"order_{number}"), probes=_PROBES),
    )
    return "".join(s.as_string(None) + ";\n" for s in statements)
