"""Switching over from a command line that is interrupted, or whose worker dies."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fix_cli import Cli
from fix_servers import MIGRATOR_PASSWORD, OWNER_PASSWORD, Servers, Source, fill
from fix_standby import replaying, stopped
from landbridge.migration import worker
from landbridge.migration.fence.attempt import Attempt
from landbridge.migration.states import State
from landbridge.migration.task import Task, Tasks
from landbridge.postgres.process import ProcessId, wait_until
from test_switchover_crash import fence_settings


@pytest.fixture
def source(servers: Servers, state_dir: Path) -> Source:
    made = servers.source(15)
    fill(made, 1_000)
    return made


@pytest.fixture
def following(
    cli: Cli, servers: Servers, source: Source, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Task]:
    """A migration that a detached worker has brought to where it can be switched over."""
    monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
    monkeypatch.setenv("LANDBRIDGE_FENCE_PASSWORD", OWNER_PASSWORD)
    data, port = servers.destination()
    started = cli(
        "migrate", f"host=127.0.0.1 port={source.port} user=migrator dbname=postgres",
        "--to", data, "--port", port, "--fence-as", "user=boss", "--detach", "--json",
    )  # fmt: skip
    assert started.code == 0, started.out
    (task,) = Tasks(state_dir).all()
    try:
        assert wait_until(lambda: task.read_live().get("caught_up") is True, 180, every=0.05)
        yield task
    finally:
        if task.folder.exists():
            pids = {e["pid"] for e in task.journal.entries() if e.get("id") == "worker.started"}
            for left in map(ProcessId.of, pids - {os.getpid()}):
                if left is not None:
                    left.send(signal.SIGKILL)


@contextmanager
def landbridge(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "landbridge.cli", *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code of a command, and what it said on stderr."""
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    return process.returncode, said


def fenced(source: Source) -> Callable[[], bool]:
    return lambda: fence_settings(source)[0] != ""


def end_worker(task: Task, number: signal.Signals) -> None:
    """End the process that works on the task."""
    pids = [e["pid"] for e in task.journal.entries() if e.get("id") == "worker.started"]
    os.kill(pids[-1], number)
    assert wait_until(lambda: not task.is_worked_on(), 20, every=0.02)


def test_ctrl_c_elsewhere_ends_the_looking_and_undo_ends_the_switchover(
    cli: Cli, source: Source, following: Task
) -> None:
    task = following
    with stopped(replaying(task)), landbridge("switchover", task.id, "--yes") as attached:
        assert wait_until(fenced(source), 120, every=0.02)
        shown = cli("show", task.id).out
        assert "may acknowledge writes until the fence stands" in shown
        assert f"landbridge switchover {task.id} --undo" in shown
        attached.send_signal(signal.SIGINT)
        code, said = ended(attached)
        assert code == 130 and "Nothing was changed" not in said
        assert "switchover goes on in process" in said
        assert f"landbridge watch {task.id}" in said
        assert f"landbridge switchover {task.id} --undo" in said
        assert fenced(source)() and task.state is State.FENCING
        undone = cli("switchover", task.id, "--undo", "--json")
        assert undone.code == 0, undone.out
        assert undone.object["state"] == "synchronizing"
        assert fence_settings(source) == ("", "off")
    assert task.is_worked_on() and Attempt.load(task) is None
    again = cli("switchover", task.id, "--undo", "--json")
    assert again.code == 1 and again.object["error"]["id"] == "switchover.not_under_way"
    switched = cli("switchover", task.id, "--yes", "--json")
    assert switched.code == 0, switched.out
    late = cli("switchover", task.id, "--undo", "--json")
    assert late.object["error"]["id"] == "switchover.too_late"


def test_ctrl_c_where_the_work_is_done_puts_the_source_back(
    cli: Cli, source: Source, following: Task
) -> None:
    task = following
    end_worker(task, signal.SIGTERM)
    with stopped(replaying(task)), landbridge("switchover", task.id, "--yes") as working:
        assert wait_until(fenced(source), 120, every=0.02)
        working.send_signal(signal.SIGINT)
        code, said = ended(working)
        assert code == 130
        assert "the switchover was put back" in said and "accepts writes as before" in said
        assert f"landbridge resume {task.id}" in said
        assert fence_settings(source) == ("", "off")
    assert task.state is State.SYNCHRONIZING and not task.is_worked_on()
    # It is not begun again by whoever goes on.
    worker.detach(task)
    assert wait_until(lambda: task.read_live().get("caught_up") is True, 180, every=0.05)
    assert fence_settings(source) == ("", "off") and task.state is State.SYNCHRONIZING


