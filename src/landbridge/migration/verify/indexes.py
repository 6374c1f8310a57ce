"""Indexes and heaps of the destination, examined by amcheck's functions as pg_amcheck does.

Where the extension is installed it is used, on a standby too. On a promoted destination
without it, it is created in a transaction that is rolled back: nothing remains. In one
database there is then one session at a time, because nobody else sees the extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import sql

from ...postgres.cluster import Cluster
from ...postgres.positions import in_recovery, server_major
from .result import Verification
from .sides import Connection, Side

#: The version that came with these majors; an installation may list newer ones that its
#: library does not know (measured with binaries of 10). Later majors: their default.
_VERSIONS = {10: "1.0", 11: "1.1", 12: "1.2", 13: "1.2"}
_SCHEMA = "landbridge_amcheck"
#: Findings per table that are named at most.
_LIMIT = 10
#: A check is repeated when the replay of a vacuum ends it, or somebody holds a lock.
_TRIES = 3

_RELATIONS = """
SELECT c.oid::bigint, n.nspname, c.relname, a.amname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relpersistence = 'p' AND c.relkind IN ('i', 'r', 'm', 't')
  AND (c.relkind <> 'i' OR i.indisvalid AND i.indisready)
ORDER BY c.relpages DESC
"""
#: Access method -> functions, the preferred one first, and how each is called.
_FUNCTIONS = {
    "btree": (
        ("bt_index_check(regclass,boolean)", "SELECT {}(%(oid)s::oid::regclass, true)::text"),
        ("bt_index_check(regclass)", "SELECT {}(%(oid)s::oid::regclass)::text"),
    ),
    "gin": (("gin_index_check(regclass)", "SELECT {}(%(oid)s::oid::regclass)::text"),),
    "heap": (
        (
            "verify_heapam(regclass,boolean,boolean,text,bigint,bigint)",
            "SELECT format('block %%s: %%s', blkno, msg)"
            " FROM {}(%(oid)s::oid::regclass, check_toast => true)",
        ),
    ),
}


@dataclass(frozen=True)
class Relation:
    oid: int
    schema: str
    name: str
    method: str
    """Access method: btree, gin, heap."""


class Finding(NamedTuple):
    """Something wrong with a relation; `certain` is False if it could not be examined."""

    name: str
    message: str
    certain: bool = True


def check_indexes(
    destination: Side, cluster: Cluster, databases: Sequence[str], jobs: int, result: Verification
) -> None:
    """Fill `result.indexes` with checked, tables, failures and how; say what was not possible.

    `checked` counts indexes, `tables` heaps; where nothing could be examined it stays empty.

    Raises ServerFailed, psycopg.Error if the destination breaks off.
    """
    failures: list[dict[str, str]] = []
    counts = {"checked": 0, "tables": 0}
    how = "amcheck"
    for dbname in databases:
        with destination.session(dbname) as conn:
            schema, standby = _installed(conn), in_recovery(conn)
            relations = [Relation(*row) for row in conn.execute(_RELATIONS.encode())]
        what = f"indexes of {dbname}"
        if schema is not None:
            found = _by_several(destination, dbname, schema, relations, jobs)
        elif standby:
            result.skip(
                what,
                "not possible before promotion: amcheck is not installed in this database, and"
                " a standby cannot create it",
            )
            continue
        elif "amcheck" not in cluster.distribution.extensions:
            result.skip(what, "amcheck did not come with the destination's programs")
            continue
        else:
            found = _created(destination, dbname, relations, result)
            how = "amcheck, created in a transaction that was rolled back"
        for relation, findings in found:
            counts["tables" if relation.method == "heap" else "checked"] += 1
            for name, message, certain in findings:
                if certain:
                    failures.append({"name": name, "message": message})
                else:
                    result.skip(f"structure of {name}", message)
    if any(counts.values()):
        result.indexes = {**counts, "failures": failures, "how": how}


Examined = list[tuple[Relation, list[Finding]]]


def _by_several(
    destination: Side, dbname: str, schema: str, relations: Sequence[Relation], jobs: int
) -> Examined:
    """With the extension installed: several connections at a time."""

    def examine(share: Sequence[Relation]) -> Examined:
        with destination.session(dbname) as conn:
            return _examine(conn, dbname, schema, share)

    with ThreadPoolExecutor(jobs) as pool:
        shares = pool.map(examine, (relations[n::jobs] for n in range(jobs)))
        return [item for share in shares for item in share]


def _created(
    destination: Side, dbname: str, relations: Sequence[Relation], result: Verification
) -> Examined:
    """With an extension that exists in our transaction alone."""
    schema = sql.Identifier(_SCHEMA)
    with destination.session(dbname) as conn:
        conn.execute("BEGIN READ WRITE")
        # No event trigger of the user's shall act on this.
        conn.execute("SET LOCAL session_replication_role = replica")
        row = conn.execute("SELECT txid_current()").fetchone()
        assert row is not None
        result.own_xids.append(int(row[0]))
        version = _VERSIONS.get(server_major(conn))
        extra = sql.SQL(" VERSION {}").format(version) if version else sql.SQL("")
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        conn.execute(sql.SQL("CREATE EXTENSION amcheck SCHEMA {}{}").format(schema, extra))
        found = _examine(conn, dbname, _SCHEMA, relations)
        conn.execute("ROLLBACK")
    return found


def _examine(conn: Connection, dbname: str, schema: str, relations: Sequence[Relation]) -> Examined:
    queries = {method: _query(conn, schema, method) for method in _FUNCTIONS}
    found = []
    for relation in relations:
        query = queries.get(relation.method)
        if query is not None:
            name = f"{dbname}.{relation.schema}.{relation.name}"
            found.append((relation, _findings(conn, query, relation.oid, name)))
    return found


def _findings(conn: Connection, query: sql.Composed, oid: int, name: str) -> list[Finding]:
    """What is wrong with one relation; nothing if it has been dropped meanwhile."""
    for _ in range(_TRIES):
        try:
            with conn.transaction():
                rows = conn.execute(query, {"oid": oid}).fetchmany(_LIMIT)
            return [Finding(name, row[0]) for row in rows if row[0]]
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject):
            return []
        except (
            psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable
        ) as conflict:  # fmt: skip
            message = str(conflict.diag.message_primary)
        except psycopg.Error as error:
            if conn.closed:
                raise
            return [Finding(name, str(error.diag.message_primary))]
    return [Finding(name, message, certain=False)]


def _query(conn: Connection, schema: str, method: str) -> sql.Composed | None:
    """The first of a method's functions that this version of the extension has."""
    for signature, query in _FUNCTIONS[method]:
        name, _, arguments = signature.partition("(")
        function = sql.Identifier(schema, name)
        known = conn.execute(
            "SELECT to_regprocedure(%s)", [f"{function.as_string(conn)}({arguments}"]
        ).fetchone()
        if known != (None,):
            return sql.SQL(query).format(function)
    return None


def _installed(conn: Connection) -> str | None:
    """The schema that holds the extension, if it is installed."""
    row = conn.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'amcheck'"
    ).fetchone()
    return None if row is None else str(row[0])
