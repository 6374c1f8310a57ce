"""Extensions and libraries: the copy names them, the destination must have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...postgres.facts.databases import Extension
from ...postgres.facts.source import LIBRARY_SETTINGS, split_list
from ..facts import Facts
from ..lines import ident, literal, source_sql
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import listing, programs, server, source

#: Packages of the PostgreSQL apt repository that are not named after their extension.
_PACKAGES = {
    "citus": "citus", "hll": "hll", "hypopg": "hypopg", "ip4r": "ip4r", "orafce": "orafce",
    "pg_cron": "cron", "pg_partman": "partman", "pg_qualstats": "pg-qualstats",
    "pg_repack": "repack", "pg_stat_kcache": "pg-stat-kcache", "pgaudit": "pgaudit",
    "pglogical": "pglogical", "pgtap": "pgtap", "plperl": "plperl", "plpython3u": "plpython3",
    "pltcl": "pltcl", "postgis": "postgis-3", "postgis_raster": "postgis-3",
    "postgis_topology": "postgis-3", "prefix": "prefix", "rum": "rum", "vector": "pgvector",
}  # fmt: skip
_LANGUAGES = ("plperl", "plpython3", "pltcl")
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
            "Install it on the destination's host; or drop it on the source if nobody uses it.",
            Fix("shell", "destination", (f"apt-get install {_package(name, here.major)}",)),
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
            "Install at least the same version on the destination's host.",
            Fix(
                "shell", "destination",
                (f"apt-get install {_package(extension.name, programs(facts).major)}",),
            ),
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
                *_install(gone, here.major),
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
                *_install(gone, here.major),
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


def _install(libraries: list[str], major: int) -> list[Fix]:
    lines = tuple(f"apt-get install {_package(lib, major)}" for lib in libraries)
    return [Fix("shell", "destination", lines)]


def _package(name: str, major: int) -> str:
    """The Debian package that most likely has it; contrib is in the server's own."""
    found = _PACKAGES.get(name)
    if found is None:
        return f"postgresql-{major}"
    return f"postgresql-{found}-{major}" if found in _LANGUAGES else f"postgresql-{major}-{found}"


def _number(version: str) -> tuple[int, ...]:
    """
    >>> _number("1.10") > _number("1.9")
    True
    """
    return tuple(map(int, re.findall(r"\d+", version)))
