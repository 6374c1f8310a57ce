"""Our slot on the source: lost, made again, or given up to protect the source's disk."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from fix_following import Following, notes, started
from fix_servers import Servers, Source, fill
from fix_wire import Wire
from landbridge.errors import FollowFailed
from landbridge.migration.follow import Sample, guard_slot
from landbridge.migration.journal import Journal
from landbridge.migration.standby import undo_standby
from landbridge.migration.states import Replication, State
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until

#: A source that forgets WAL at once when nobody holds it.
FORGETFUL: dict[str, str | int] = {"max_wal_size": "32MB", "min_wal_size": "32MB"}


def slots(source: Source) -> list[str]:
    return [name for (name,) in source.sql("SELECT slot_name FROM pg_replication_slots")]


def take_slot_away(source: Source, task: Task) -> None:
    """Drop the slot although the standby streams from it."""

    def dropped() -> bool:
        source.sql(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE active_pid IS NOT NULL"
        )
        source.sql(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE active_pid IS NULL"
        )
        return slots(source) == []

    assert wait_until(dropped, 20, every=0.001)


def write_wal(source: Source, megabytes: int) -> None:
    """Write at least so much WAL, in segments of 16 MB."""
    for _ in range(megabytes // 16):
        source.sql("INSERT INTO items VALUES (-1, 'x')")
        source.sql("DELETE FROM items WHERE id = -1")
        source.sql("SELECT pg_switch_wal()")


def test_destination_and_slot_both_gone_ends_the_migration(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    cluster = task.cluster()
    cluster.stop("immediate")
    shutil.rmtree(cluster.data)
    with Following(task) as following:
        assert wait_until(lambda: "follow.destination_gone" in notes(task), 10)
        assert following.failure is None
        take_slot_away(source, task)
        error = following.failed()
    assert isinstance(error, FollowFailed) and error.id == "follow.destination_gone"
    assert "follow.standby_died" not in notes(task)
    undo_standby(task)


@pytest.mark.parametrize("major", [10, 15])
def test_slot_that_was_dropped_is_made_again(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    fill(source, 100)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        take_slot_away(source, task)
        source.sql("INSERT INTO items VALUES (-1, 'later')")
        following.until(lambda s: "follow.slot_recreated" in notes(task))
        following.until(lambda s: s.caught_up)
    assert slots(source) == [task.slot]


def test_slot_whose_wal_is_gone_ends_the_following(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15, settings=FORGETFUL)
    fill(source, 100)
    task = started(servers, source, state_dir)
    task.cluster().stop()
    source.sql(f"SELECT pg_drop_replication_slot('{task.slot}')")
    write_wal(source, 96)
    source.sql("CHECKPOINT")
    task.cluster().start()
    with Following(task) as following:
        assert getattr(following.failed(), "id", "") == "follow.slot_lost"


def test_slot_that_the_source_has_broken_ends_the_following(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15, settings={**FORGETFUL, "max_slot_wal_keep_size": "16MB"})
    fill(source, 100)
    task = started(servers, source, state_dir)
    task.cluster().stop()
    write_wal(source, 128)
    source.sql("CHECKPOINT")
    assert source.sql("SELECT wal_status FROM pg_replication_slots") == [("lost",)]
    task.cluster().start()
    with Following(task) as following:
        assert getattr(following.failed(), "id", "") == "follow.slot_lost"


@pytest.mark.parametrize("major", [pytest.param(11, marks=pytest.mark.slow), 15])
def test_source_is_protected_when_the_wal_budget_is_spent(
    servers: Servers, state_dir: Path, wires: type[Wire], major: int
) -> None:
    source = servers.source(major)
    fill(source, 100)
    wire = wires(source.port)
    # Only the stream's line is cut; the tool still reaches the source, as it would from
    # a destination whose own disk stands still.
    task = started(servers, source, state_dir, wal_budget=256 * 2**20)
    with Following(task) as following, guarded(task) as failures:
        following.until(lambda s: s.caught_up)
        cluster = task.cluster()
        hold_stream(cluster.data, wire)
        cluster.restart()
        following.until(lambda s: s.state is Replication.STREAMING)
        wire.cut()
        write_wal(source, 48)
        seen = following.until(lambda s: (s.wal_kept_bytes or 0) > 32 * 2**20)
        assert seen.wal_budget_bytes == 256 * 2**20
        assert seen.wal_hours_left is not None and seen.wal_hours_left < 1
        write_wal(source, 240)
        # The follower does not make again what was dropped on purpose.
        assert getattr(following.failed(), "id", "") == "follow.wal_budget_exceeded"
    assert [e.id for e in failures] == ["follow.wal_budget_exceeded"]
    assert slots(source) == []
    # Nor does a worker that comes later take it for lost.
    with pytest.raises(FollowFailed):
        guard_slot(task, threading.Event())
    assert "follow.wal_budget_spent" in notes(task)


def test_full_disk_here_does_not_keep_the_source_from_being_protected(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir, wal_budget=16 * 2**20)
    task.journal.enter(State.SYNCHRONIZING)
    task.cluster().stop()
    write_wal(source, 32)
    refused: list[str] = []

    def note(_journal: Journal, id: str, _text: str, **_more: object) -> None:
        refused.append(id)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Journal, "note", note)
    with pytest.raises(OSError, match="No space left"):
        guard_slot(task, threading.Event())
    assert refused == ["follow.wal_budget", "follow.wal_budget_spent"]
    assert slots(source) == []


def test_migration_is_protected_with_alarms(
    servers: Servers, state_dir: Path, wires: type[Wire]
) -> None:
    source = servers.source(15)
    fill(source, 100)
    wire = wires(source.port)
    task = started(
        servers, source, state_dir, wal_budget=64 * 2**20, wal_policy="protect-migration"
    )
    with Following(task) as following, guarded(task):
        following.until(lambda s: s.caught_up)
        hold_stream(task.cluster().data, wire)
        task.cluster().restart()
        following.until(lambda s: s.state is Replication.STREAMING)
        wire.cut()
        for alarms, megabytes in enumerate((48, 16, 32), 1):
            write_wal(source, megabytes)
            following.until(partial(has_alarms, task, alarms))
        wire.mend()
        following.until(lambda s: s.caught_up)
    assert notes(task).count("follow.wal_budget") == 3
    assert slots(source) == [task.slot]


def has_alarms(task: Task, count: int, _sample: Sample) -> bool:
    return notes(task).count("follow.wal_budget") == count


@contextmanager
def guarded(task: Task) -> Iterator[list[FollowFailed]]:
    """The slot's guard beside the block; what ended it."""
    stop, failures = threading.Event(), list[FollowFailed]()

    def guard() -> None:
        try:
            guard_slot(task, stop)
        except FollowFailed as error:
            failures.append(error)

    thread = threading.Thread(target=guard)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join(20)


def hold_stream(data: Path, wire: Wire) -> None:
    """Lead the standby's stream, and nothing else, over the wire."""
    name = "postgresql.conf" if (data / "standby.signal").exists() else "recovery.conf"
    path = data / name
    text = path.read_text()
    changed = text.replace(f"port={wire.target}", f"port={wire.port}")
    assert changed != text
    path.write_text(changed)
