"""Databases and tablespaces of a cluster, and what lies inside each database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from .ask import Asker, first_line
from .collations import Collation, TextIndex, read_collations, read_text_indexes
from .names import ForeignName, read_inner_names

#: Seconds that the indexes of all databases may be looked at.
AMCHECK_SECONDS = 2.0


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
    owner: str | None = None


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
class IndexHealth:
    """What amcheck says about a sample of a database's B-tree indexes."""

    database: str
    installed: bool
    allowed: bool
    """Whether our account may run it."""
    checked: int = 0
    broken: tuple[tuple[str, str], ...] = ()
    """(index, what is wrong with it)."""


@dataclass(frozen=True)
class Contents:
    """What lies in one database that we could look into."""

    database: str
    extensions: tuple[Extension, ...] = ()
    libraries: tuple[Library, ...] = ()
    unlogged: tuple[Unlogged, ...] = ()
    foreign_servers: tuple[ForeignServer, ...] = ()
    publications: tuple[Publication, ...] = ()
    collations: tuple[Collation, ...] = ()
    text_indexes: tuple[TextIndex, ...] = ()
    indexes: IndexHealth | None = None
    foreign_names: tuple[ForeignName, ...] = ()


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
            " {failures} AS checksum_failures, pg_get_userbyid(datdba)::text AS owner"
            " FROM pg_database d ORDER BY 1"
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


def read_contents(ask: Asker, database: str, amcheck_until: float) -> Contents:
    """Look into the database that `ask` is connected to.

    What is refused stays empty and is named in `ask.unseen`. Indexes are checked until the
    monotonic clock reads `amcheck_until`.
    """
    used = read_collations(ask, database)
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
        collations=used,
        text_indexes=read_text_indexes(ask, database, used),
        indexes=_check_indexes(ask, database, amcheck_until),
        foreign_names=read_inner_names(ask, database),
    )  # fmt: skip


def _check_indexes(ask: Asker, database: str, until: float) -> IndexHealth | None:
    """Run bt_index_check on the smallest user indexes while there is time."""
    fact = f"index health in {database}"
    found = ask.row(
        fact,
        "SELECT n.nspname::text AS schema, has_schema_privilege(n.oid, 'usage')"
        " AND has_function_privilege(p.oid, 'execute') AS allowed"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
        " WHERE proname = 'bt_index_check' AND pronargs = 1",
    )
    if found is None:
        return None if fact in ask.unseen else IndexHealth(database, False, False)
    if not found.allowed:
        return IndexHealth(database, True, False)
    names = ask.rows(
        fact,
        "SELECT i.indexrelid AS oid, i.indexrelid::regclass::text AS name FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
        " WHERE amname = 'btree' AND indisvalid AND indisready AND c.relpersistence = 'p'"
        " AND i.indexrelid >= 16384 ORDER BY pg_relation_size(i.indexrelid) LIMIT 100",
    )
    check = sql.SQL("SELECT {schema}.bt_index_check(%s::oid::regclass)").format(
        schema=sql.Identifier(found.schema)
    )
    checked, broken = 0, []
    for index in names or ():
        if time.monotonic() > until:
            break
        try:
            ask.conn.execute(check, [index.oid])
        except psycopg.errors.IndexCorrupted as problem:
            broken.append((index.name, first_line(problem)))
        except psycopg.Error:
            continue  # dropped meanwhile, or too large for our statement timeout
        checked += 1
    return IndexHealth(database, True, True, checked, tuple(broken))
