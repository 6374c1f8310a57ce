"""The whole procedure on real servers under a live writer, and the worker killed on its way."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fix_cli import Cli
from fix_servers import (
    MIGRATOR_PASSWORD,
    OWNER_PASSWORD,
    Servers,
    Source,
    contents,
    fill,
    free_port,
    majors,
)
from fix_standby import replaying
from halting import begin_until, stopping
from landbridge.errors import LandbridgeError
from landbridge.migration import plan, switchover, worker
from landbridge.migration.fence.attempt import Attempt
from landbridge.migration.states import State
from landbridge.migration.task import Task, Tasks
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.process import ProcessId, wait_until
from test_switchover_crash import expire, fence_settings, kill

_LATER = (State.DRAINED, State.PROMOTED)
#: Cheap destination: the tests kill workers, never the machine.
CHEAP = {"fsync": "off", "shared_buffers": "16MB", "autovacuum": "off"}


class Writer:
    """Commits numbered rows wherever it may write, and remembers each acknowledgement."""

    def __init__(self, source: Source, task: Task) -> None:
        source.sql("CREATE ROLE app LOGIN PASSWORD 'app-pass'")
        source.sql("CREATE TABLE ledger (n bigint PRIMARY KEY)")
        source.sql("ALTER TABLE ledger OWNER TO app")
        there = Conninfo.parse(f"host=127.0.0.1 port={task.request.port} user=app dbname=postgres")
        self._doors = itertools.cycle(
            [source.conninfo("app", "app-pass"), there.with_password("app-pass")]
        )
        self.acknowledged: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        numbers = itertools.count(1)
        while not self._stop.is_set():
            try:
                with next(self._doors).connect(connect_timeout=2) as conn:
                    while not self._stop.is_set():
                        number = next(numbers)
                        conn.execute("INSERT INTO ledger VALUES (%s)", [number])
                        self.acknowledged.append(number)
            except (psycopg.Error, LandbridgeError):
                time.sleep(0.005)

    def end(self) -> set[int]:
        self._stop.set()
        self._thread.join()
        return set(self.acknowledged)


def begin(servers: Servers, major: int, state_dir: Path, **options: Any) -> tuple[Source, Task]:
    """A prepared source with some data, and a task to move it."""
    source = servers.source(major)
    fill(source, 5_000)
    data, port = servers.destination()
    request = plan.make_request(
        source.conninfo(), data, port, fence_as=source.admin(),
        **{"settings": CHEAP, "sync": False, **options},
    )  # fmt: skip
    task = plan.create_task(Tasks(state_dir), request, source.conninfo(), fence_as=source.admin())
    return source, task


def nothing_lost(source: Source, task: Task, writer: Writer) -> None:
    """Every acknowledged row is at the destination, and the source writes no more."""
    before = len(writer.acknowledged)
    assert wait_until(lambda: len(writer.acknowledged) > before + 20, 60), "no writes afterwards"
    acknowledged = writer.end()
    with task.cluster().connect() as conn:
        found = {n for (n,) in conn.execute("SELECT n FROM ledger")}
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (5_000,)
    assert not acknowledged - found
    assert source.sql("SHOW default_transaction_read_only") == [("on",)]
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    assert not (task.folder / "secrets").exists()
    assert (task.folder / "evidence.html").exists()
    for file, content in contents(task.folder):
        for secret in (MIGRATOR_PASSWORD, OWNER_PASSWORD):
            assert secret.encode() not in content, file


@pytest.mark.parametrize("major", [m for m in (11, 18) if m in majors()])
def test_a_cluster_moves_under_a_live_writer(servers: Servers, state_dir: Path, major: int) -> None:
    source, task = begin(servers, major, state_dir, switchover="auto")
    writer = Writer(source, task)
    assert worker.run(task) is State.FINISHED, task.journal.first_error()
    nothing_lost(source, task, writer)


@contextmanager
def detached(task: Task) -> Iterator[int]:
    """A detached worker's pid; it is killed at the latest when the block ends."""
    process = worker.detach(task)
    try:
        yield process.pid
    finally:
        process.send(signal.SIGKILL)
        assert wait_until(lambda: not process.alive(), 10)


def kill_when(task: Task, reached: Callable[[], bool]) -> None:
    """Let a worker of its own work until `reached`, then kill it at once."""
    with detached(task) as pid:
        assert wait_until(reached, 180, every=0.0005), task.state
        os.kill(pid, signal.SIGKILL)


def entered(task: Task, state: State) -> Callable[[], bool]:
    wanted = f'"state": "{state.value}"'
    return lambda: wanted in task.journal.path.read_text()


