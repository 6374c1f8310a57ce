"""The comparison of tables: equal is said to be equal, and every difference is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import verify_lab
from fix_servers import Servers, Source, fill
from landbridge.errors import UsageError, VerificationFailed
from landbridge.migration.task import read_json, write_json
from landbridge.migration.verify import Verification, verify


def differing(result: Verification) -> list[str]:
    return [t.name for t in result.tables if not t.equal]


def everything(source: Source) -> None:
    """Something of each kind that a comparison meets."""
    fill(source)
    for statement in (
        "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a",
        "CREATE TABLE parted (a int, b float8) PARTITION BY RANGE (a)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000)",
        "INSERT INTO parted SELECT i, i / 3.0 FROM generate_series(1, 500) i",
        "CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n FROM items",
        "CREATE MATERIALIZED VIEW unseen AS SELECT 1 WITH NO DATA",
        "CREATE EXTENSION file_fdw",
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE abroad (a text) SERVER files OPTIONS (filename '/dev/null')",
        'CREATE TABLE "odd "" name" ("a b" money, t timestamptz, i interval, b bytea)',
        """INSERT INTO "odd "" name" VALUES (1.5, now(), '1 day 2 h', '\\x00ff')""",
        "CREATE TABLE hollow ()",
        "INSERT INTO hollow DEFAULT VALUES",
        "SELECT lo_from_bytea(0, decode(repeat('ab', 5000), 'hex'))",
        "SELECT nextval('numbers') FROM generate_series(1, 40)",
        "CREATE DATABASE second",
        "ALTER ROLE boss SET work_mem = '8MB'",
    ):
        source.sql(statement)
    fill(source, 500, "second")


@pytest.mark.parametrize(
    "major",
    [10, pytest.param(12, marks=pytest.mark.slow), pytest.param(15, marks=pytest.mark.slow), 18],
)
def test_equal_after_promotion(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    everything(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    calls: list[tuple[str, int, int]] = []
    result = verify(lab.task, report=lambda *call: calls.append(call))
    assert differing(result) == []
    assert [o for o in result.objects if not o.equal] == []
    assert result.differences == 0
    found = {t.name: t.rows_source for t in result.tables}
    assert found["postgres.public.items"] == 20_000
    assert found["second.public.items"] == 500
    assert found['postgres.public.odd " name'] == 1
    assert found["postgres.public.parted_1"] == 500
    assert found["postgres.public.seen"] == 1
    why = {s["what"]: s["why"] for s in result.skipped}
    assert "unlogged" in why["table postgres.public.fleeting"]
    assert "foreign" in why["table postgres.public.abroad"]
    assert "never populated" in why["table postgres.public.unseen"]
    (objects,) = [o for o in result.of_kind("large objects") if o.name == "postgres"]
    assert objects.source == "1"
    assert calls[-1][1] == calls[-1][2]
    written = json.loads((lab.task.folder / "verification.json").read_text())
    assert written["differences"] == 0 and len(written["tables"]) == len(result.tables)
    # A second one finds the destination where it was, although indexes were examined.
    assert verify(lab.task).differences == 0


def test_destination_moved_on_is_an_error(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    # The source had used ids that the destination never heard of.
    path = lab.task.folder / "switchover/result.json"
    result = read_json(path)
    write_json(path, result | {"promote_next_xid": result["promote_next_xid"] + 10})
    assert verify(lab.task).differences == 0
    lab.there("UPDATE items SET t = t WHERE id = 7")
    with pytest.raises(VerificationFailed) as caught:
        verify(lab.task)
    assert caught.value.id == "verify.destination_moved"


def test_source_moved_on_is_an_error(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    source.sql("UPDATE items SET t = t WHERE id = 7")
    with pytest.raises(VerificationFailed) as caught:
        verify(lab.task)
    assert caught.value.id == "verify.source_moved"


@pytest.mark.parametrize("major", [pytest.param(11, marks=pytest.mark.slow), 16])
def test_planted_differences_are_found_and_located(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    fill(source)
    for name in ("changed", "missing", "extra", "doubled"):
        source.sql(f"CREATE TABLE {name} AS SELECT * FROM items")
        source.sql(f"ALTER TABLE {name} ADD PRIMARY KEY (id)")
    source.sql("ALTER TABLE doubled DROP CONSTRAINT doubled_pkey")
    source.sql("CREATE TABLE lost AS SELECT 1 AS a")
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    lab.plant(
        "UPDATE changed SET t = 'geheim' WHERE id = 15000",
        "DELETE FROM missing WHERE id IN (3, 4)",
        "INSERT INTO extra VALUES (20001, 'more')",
        "INSERT INTO doubled SELECT * FROM doubled WHERE id = 5",
        "DROP TABLE lost",
    )
    result = verify(lab.task)
    assert sorted(t.table for t in result.tables if not t.equal) == [
        "changed", "doubled", "extra", "lost", "missing"
    ]  # fmt: skip
    where = {t.table: t.where for t in result.tables if t.where}
    assert where["missing"]["keys"] == ["(3)", "(4)"]
    assert where["missing"]["blocks"] == [0]
    assert where["extra"]["keys"] == ["(20001)"]
    # The update left the old version's place empty and put the new one at the end.
    assert where["changed"]["keys"] == ["(15000)", "(15000)"]
    assert len(where["changed"]["blocks"]) == 2
    assert where["doubled"]["key_columns"] == ["ctid"]
    assert "geheim" not in json.dumps(result.as_dict())
    with pytest.raises(VerificationFailed) as caught:
        result.raise_for_differences()
    assert caught.value.id == "verify.differences" and "changed" in str(caught.value)


def test_other_objects_differ(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("SELECT lo_from_bytea(4711, 'abc')")
    source.sql("SELECT nextval('numbers') FROM generate_series(1, 100)")
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    lab.plant(
        "SELECT lo_put(4711, 1, 'x')",
        "SELECT setval('numbers', 50)",
        "ALTER ROLE boss PASSWORD 'changed-it'",
        "CREATE FUNCTION new() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER DATABASE template1 SET work_mem = '1MB'",
    )
    result = verify(lab.task)
    odd = {(o.kind, o.name) for o in result.objects if not o.equal}
    assert odd == {
        ("large objects", "postgres"), ("sequence", "postgres.public.numbers"),
        ("role", "boss"), ("definitions", "postgres.pg_proc"),
        ("setting", "every role in template1"),
    }  # fmt: skip
    text = json.dumps(result.as_dict())
    assert "SCRAM" not in text and "changed-it" not in text


def test_account_without_select_is_refused(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir, fence_as=None, verify_as=None)
    with pytest.raises(VerificationFailed) as caught:
        verify(lab.task)
    assert caught.value.id == "verify.no_select"
    assert "postgres.public.items" in str(caught.value)
    # pg_read_all_data is enough, without superuser.
    source.sql("GRANT pg_read_all_data TO migrator")
    result = verify(lab.task)
    assert result.differences == 0
    assert {o.kind for o in result.objects} >= {"sequence", "role", "large objects"}


def test_row_security_is_no_way_to_be_equal(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("ALTER TABLE items ENABLE ROW LEVEL SECURITY")
    source.sql("GRANT pg_read_all_data TO migrator")
    lab = verify_lab.make(servers, source, state_dir, fence_as=None, verify_as=None)
    with pytest.raises(VerificationFailed) as caught:
        verify(lab.task)
    assert caught.value.id == "verify.no_select"


def test_only_the_tables_named(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE TABLE other AS SELECT 1 AS a")
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    result = verify(lab.task, tables=["public.oth*"])
    assert [t.table for t in result.tables] == ["other"]
    assert not (lab.task.folder / "verification.json").exists()
    with pytest.raises(UsageError) as caught:
        verify(lab.task, tables=["public.nothing"])
    assert caught.value.id == "verify.no_such_table"
