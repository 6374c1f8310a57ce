"""Collation versions after the promotion: what differs is found, named, and repaired on demand.

The versions of another host are played by writing them into the catalogs of the source.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_following import promoted, started
from fix_servers import Servers, Source
from landbridge.migration.finish import FinishResult, finish

OBJECTS = (
    "CREATE TABLE words (w text, c text COLLATE \"C\", n int, i text COLLATE \"und-x-icu\")",
    "INSERT INTO words SELECT md5(n::text), md5(n::text), n, md5(n::text)"
    " FROM generate_series(1, 500) n",
    "CREATE UNIQUE INDEX words_w ON words (w)",
    "CREATE INDEX words_lower ON words (lower(w)) WHERE n > 10",
    "CREATE INDEX words_pattern ON words (w text_pattern_ops)",
    "CREATE INDEX words_hash ON words USING hash (w)",
    "CREATE INDEX words_c ON words (c)",
    "CREATE INDEX words_n ON words (n)",
    "CREATE INDEX \"words I\" ON words (i)",
    "CREATE TYPE span AS RANGE (subtype = text, collation = \"und-x-icu\")",
    "CREATE TABLE spans (s span)",
    "CREATE INDEX spans_s ON spans USING gist (s)",
    "CREATE TABLE parts (k text, v int) PARTITION BY RANGE (k)",
    "CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('a') TO ('n')",
    "CREATE INDEX parts_k ON parts (k)",
)  # fmt: skip


def words(source: Source) -> None:
    """A database with collations other than C, whose library versions are another host's."""
    source.sql(
        "CREATE DATABASE app TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        " LOCALE 'C.UTF-8'"
    )
    for statement in OBJECTS:
        source.sql(statement, "app")
    source.sql("UPDATE pg_database SET datcollversion = '1.1' WHERE datname = 'app'")
    source.sql("UPDATE pg_collation SET collversion = '1.1' WHERE collname = 'und-x-icu'", "app")


AFFECTED = ['"public"."parts_a_k_idx"', '"public"."spans_s"', '"public"."words I"',
            '"public"."words_lower"', '"public"."words_w"']  # fmt: skip


def finished(servers: Servers, state_dir: Path, source: Source, *, reindex: bool) -> FinishResult:
    task = started(servers, source, state_dir, reindex=reindex)
    return finish(task, promoted(task))


def test_changed_collations_and_their_indexes_are_named(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    words(source)
    done = finished(servers, state_dir, source, reindex=False)
    changed = {(c["database"], c["collation"], c["recorded"]) for c in done.collations["changed"]}
    assert changed == {("app", None, "1.1"), ("app", '"pg_catalog"."und-x-icu"', "1.1")}
    assert [i["name"] for i in done.collations["indexes"]] == AFFECTED
    assert done.collations["partitioned"] == [{"database": "app", "table": "public.parts"}]
    statements = [s["sql"] for s in done.statements]
    assert statements == [
        *(f"REINDEX INDEX CONCURRENTLY {name}" for name in AFFECTED),
        'ALTER DATABASE "app" REFRESH COLLATION VERSION',
        'ALTER COLLATION "pg_catalog"."und-x-icu" REFRESH VERSION',
    ]


def test_reindex_rebuilds_and_records_the_new_versions(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    words(source)
    task = started(servers, source, state_dir, reindex=True)
    result = promoted(task)
    with task.cluster().connect("app") as conn:
        files = dict(conn.execute("SELECT relname, pg_relation_filenode(oid) FROM pg_class"))
    done = finish(task, result)
    assert [i["name"] for i in done.collations["indexes"]] == AFFECTED
    assert done.statements == []
    with task.cluster().connect("app") as conn:
        after = dict(conn.execute("SELECT relname, pg_relation_filenode(oid) FROM pg_class"))
        (left,) = conn.execute(
            "SELECT count(*) FROM pg_database"
            " WHERE datcollversion <> pg_database_collation_actual_version(oid)"
        ).fetchone() or (None,)
    assert left == 0
    rebuilt = {name for name in files if files[name] and files[name] != after.get(name)}
    assert rebuilt == {"words_w", "words_lower", "words I", "spans_s", "parts_a_k_idx"}


def test_index_that_cannot_be_rebuilt_is_reported(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    words(source)
    task = started(servers, source, state_dir, reindex=True)
    result = promoted(task)
    with task.cluster().connect("app") as conn:
        # Duplicates that the index does not know of, as a changed order leaves them.
        conn.execute("UPDATE pg_index SET indisready = false, indisvalid = false"
                     " WHERE indexrelid = 'words_w'::regclass")  # fmt: skip
        conn.execute("INSERT INTO words SELECT * FROM words LIMIT 1")
        conn.execute("UPDATE pg_index SET indisready = true, indisvalid = true"
                     " WHERE indexrelid = 'words_w'::regclass")  # fmt: skip
    done = finish(task, result)
    (failed,) = [i for i in done.collations["indexes"] if i["error"]]
    assert failed["name"] == '"public"."words_w"' and "could not create" in failed["error"]
    assert 'ALTER DATABASE "app" REFRESH COLLATION VERSION' in [s["sql"] for s in done.statements]


@pytest.mark.parametrize("major", [10, 13])
def test_collations_of_older_majors_are_compared(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    source.sql('CREATE TABLE words (w text COLLATE "und-x-icu")')
    source.sql("CREATE INDEX words_w ON words (w)")
    source.sql("UPDATE pg_collation SET collversion = '1.1' WHERE collname = 'und-x-icu'")
    done = finished(servers, state_dir, source, reindex=True)
    assert [i["name"] for i in done.collations["indexes"]] == ['"public"."words_w"']
    assert done.statements == []
