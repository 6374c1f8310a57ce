"""Extensions and libraries: the copy names them, the destination must have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...postgres.facts.databases import Extension
from ...postgres.facts.programs import Programs
from ...postgres.facts.source import LIBRARY_SETTINGS, split_list
from ..facts import Facts
from ..lines import ident, literal, source_sql
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import listing, programs, server, source

#: In the server's own package on Debian, in postgresqlNN-contrib on Red Hat.
_CONTRIB = frozenset(
    (
        "adminpack", "amcheck", "auth_delay", "auto_explain", "autoinc", "basebackup_to_shell",
        "basic_archive", "bloom", "btree_gin", "btree_gist", "chkpass", "citext", "cube", "dblink",
        "dict_int", "dict_xsyn", "earthdistance", "file_fdw", "fuzzystrmatch", "hstore",
        "insert_username", "intagg", "intarray", "isn", "lo", "ltree", "moddatetime",
        "old_snapshot", "pageinspect", "passwordcheck", "pg_buffercache", "pg_freespacemap",
        "pg_logicalinspect",
        "pg_overexplain", "pg_prewarm", "pg_stat_statements", "pg_surgery", "pg_trgm",
        "pg_visibility", "pg_walinspect", "pgcrypto", "pgrowlocks", "pgstattuple", "postgres_fdw",
        "refint", "seg", "sepgsql", "sslinfo", "tablefunc", "tcn", "test_decoding", "timetravel",
        "tsm_system_rows", "tsm_system_time", "unaccent", "uuid-ossp", "xml2",
    )
)  # fmt: skip
#: Debian packages, checked against Debian 12 and the PostgreSQL apt repository.
_DEBIAN = {
    "hll": "postgresql-{}-hll", "hypopg": "postgresql-{}-hypopg", "ip4r": "postgresql-{}-ip4r",
    "orafce": "postgresql-{}-orafce", "pg_cron": "postgresql-{}-cron",
    "pg_partman": "postgresql-{}-partman", "pg_partman_bgw": "postgresql-{}-partman",
    "pg_qualstats": "postgresql-{}-pg-qualstats", "pg_repack": "postgresql-{}-repack",
    "pg_stat_kcache": "postgresql-{}-pg-stat-kcache", "pgaudit": "postgresql-{}-pgaudit",
    "pglogical": "postgresql-{}-pglogical", "pgrouting": "postgresql-{}-pgrouting",
    "pgtap": "postgresql-{}-pgtap", "plpgsql_check": "postgresql-{}-plpgsql-check",
    "prefix": "postgresql-{}-prefix", "rum": "postgresql-{}-rum",
    "vector": "postgresql-{}-pgvector", "wal2json": "postgresql-{}-wal2json",
    **dict.fromkeys(("plperl", "plperlu"), "postgresql-plperl-{}"),
    **dict.fromkeys(("plpython3u", "plpython3"), "postgresql-plpython3-{}"),
    **dict.fromkeys(("pltcl", "pltclu"), "postgresql-pltcl-{}"),
    **dict.fromkeys(
        (
            "postgis", "postgis_raster", "postgis_sfcgal", "postgis_tiger_geocoder",
            "postgis_topology", "address_standardizer", "address_standardizer_data_us",
        ),
        "postgresql-{}-postgis-3",
    ),
}  # fmt: skip
#: Extensions whose background work starts with the server they run on.
_JOBS = ("pg_cron", "pg_partman", "pg_timetable", "pgagent", "timescaledb")


def missing(facts: Facts) -> Iterator[Verdict]:
    here = programs(facts)
    gone = [e for e in _extensions(facts) if e.name not in here.extensions]
    for name in sorted({e.name for e in gone}):
        where = [e.database for e in gone if e.name == name]
        yield error(
            f"Extension {name} is installed in {listing(where)} but is not among the"
            f" {len(here.extensions)} that the destination's PostgreSQL {here.version} in"
            f" {here.bin} has.",
            f"{_advice(name, here)}; or drop it on the source if nobody uses it.",
            *_install([name], here),
            *(source_sql(f"DROP EXTENSION {ident(name)};", database=d) for d in where),
            extension=name,
            databases=where,
        )
    if not gone:
        yield passed(f"{len({e.name for e in _extensions(facts)})} in use, all are here")


def version(facts: Facts) -> Iterator[Verdict]:
    here = programs(facts).extensions
    newer, older = [], []
    for extension in _extensions(facts):
        if extension.name not in here:
            continue
        theirs, ours = _number(extension.version), _number(here[extension.name])
        if theirs > ours:
            newer.append(extension)
        elif theirs < ours:
            older.append(extension)
    for extension in newer:
        yield error(
            f"{extension.name} is {extension.version} in database {extension.database}; the"
            f" destination has {here[extension.name]}, which may lack functions that exist there.",
            f"{_advice(extension.name, programs(facts))}, at least the same version.",
            *_install([extension.name], programs(facts)),
            extension=extension.name, source=extension.version, destination=here[extension.name],
        )  # fmt: skip
    if older:
        yield info(
            "Older than what the destination has: "
            + listing(f"{e.name} {e.version} in {e.database}" for e in older)
            + ". They go on working as they are.",
            "Update them there after the migration, when it suits.",
            *(
                Fix(
                    "sql", "destination", (f"ALTER EXTENSION {ident(e.name)} UPDATE;",),
                    database=e.database,
                )
                for e in older
            ),
        )  # fmt: skip


def preload(facts: Facts) -> Iterator[Verdict]:
    """Libraries that settings load; also those that a role or a database brings."""
    here, of = programs(facts), server(facts)
    for name in LIBRARY_SETTINGS:
        gone = [lib for lib in split_list(of.value(name)) if here.libraries.get(lib) is False]
        if gone:
            yield warning(
                f"{name} of the source names {', '.join(gone)}, which the destination's programs"
                " do not have; the destination will run without.",
                f"Install what {'they belong' if len(gone) > 1 else 'it belongs'} to, if it"
                " matters.",
                *_install(gone, here),
                setting=name,
                libraries=gone,
            )
    for override in source(facts).overrides or ():
        if override.name not in LIBRARY_SETTINGS:
            continue
        gone = [lib for lib in split_list(override.value) if here.libraries.get(lib) is False]
        if gone:
            whose = " in ".join(
                part for part in (override.role or "", override.database or "") if part
            )
            yield error(
                f"{override.name} set for {whose} names {', '.join(gone)}, which the destination's"
                " programs do not have: such sessions would not start.",
                "Install it on the destination's host, or take the setting back.",
                *_install(gone, here),
                setting=override.name,
                libraries=gone,
            )


def functions(facts: Facts) -> Iterator[Verdict]:
    here = programs(facts)
    seen = [lib for c in source(facts).contents for lib in c.libraries]
    gone = [lib for lib in seen if here.libraries.get(lib.path) is False]
    for path in sorted({lib.path for lib in gone}):
        where = [lib for lib in gone if lib.path == path]
        yield error(
            f"Functions in {listing(w.database for w in where)} are in the library {path}, which"
            " the destination's programs do not have. The server starts, but every use fails,"
            " also inserting into a table with an index that uses them.",
            "Install the library on the destination's host, or drop the functions.",
            *(source_sql(_list_functions(path), database=w.database) for w in where),
            library=path,
            databases=[w.database for w in where],
        )
    if not gone:
        yield passed(f"{len({lib.path for lib in seen})} libraries are named, all are here")


def jobs(facts: Facts) -> Iterator[Verdict]:
    found = [e for e in _extensions(facts) if e.name in _JOBS]
    if found:
        yield warning(
            "Jobs come with the copy: "
            + listing(f"{e.name} in {e.database}" for e in found)
            + ". After the promotion they run on the destination, and on the source too unless it"
            " stays read-only.",
            "Decide where they shall run; Landbridge loads their workers on the destination only"
            " at its first restart after the migration.",
            extensions=sorted({e.name for e in found}),
        )


def _extensions(facts: Facts) -> list[Extension]:
    return [e for c in source(facts).contents for e in c.extensions]


def _list_functions(library: str) -> str:
    # Text for a person to run; what goes into it is quoted as SQL.
    return f"SELECT oid::regprocedure FROM pg_proc WHERE probin = {literal(library)};"  # noqa: S608


def _advice(name: str, here: Programs) -> str:
    if _package(name, here) is not None:
        return "Install it on the destination's host"
    return (
        f"Install it on the destination's host; which package has it for the programs in"
        f" {here.bin} is not known here"
    )


def _install(names: list[str], here: Programs) -> list[Fix]:
    """The lines that install those whose package is known."""
    packages = dict.fromkeys(filter(None, (_package(name, here) for name in names)))
    tool = "dnf" if here.bin.startswith(_RED_HAT) else "apt-get"
    lines = tuple(f"{tool} install {package}" for package in packages)
    return [Fix("shell", "destination", lines)] if lines else []


_RED_HAT = "/usr/pgsql-"


def _package(name: str, here: Programs) -> str | None:
    """The package that has it for these programs, if that is certain."""
    if here.bin.startswith("/usr/lib/postgresql/"):
        known = "postgresql-{}" if name in _CONTRIB else _DEBIAN.get(name)
        return known.format(here.major) if known else None
    if here.bin.startswith(_RED_HAT) and name in _CONTRIB:
        return f"postgresql{here.major}-contrib"
    return None


def _number(version: str) -> tuple[int, ...]:
    """
    >>> _number("1.10") > _number("1.9")
    True
    """
    return tuple(map(int, re.findall(r"\d+", version)))
