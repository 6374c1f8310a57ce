"""The standby dies, pauses or falls behind in its parameters, and is put right."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fix_following import Following, notes, started
from fix_servers import Servers, Source, fill
from landbridge.migration.standby.hold import Hold, hold
from landbridge.migration.task import Task
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import find
from landbridge.postgres.lsn import Lsn


def restart_with(source: Source, setting: str) -> None:
    """Restart the source with one more line of configuration."""
    path = source.data / "postgresql.conf"
    source.account.write(path, path.read_text() + setting + "\n")
    source.restart()


def shown(task: Task, name: str) -> str:
    with task.cluster().connect() as conn:
        (value,) = conn.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
    return str(value)


@pytest.mark.parametrize("major", [11, 13, 15])
def test_parameter_raised_on_the_source_is_raised_here(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    fill(source, 100)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        restart_with(source, "max_connections = 150")
        source.sql("INSERT INTO items VALUES (-1, 'raised')")
        if major >= 14:
            seen = following.ever(lambda s: s.replay_paused)
        else:
            seen = following.ever(lambda s: not s.standby_up)
        following.until(lambda s: s.caught_up and not s.replay_paused)
    assert shown(task, "max_connections") == "150"
    assert "follow.parameters_raised" in notes(task)
    if major >= 14:
        reasons = {s.replay_paused for s in following.samples} - {None}
        assert any("max_connections from 100 to 150" in str(r) for r in reasons), seen


def test_standby_that_died_is_started_again(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        process = task.cluster().process()
        assert process is not None
        process.send(signal.SIGKILL)
        following.ever(lambda s: not s.standby_up)
        following.until(lambda s: s.caught_up)
    assert {"follow.standby_died", "follow.standby_restarted"} <= set(notes(task))


def test_replay_paused_by_a_person_is_said_and_left_alone(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    with Following(task) as following, task.cluster().connect() as conn:
        following.until(lambda s: s.caught_up)
        conn.execute("SELECT pg_wal_replay_pause()")
        source.sql("INSERT INTO items VALUES (-1, 'waits')")
        paused = following.until(lambda s: s.replay_paused and "somebody" in s.replay_paused)
        assert not paused.caught_up
        conn.execute("SELECT pg_wal_replay_resume()")
        following.until(lambda s: s.caught_up and s.replay_paused is None)
    assert notes(task).count("follow.replay_paused") == 1


def test_verification_may_stop_and_pause_the_standby(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        with hold(task):
            task.cluster().stop()
            down = following.until(lambda s: not s.standby_up)
            following.until(lambda s: s is not down)
            assert task.cluster().process() is None
        following.until(lambda s: s.caught_up)


def test_standby_left_held_by_a_dead_verification_is_let_go(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    # Without the locks of hold(), which a process loses when it dies.
    held = Hold(task)
    ((here,),) = source.sql("SELECT pg_current_wal_lsn()::text")
    held.follow(Lsn.parse(here))
    source.sql("INSERT INTO items SELECT i, 'some' FROM generate_series(1000, 2000) i")
    ((target,),) = source.sql("SELECT pg_current_wal_lsn()::text")
    source.sql("INSERT INTO items VALUES (-1, 'beyond the target')")
    held.stop_at(Lsn.parse(target))
    mark = json.loads((task.folder / "verifying").read_text())
    mark["process"]["started"] += 1
    (task.folder / "verifying").write_text(json.dumps(mark))
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
    assert not (task.folder / "verifying").exists()


def test_subscription_that_arrives_while_following_is_kept_still(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    assert shown(task, "max_logical_replication_workers") == "4"
    with Following(task) as following:
        source.sql(
            "CREATE SUBSCRIPTION news CONNECTION 'host=nowhere' PUBLICATION news"
            " WITH (connect = false)"
        )
        following.until(lambda s: "standby.subscriptions_still" in notes(task))
        following.until(lambda s: s.caught_up)
    assert shown(task, "max_logical_replication_workers") == "0"


def test_destination_promoted_by_somebody_ends_the_following(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        task.cluster().signal_promotion()
        assert getattr(following.failed(), "id", "") == "follow.destination_promoted"
    assert task.cluster().process() is not None


@pytest.fixture
def small_disk(servers: Servers) -> Iterator[Callable[[str], None]]:
    """A file system of 96 MB at `small` in the servers' folder; call it with a new size."""
    folder = servers.root / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")

    def resize(size: str) -> None:
        options = f"remount,size={size}"
        subprocess.run(["mount", "-o", options, str(folder)], check=True, capture_output=True)

    try:
        folder.chmod(0o755)
        yield resize
    finally:
        for pid_file in folder.glob("*/postmaster.pid"):
            Cluster(pid_file.parent, find(15), 0).stop("immediate")
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_told_and_following_goes_on_when_there_is_space(
    servers: Servers, state_dir: Path, small_disk: Callable[[str], None]
) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir, name="small/destination")
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        source.sql(
            "INSERT INTO items SELECT i, repeat('x', 100) FROM generate_series(1000, 300000) i"
        )
        following.until(lambda s: "follow.disk_full" in notes(task), seconds=60)
        small_disk("1g")
        following.until(lambda s: s.caught_up, seconds=60)
    assert notes(task).count("follow.disk_full") == 1
    with task.cluster().connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (299_101,)
