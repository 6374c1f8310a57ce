"""What a sample says about the source, and what watching costs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fix_following import Following, sample_until, started
from fix_servers import Servers, fill
from landbridge.migration.follow import Follower
from landbridge.migration.follow import source as source_module
from landbridge.migration.follow.local import LocalView
from landbridge.migration.follow.measure import Measure
from landbridge.migration.follow.sample import Sample
from landbridge.migration.follow.source import SlotView, SourceView
from landbridge.postgres.lsn import Lsn
from landbridge.postgres.process import wait_until


@pytest.mark.parametrize("major", [10, 18])
def test_transactions_that_stand_in_the_way_are_listed(
    servers: Servers, state_dir: Path, major: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LONG_WRITING", 0.5)
    source = servers.source(major, settings={"max_prepared_transactions": 5})
    fill(source, 100)
    task = started(servers, source, state_dir)
    follower = Follower(task)
    with source.admin().connect(application_name="shop") as conn:
        conn.execute("BEGIN")
        conn.execute("INSERT INTO items VALUES (-1, 'prepared')")
        conn.execute("PREPARE TRANSACTION 'forgotten'")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO items VALUES (-2, 'open')")
        sample = sample_until(follower, lambda s: s.long_transactions)
        conn.execute("ROLLBACK")
    (long,) = sample.long_transactions
    assert long["user"] == "boss" and long["database"] == "postgres" and long["writes"]
    assert long["application"] == "shop" and 0.5 <= long["age_seconds"] < 60
    assert "query" not in long
    (prepared,) = sample.prepared_transactions
    assert prepared["gid"] == "forgotten" and prepared["database"] == "postgres"
    assert sample.sessions == 1
    follower.close()


def test_lag_is_told_in_bytes_and_seconds(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    follower = Follower(task)
    assert follower.sample().lag_seconds == 0
    with task.cluster().connect() as conn:
        conn.execute("SELECT pg_wal_replay_pause()")
        begin = time.monotonic()
        source.sql("INSERT INTO items SELECT i, 'x' FROM generate_series(1000, 5000) i")
        behind = sample_until(follower, lambda s: s.lag_seconds and s.lag_seconds > 1.5)
        assert behind.lag_seconds is not None
        assert behind.lag_seconds < time.monotonic() - begin + 1
        assert behind.lag_bytes is not None and behind.lag_bytes > 4000 * 30
        assert behind.replay_paused and not behind.caught_up
        conn.execute("SELECT pg_wal_replay_resume()")
    sample_until(follower, lambda s: s.caught_up and s.lag_seconds == 0)
    follower.close()


def test_nothing_is_told_of_a_source_that_has_not_answered_for_seconds() -> None:
    """Its stream may still be up: a dead line is noticed by nobody at once."""
    local = LocalView(True, Lsn(9), Lsn(9), False, "streaming", 0.1, False)

    def seen(age: float) -> Sample:
        measure = Measure(budget=100)
        slot = SlotView(Lsn(5), 1, None, None)
        view = SourceView(time.monotonic() - age, Lsn(9), slot, "streaming", sessions=3)
        measure.source_at(view)
        return measure.sample(view, local, reachable=True)

    now, old = seen(0.1), seen(3.5)
    assert now.caught_up and now.source_reachable and now.wal_kept_bytes == 4
    assert (now.lag_bytes, now.lag_seconds, now.sessions) == (0, 0.0, 3)
    assert not old.caught_up and not old.source_reachable and old.source_seen
    assert {old.lag_bytes, old.lag_seconds, old.sessions, old.wal_kept_bytes} == {None}


def test_other_cluster_at_the_source_s_address_is_not_taken_for_it(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    other = servers.source(15)
    other.stop()
    source.stop()
    other.port = source.port
    path = other.data / "postgresql.conf"
    path.write_text(path.read_text() + f"port = {source.port}\n")
    other.start()
    follower = Follower(task)
    sample = follower.sample()
    assert not sample.source_reachable and sample.source_lsn is None
    assert other.sql("SELECT slot_name FROM pg_replication_slots") == []
    follower.close()


def test_follower_is_cheap_and_leaves_no_connection(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'landbridge'"
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        begin, cpu = time.monotonic(), time.process_time()
        following.until(lambda s: time.monotonic() - begin > 4)
        share = (time.process_time() - cpu) / (time.monotonic() - begin)
        # One of ours on the source; the question itself is asked as the bootstrap superuser.
        mine = f"{ours} AND usename = 'migrator' AND state <> 'active'"
        assert source.sql(mine + " AND xact_start IS NOT NULL") == [(0,)]
    assert share < 0.05, "measured alone: 0.01"
    assert task.read_live()["phase"] == "synchronizing"
    assert wait_until(lambda: source.sql(f"{ours} AND usename = 'migrator'") == [(0,)], 20)
    with task.cluster().connect(application_name="test") as conn:
        assert wait_until(lambda: conn.execute(ours.encode()).fetchone() == (0,), 20)