def finished(task: Task) -> None:
    """Work on the task, asking for the switchover as often as it is put back."""
    for _ in range(3):
        if task.state is State.SYNCHRONIZING:
            worker.request_switchover(task)
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(task,), kwargs={"stop": stop})
        thread.start()
        began = task.journal.path.stat().st_size
        wait_until(lambda: not thread.is_alive() or put_back(task, began), 180)  # noqa: B023
        stop.set()
        thread.join()
        if task.state is State.FINISHED:
            return
    raise AssertionError(f"{task.state}: {task.journal.first_error()}")


def put_back(task: Task, began: int) -> bool:
    return any(e["kind"] == "error" for e in task.journal.entries(began))


def test_a_worker_killed_on_every_stretch_of_the_way_is_continued(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir, max_rate=12_000_000, time_limit=15.0)
    writer = Writer(source, task)
    kill_when(task, lambda: "assess" in task.journal.path.read_text())
    kill_when(task, (task.folder / "copy/progress.json").exists)
    copier = (task.folder / "copy/child.json").read_text()
    kill_when(task, entered(task, State.STARTING))
    assert (task.folder / "copy/child.json").read_text() == copier, "the copy was begun twice"
    kill_when(task, lambda: bool(task.read_live().get("caught_up")))
    finished(task)
    nothing_lost(source, task, writer)


@pytest.mark.parametrize(
    "state",
    [State.FENCING, *(pytest.param(s, marks=pytest.mark.slow) for s in _LATER)],
    ids=lambda state: state.value,
)
def test_a_worker_killed_in_the_switchover_is_continued(
    servers: Servers, state_dir: Path, state: State
) -> None:
    source, task = begin(servers, 15, state_dir, switchover="auto", time_limit=15.0)
    writer = Writer(source, task)
    kill_when(task, entered(task, state))
    finished(task)
    nothing_lost(source, task, writer)


def test_a_worker_killed_in_the_fence_and_never_resumed_leaves_a_writable_source(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir, switchover="auto")
    writer = Writer(source, task)
    kill(begin_until(task, '"name": "fence", "phase": "begin"', work="work"))
    expire(task)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 180)
    before = len(writer.acknowledged)
    assert wait_until(lambda: len(writer.acknowledged) > before + 20, 60)
    worker.request_cancel(task)
    assert worker.run(task) is State.CANCELLED
    assert not Path(task.request.data).exists()
    assert source.sql("SHOW synchronous_standby_names") == [("",)]
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    acknowledged = writer.end()
    assert {n for (n,) in source.sql("SELECT n FROM ledger")} >= acknowledged


def test_cancel_while_copying_leaves_nothing(servers: Servers, state_dir: Path) -> None:
    source, task = begin(servers, 15, state_dir, max_rate=3_000_000)
    with detached(task):
        assert wait_until((task.folder / "copy/progress.json").exists, 180)
        worker.request_cancel(task)
        assert wait_until(lambda: task.state is State.CANCELLED, 60), task.state
    assert not Path(task.request.data).exists()
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    assert not (task.folder / "secrets").exists()


@contextmanager
def ending(task: Task) -> Iterator[None]:
    """Kill whatever worker was started in the block and is not over."""
    try:
        yield
    finally:
        for entry in task.journal.entries():
            pid = entry.get("pid", os.getpid())
            if pid != os.getpid() and (process := ProcessId.of(pid)):
                process.send(signal.SIGKILL)


