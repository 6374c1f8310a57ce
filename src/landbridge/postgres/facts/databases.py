"""Databases and tablespaces of a cluster, and what lies inside each database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from .ask import Asker


@dataclass(frozen=True)
class Database:
    """One row of pg_database; sizes in bytes."""

    name: str
    size: int | None
    connectable: bool
    """datallowconn is set and our account has CONNECT."""
    allows: bool
    template: bool
    collate: str
    ctype: str
    provider: str
    """Of the default collation: 'c' libc, 'i' ICU, 'b' builtin."""
    icu_locale: str | None
    recorded: str | None
    """Collation version recorded when it was made (15+)."""
    actual: str | None
    """Collation version of the library it runs with (15+)."""
    checksum_failures: int | None
    """12+, and only with data checksums."""


@dataclass(frozen=True)
class Tablespace:
    """A tablespace of the user's; `location` is empty or relative for an in-place one."""

    name: str
    location: str
    size: int | None


@dataclass(frozen=True)
class Extension:
    name: str
    version: str
    database: str


@dataclass(frozen=True)
class Library:
    """A library that C functions of a database name (pg_proc.probin)."""

    path: str
    functions: int
    database: str


@dataclass(frozen=True)
class Unlogged:
    name: str
    size: int
    database: str


@dataclass(frozen=True)
class ForeignServer:
    name: str
    wrapper: str
    host: str | None
    """None: not given, so the server's own host for postgres_fdw."""
    port: str | None
    database: str


@dataclass(frozen=True)
class Publication:
    name: str
    database: str


@dataclass(frozen=True)
class TextIndex:
    """An index whose order depends on a collation of libc or ICU."""

    name: str
    collations: list[str]
    size: int
    database: str


@dataclass(frozen=True)
class Jobs:
    """A scheduler inside a database that would start running on the copy."""

    extension: str
    database: str


@dataclass(frozen=True)
class Contents:
    """What lies in one database that we could look into."""

    database: str
    extensions: tuple[Extension, ...] = ()
    libraries: tuple[Library, ...] = ()
    unlogged: tuple[Unlogged, ...] = ()
    foreign_servers: tuple[ForeignServer, ...] = ()
    publications: tuple[Publication, ...] = ()
    text_indexes: tuple[TextIndex, ...] = ()


def read_databases(ask: Asker) -> tuple[Database, ...] | None:
    provider, recorded, actual, locale = _collation_columns(ask.major)
    failures: LiteralString = "NULL::bigint"
    if ask.major >= 12:
        failures = (
            "(SELECT checksum_failures FROM pg_stat_database s WHERE s.datid = d.oid)::bigint"
        )
    return ask.many(
        "databases",
        Database,
        sql.SQL(
            "SELECT datname::text AS name, pg_database_size(d.oid) AS size,"
            " datallowconn AND has_database_privilege(d.oid, 'connect') AS connectable,"
            " datallowconn AS allows, datistemplate AS template,"
            " datcollate::text AS collate, datctype::text AS ctype, {provider} AS provider,"
            " {locale} AS icu_locale, {recorded} AS recorded, {actual} AS actual,"
            " {failures} AS checksum_failures FROM pg_database d ORDER BY 1"
        ).format(
            provider=sql.SQL(provider),
            locale=sql.SQL(locale),
            recorded=sql.SQL(recorded),
            actual=sql.SQL(actual),
            failures=sql.SQL(failures),
        ),
    )


def _collation_columns(
    major: int,
) -> tuple[LiteralString, LiteralString, LiteralString, LiteralString]:
    """Columns for provider, recorded version, actual version and ICU locale."""
    if major < 15:
        return "'c'", "NULL::text", "NULL::text", "NULL::text"
    return (
        "datlocprovider::text",
        "datcollversion",
        "pg_database_collation_actual_version(d.oid)",
        "datlocale::text" if major >= 17 else "daticulocale::text",
    )


def read_tablespaces(ask: Asker) -> tuple[Tablespace, ...] | None:
    return ask.many(
        "tablespaces",
        Tablespace,
        "SELECT spcname::text AS name, pg_tablespace_location(oid) AS location,"
        " pg_tablespace_size(oid) AS size FROM pg_tablespace WHERE oid >= 16384 ORDER BY 1",
    )


def read_contents(ask: Asker, database: str) -> Contents:
    """Look into the database that `ask` is connected to; what is refused stays empty
    and is named in `ask.unseen`."""
    return Contents(
        database,
        extensions=ask.many(
            f"extensions in {database}", Extension,
            "SELECT extname::text AS name, extversion AS version, current_database()::text AS"
            " database FROM pg_extension ORDER BY 1",
        ) or (),
        libraries=ask.many(
            f"libraries in {database}", Library,
            "SELECT probin AS path, count(*) AS functions, current_database()::text AS database"
            " FROM pg_proc WHERE probin IS NOT NULL GROUP BY 1 ORDER BY 1",
        ) or (),
        unlogged=ask.many(
            f"unlogged tables in {database}", Unlogged,
            "SELECT c.oid::regclass::text AS name, pg_total_relation_size(c.oid) AS size,"
            " current_database()::text AS database FROM pg_class c"
            " WHERE relpersistence = 'u' AND relkind IN ('r', 'm') ORDER BY 2 DESC",
        ) or (),
        foreign_servers=ask.many(
            f"foreign servers in {database}", ForeignServer,
            "SELECT srvname::text AS name, fdwname::text AS wrapper,"
            " (SELECT max(option_value) FROM pg_options_to_table(srvoptions)"
            "  WHERE option_name IN ('host', 'hostaddr')) AS host,"
            " (SELECT max(option_value) FROM pg_options_to_table(srvoptions)"
            "  WHERE option_name = 'port') AS port, current_database()::text AS database"
            " FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw ORDER BY 1",
        ) or (),
        publications=ask.many(
            f"publications in {database}", Publication,
            "SELECT pubname::text AS name, current_database()::text AS database"
            " FROM pg_publication ORDER BY 1",
        ) or (),
        text_indexes=_text_indexes(ask, database),
    )  # fmt: skip


def _text_indexes(ask: Asker, database: str) -> tuple[TextIndex, ...]:
    """The user's indexes with a key ordered by the rules of libc or ICU.

    C, POSIX, C.UTF-8 and the builtin provider order by code point and never change. A
    key under the database's default collation counts if that one is none of them.
    """
    provider = sql.SQL("d.datlocprovider" if ask.major >= 15 else "'c'")
    query = sql.SQL(
        "SELECT i.indexrelid::regclass::text AS name,"
        " array_agg(DISTINCT co.collname::text) AS collations,"
        " pg_relation_size(i.indexrelid) AS size, current_database()::text AS database"
        " FROM pg_index i CROSS JOIN unnest(i.indcollation::oid[]) c"
        " JOIN pg_collation co ON co.oid = c JOIN pg_class r ON r.oid = i.indrelid"
        " JOIN pg_database d ON d.datname = current_database()"
        " WHERE i.indexrelid >= 16384 AND r.relpersistence <> 't'"
        " AND CASE WHEN co.collprovider <> 'd' THEN co.collprovider = 'i'"
        " OR co.collprovider = 'c' AND co.collcollate NOT IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')"
        " ELSE {provider} = 'i' OR {provider} = 'c'"
        " AND d.datcollate NOT IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') END"
        " GROUP BY i.indexrelid ORDER BY 3 DESC, 1"
    ).format(provider=provider)
    return ask.many(f"text indexes in {database}", TextIndex, query) or ()
