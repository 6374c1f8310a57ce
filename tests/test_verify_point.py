"""The common point before the switchover: both sides show the same, while the source works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import verify_lab
from fix_servers import Servers, Source, fill
from landbridge.migration.verify import hold, verify


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


@pytest.mark.parametrize("major", [10, 12, 15, 18])
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


def test_idle_source_needs_no_new_wal(servers: Servers, state_dir: Path) -> None:
    source = servers.source(16)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    assert verify(lab.task).differences == 0