@contextmanager
def working(task: Task) -> Iterator[threading.Thread]:
    """A worker in a thread of ours, stopped when the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(task,), kwargs={"stop": stop})
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


def test_a_source_restarted_during_the_copy_is_copied_again(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir, max_rate=8_000_000)
    with working(task):
        assert wait_until((task.folder / "copy/progress.json").exists, 180)
        source.restart()
        assert wait_until(lambda: task.state is State.SYNCHRONIZING, 180), task.state
    assert [e["id"] for e in task.journal.entries() if e.get("level") == "warning"] == [
        "copy.retried"
    ]


def test_a_destination_promoted_by_hand_is_kept_and_the_slot_is_dropped(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir)
    with working(task) as thread:
        assert wait_until(lambda: bool(task.read_live().get("caught_up")), 180), task.state
        task.cluster().signal_promotion()
        thread.join(30)
    assert task.state is State.FAILED
    error = task.journal.first_error()
    assert error and error["id"] == "follow.destination_promoted"
    with task.cluster().connect() as conn:
        conn.execute("INSERT INTO items VALUES (0, 'written after the promotion')")
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]


@contextmanager
def fenced_and_stuck(source: Source, task: Task) -> Iterator[None]:
    """A worker in its switchover: the source refuses writes, the destination hangs."""
    assert wait_until(lambda: bool(task.read_live().get("caught_up")), 180), task.state
    with stopping(replaying(task)):
        worker.request_switchover(task)
        assert wait_until(lambda: fence_settings(source)[1] == "on", 30)
        yield


def test_an_undo_that_was_given_up_is_carried_out_by_the_guard(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir, time_limit=60.0)
    with working(task) as thread:
        with fenced_and_stuck(source, task):
            source.stop()
            assert wait_until(lambda: held(task) == ["switchover"], 180), task.state
        worker.request_cancel(task)
        assert wait_until(lambda: "undo.waiting" in task.journal.path.read_text(), 180), task.state
        worker.request_cancel(task)
        thread.join(60)
    assert task.state is State.CANCELLED
    (alarm,) = [e for e in task.journal.entries() if e.get("id") == "switchover.fence_left"]
    assert 'ALTER SYSTEM RESET "default_transaction_read_only";' in alarm["statements"]
    assert [f.name for f in (task.folder / "secrets").iterdir()] == ["fence_as.pgpass"]
    left = (source.data / "postgresql.auto.conf").read_text()
    assert "default_transaction_read_only = 'on'" in left
    source.start()
    assert wait_until(lambda: fence_settings(source) == ("", "off"), 30, every=0.05)
    assert wait_until(lambda: not (task.folder / "secrets").exists(), 20)
    assert task.state is State.CANCELLED
    source.sql("CREATE TABLE writable_again ()")


@pytest.mark.slow
def test_port_taken_during_the_copy_keeps_the_copy_until_it_is_free(
    servers: Servers, state_dir: Path, cli: Cli
) -> None:
    source, task = begin(servers, 15, state_dir, max_rate=12_000_000)
    with working(task) as thread:
        assert wait_until((task.folder / "copy/progress.json").exists, 180)
        with socket.create_server(("127.0.0.1", task.request.port)):
            thread.join(60)
            copy = (task.cluster().data / "PG_VERSION").stat().st_ino
            assert (held(task), task.state) == (["start"], State.STARTING)
            shown = cli("show", task.id).out
            assert "start.port_taken" in shown and f"landbridge resume {task.id}" in shown
            assert "--port" in shown and "nobody watches how much" in shown
            again = cli("resume", task.id)
            assert again.code == 1 and "[start.port_taken]" in again.err
    with ending(task):
        assert cli("resume", task.id, "--port", free_port(), "--detach").code == 0
        assert wait_until(lambda: task.state is State.SYNCHRONIZING, 180), task.state
        assert (task.cluster().data / "PG_VERSION").stat().st_ino == copy
        worker.request_cancel(task)
        assert wait_until(lambda: task.state is State.CANCELLED, 60)
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]


def test_setting_that_stops_the_start_is_put_right_with_another(
    servers: Servers, state_dir: Path, cli: Cli
) -> None:
    (certificate := servers.root / "no.crt").write_text("no certificate")
    certificate.chmod(0o644)
    broken = {"ssl": "on", "ssl_cert_file": str(certificate)}
    _, task = begin(
        servers, 15, state_dir, settings={**CHEAP, **broken}, listen="192.0.2.1", hba_file="no line"
    )
    (lines := servers.root / "lines.conf").write_text("local all all reject\n")
    mended = ("--set", "ssl=off", "--listen", "localhost", "--hba-file", lines)
    assert worker.run(task) is State.STARTING
    assert held(task) == ["start"]
    with ending(task):
        assert cli("resume", task.id, *mended, "--detach").code == 0
        assert wait_until(lambda: task.state is State.SYNCHRONIZING, 180), task.state
        worker.request_cancel(task)
        assert wait_until(lambda: task.state is State.CANCELLED, 60)


def held(task: Task) -> list[str]:
    """What waited for a person, in order."""
    return [e["held"] for e in task.journal.entries() if e["kind"] == "error" and "held" in e]


def test_an_error_right_after_the_promotion_is_finished(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OSError(28, "No space left on device")]
    write_down = switchover.complete

    def complete(task: Task, attempt: Attempt) -> switchover.SwitchoverResult:
        if failures:
            raise failures.pop()
        return write_down(task, attempt)

    monkeypatch.setattr(switchover, "complete", complete)
    source, task = begin(servers, 15, state_dir, switchover="auto")
    writer = Writer(source, task)
    assert worker.run(task) is State.FINISHED, task.journal.first_error()
    assert not failures
    nothing_lost(source, task, writer)