def test_ctrl_c_while_the_source_is_away_ends_and_the_next_worker_puts_it_back(
    cli: Cli, source: Source, following: Task
) -> None:
    task = following
    end_worker(task, signal.SIGTERM)
    with stopped(replaying(task)), landbridge("switchover", task.id, "--yes") as working:
        assert wait_until(fenced(source), 120, every=0.02)
        source.stop("immediate")
        working.send_signal(signal.SIGINT)
        code, said = ended(working)
        assert code == 130 and "could not be put back yet" in said
    assert task.state is State.FENCING and Attempt.load(task) is not None
    process = worker.detach(task)
    assert wait_until(lambda: task.read_live().get("knocks", 0) > 0, 20)
    undone = cli("switchover", task.id, "--undo", "--json")
    assert undone.object["error"]["id"] == "switchover.undo_pending"
    source.start()
    # Nobody asks again: the worker does, and follows.
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 20)
    assert fence_settings(source) == ("", "off") and Attempt.load(task) is None
    assert wait_until(lambda: task.read_live().get("caught_up") is True, 180, every=0.05)
    # A worker whose folder was removed ends by itself.
    task.folder.rename(task.folder.with_name("gone"))
    assert wait_until(lambda: not process.alive(), 20)


def test_killed_worker_is_noticed_by_whoever_follows_it(
    cli: Cli, source: Source, following: Task
) -> None:
    task = following
    replay = replaying(task)
    with stopped(replay), landbridge("switchover", task.id, "--yes") as attached:
        assert wait_until(fenced(source), 120, every=0.02)
        end_worker(task, signal.SIGKILL)
        killed = time.monotonic()
        code, said = ended(attached)
        assert code == 1 and time.monotonic() - killed < 30  # before the time limit
        assert "[worker.gone]" in said and "Fencing the source" in said
        assert f"landbridge resume {task.id}" in said and "guard puts the source back" in said
        watched = cli("watch", task.id, "--json")
        assert watched.code == 1 and watched.object["error"]["id"] == "worker.gone"
        refused = cli("switchover", task.id, "--yes", "--json").object["error"]
        assert refused["id"] == "switchover.not_yet"
        assert f"landbridge resume {task.id}" in refused["remedy"]
    resumed = cli("resume", task.id, "--json")
    assert resumed.code == 0, resumed.out
    assert fence_settings(source) == ("", "on")
    shown = cli("show", task.id).out
    for step in resumed.object["switchover"]["reopen"]:
        assert step["line"] in shown
        source.sql(step["line"])
    assert wait_until(lambda: fence_settings(source) == ("", "off"), 20, every=0.02)
    with landbridge("show", task.id) as unread:
        assert unread.stdout is not None and unread.stdout.read(1)
        unread.stdout.close()
        assert unread.wait(20) in (0, 141)
        assert unread.stderr is not None and unread.stderr.read() == ""


@pytest.mark.slow
def test_migrate_repeated_on_a_terminal_fences_as_it_was_begun(
    servers: Servers, source: Source, state_dir: Path
) -> None:
    data, port = servers.destination()
    command = [
        "migrate", f"host=127.0.0.1 port={source.port} user=migrator dbname=postgres",
        "--to", str(data), "--port", str(port), "--fence-as", "user=boss",
    ]  # fmt: skip
    with on_a_terminal(*command) as (process, master):
        said_on(master, "anything else to leave it")
        process.send_signal(signal.SIGINT)
        assert "landbridge resume" in said_on(master, "Give up") and process.wait(30) == 130
    with on_a_terminal(*command) as (process, master):
        said_on(master, "anything else to leave it")
        process.send_signal(signal.SIGTSTP)  # Ctrl-Z: nothing is suspended
        os.write(master, b"switch\n")
        assert "ALTER SYSTEM RESET" in said_on(master, "Evidence:") and process.wait(30) == 0


@contextmanager
def on_a_terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a terminal, with the passwords in its environment; the other end of it."""
    master, slave = pty.openpty()
    passwords = {"PGPASSWORD": MIGRATOR_PASSWORD, "LANDBRIDGE_FENCE_PASSWORD": OWNER_PASSWORD}
    process = subprocess.Popen(
        [sys.executable, "-m", "landbridge.cli", *arguments],
        stdin=slave, stdout=slave, stderr=slave, env=os.environ | passwords,
    )  # fmt: skip
    os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def said_on(master: int, words: str) -> str:
    """What a terminal has shown when it shows these words."""
    said, end = "", time.monotonic() + 60
    while words not in said:
        assert time.monotonic() < end, said
        if select.select([master], [], [], 1)[0]:
            said += os.read(master, 65536).decode(errors="replace")
    return said
