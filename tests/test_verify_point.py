"""The common point before the switchover: both sides show the same, while the source works."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import verify_lab
from fix_servers import Servers, Source, fill
from landbridge.errors import LandbridgeError, VerificationFailed
from landbridge.migration.follow import Follower
from landbridge.migration.locks import switch_lock
from landbridge.migration.standby import hold
from landbridge.migration.states import State
from landbridge.migration.switchover import preflight
from landbridge.migration.verify import budget, compare, sides, verify
from landbridge.migration.verify.tables import Table


@contextmanager
def writers(source: Source, dbname: str = "postgres", count: int = 4) -> Iterator[list[int]]:
    """Sessions that change rows without a pause; yields their numbers of commits."""
    stop, done = threading.Event(), [0] * count

    def write(number: int) -> None:
        with source.connect(dbname) as conn:
            if number == 0:
                conn.execute("SET synchronous_commit = off")
            while not stop.is_set():
                key = done[number] % 1000 * count + number + 1
                with conn.transaction():
                    conn.execute(f"UPDATE items SET t = md5(random()::text) WHERE id = {key}")
                    with conn.transaction():
                        conn.execute("SELECT nextval('numbers')")
                done[number] += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("major", [pytest.param(10, marks=pytest.mark.slow), 18])
def test_equal_under_load(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    with writers(source) as done:
        begin = list(done)
        result = verify(lab.task)
        assert sum(done) > sum(begin)
    assert [t.name for t in result.tables if not t.equal] == []
    assert result.differences == 0
    (items,) = [t for t in result.tables if t.table == "items"]
    assert items.rows_source == 20_000
    # The standby follows again.
    assert not hold.is_held(lab.task)
    lab.caught_up()


def test_two_busy_databases_each_have_a_point(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE DATABASE second")
    fill(source, dbname="second")
    lab = verify_lab.make(servers, source, state_dir)
    with writers(source, count=2), writers(source, "second", count=2):
        result = verify(lab.task)
    assert result.differences == 0
    lsns = {p["database"]: p["lsn"] for p in result.points}
    assert lsns.keys() == {"postgres", "second", "template1"}
    at = {t.database: t.lsn for t in result.tables}
    assert at["second"] == lsns["second"] and at["postgres"] == lsns["postgres"]


def test_truncated_table_is_read_again(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE TABLE dropped AS SELECT 1 AS a")
    source.sql("ANALYZE")
    lab = verify_lab.make(servers, source, state_dir)
    read, meddled = compare.read, []

    def meddle(conn: Any, table: Table | None, **more: bool) -> tuple[int, str] | None:
        if more and table and table.name == "items" and not meddled:
            meddled.append(table)
            source.sql("TRUNCATE items")
            source.sql("INSERT INTO items VALUES (1, 'new')")
            source.sql("DROP TABLE dropped")
        return read(conn, table, **more)

    monkeypatch.setattr(compare, "read", meddle)
    result = verify(lab.task, jobs=1)
    assert meddled and result.differences == 0
    (items,) = [t for t in result.tables if t.table == "items"]
    assert items.rows_source == 1
    assert "dropped" not in {t.table for t in result.tables}
    assert [p["database"] for p in result.points].count("postgres") == 2


@pytest.mark.slow
def test_table_locked_at_the_point_does_not_hang(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE TABLE other AS SELECT 1 AS a")
    lab = verify_lab.make(servers, source, state_dir)
    monkeypatch.setitem(sides.SETTINGS, "lock_timeout", "200ms")
    with source.connect() as conn, conn.transaction():
        # The standby takes over the lock, and keeps it while it is stopped.
        conn.execute("LOCK TABLE items")
        result = verify(lab.task)
    assert [t.table for t in result.tables] == ["other"]
    assert result.differences == 0
    (why,) = [s["why"] for s in result.skipped if s["what"] == "table postgres.public.items"]
    assert "locked" in why


def test_source_is_not_filled_with_wal(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE TABLE other AS SELECT 1 AS a")
    lab = verify_lab.make(servers, source, state_dir, wal_budget=3_000_000)
    monkeypatch.setattr(budget, "_EVERY", 0)

    def write(what: str, done: int, total: int) -> None:
        source.sql("SELECT pg_logical_emit_message(false, 'x', repeat('y', 4000000))")

    # Beyond its position the standby has received WAL already, so it does not ask for more.
    with writers(source, count=2), pytest.raises(VerificationFailed) as caught:
        verify(lab.task, report=write)
    assert caught.value.id == "verify.wal_budget"
    lab.caught_up()


@pytest.mark.slow
def test_the_follower_leaves_it_alone(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    stop = threading.Event()
    follower = threading.Thread(target=Follower(lab.task).run, args=(stop,))
    follower.start()
    try:
        before = len(list(lab.task.journal.entries()))
        assert verify(lab.task).differences == 0
        lab.caught_up()
    finally:
        stop.set()
        follower.join()
    entries = list(lab.task.journal.entries())[before:]
    assert [e for e in entries if e["kind"] != "step"] == []


_CHILD = """
import sys, time
from pathlib import Path
from typing import Any
from landbridge.migration.task import Task
from landbridge.migration.verify import verify

def report(what, done, total):
    if done:
        print(what, flush=True)
        time.sleep(600)

verify(Task(Path(sys.argv[1])), report=report)
"""


def test_killed_verification_lets_go(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, lab.task.folder], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline()
            assert hold.is_held(lab.task)
            with pytest.raises(LandbridgeError) as caught:
                verify(lab.task)
            assert caught.value.id == "verify.in_progress"
            assert "switchover.verifying" in {rail.id for rail in preflight(lab.task)}
        finally:
            child.kill()
    assert hold.left_held(lab.task)
    assert verify(lab.task).differences == 0
    source.sql("INSERT INTO items VALUES (-1, 'later')")
    lab.caught_up()


def test_no_verification_during_a_switchover(servers: Servers, state_dir: Path) -> None:
    lab = verify_lab.make(servers, servers.source(15), state_dir)

    def refused() -> bool:
        with pytest.raises(LandbridgeError) as caught:
            verify(lab.task)
        return caught.value.id == "verify.switching" and not hold.is_held(lab.task)

    with switch_lock(lab.task):
        assert refused()
    # A switchover whose worker has died still has the source fenced.
    lab.task.journal.enter(State.FENCING)
    assert refused()
    lab.task.journal.enter(State.SYNCHRONIZING)
    assert verify(lab.task).differences == 0
