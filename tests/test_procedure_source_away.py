"""A migration given up while the source is away, and what the source's disk is spared meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fix_cli import Cli
from fix_servers import Servers, Source
from fix_standby import stopped
from fix_wire import Wire
from landbridge.migration import plan, worker
from landbridge.migration.states import State
from landbridge.migration.task import Task, Tasks, read_json
from landbridge.postgres.process import wait_until
from test_procedure_real import CHEAP, begin, detached, working


def slots(source: Source) -> list[str]:
    return [name for (name,) in source.sql("SELECT slot_name FROM pg_replication_slots")]


def noted(task: Task, id: str) -> list[dict[str, Any]]:
    return [e for e in task.journal.entries() if e.get("id") == id]


def begin_over(source: Source, servers: Servers, state_dir: Path, port: int) -> Task:
    """A task that reaches its source over another port."""
    data, own = servers.destination()
    conninfo = source.conninfo().with_(port=port)
    request = plan.make_request(conninfo, data, own, settings=CHEAP, sync=False, fence="manual")
    return plan.create_task(Tasks(state_dir), request, conninfo)


def test_cancel_while_the_source_is_stopped_ends_when_it_is_back(
    servers: Servers, state_dir: Path, cli: Cli
) -> None:
    source, task = begin(servers, 15, state_dir)
    with detached(task):
        assert wait_until(lambda: bool(task.read_live().get("caught_up")), 60), task.state
        source.stop("immediate")
        worker.request_cancel(task)
        assert wait_until(lambda: task.read_live().get("knocks", 0) > 1, 30)
        assert not Path(task.request.data).exists() and task.cluster().process() is None
        shown = cli("show", task.id).out
        assert f"Cancelling: waiting for the source to drop slot {task.slot}" in shown
        assert "goes on by itself" in shown
        source.start()
        assert wait_until(lambda: task.state is State.CANCELLED, 20)
    assert slots(source) == []
    assert len(noted(task, "undo.waiting")) == 1 and not noted(task, "undo.given_up")


@pytest.mark.slow
def test_cancel_over_a_dead_wire_is_left_gone_on_with_and_given_up(
    servers: Servers, state_dir: Path, cli: Cli, wires: type[Wire]
) -> None:
    source = servers.source(15)
    wire = wires(source.port)
    task = begin_over(source, servers, state_dir, wire.port)
    with working(task):
        assert wait_until(lambda: bool(task.read_live().get("caught_up")), 60), task.state
    wire.cut()
    command = [sys.executable, "-m", "landbridge.cli", "cancel", task.id, "--yes"]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert wait_until(lambda: task.read_live().get("knocks", 0) > 0, 40)
        assert not Path(task.request.data).exists() and task.cluster().process() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
    assert f"waiting for the source to drop slot {task.slot}" in out
    assert f"landbridge resume {task.id}" in err and f"landbridge cancel {task.id}" in err
    shown = cli("show", task.id).out
    assert f"Cancelling: waiting for the source to drop slot {task.slot}" in shown
    assert f"Nobody works on it now.\nGo on: landbridge resume {task.id}" in shown
    given_up = cli("cancel", task.id, "--yes")
    assert given_up.code == 1
    assert f"SELECT pg_drop_replication_slot('{task.slot}');" in given_up.out
    assert task.state is State.CANCELLED and slots(source) == [task.slot]


def test_slot_is_dropped_during_the_copy_when_the_wal_budget_is_spent(
    servers: Servers, state_dir: Path
) -> None:
    source, task = begin(servers, 15, state_dir, max_rate=2_000_000, wal_budget=64 * 2**20)
    with detached(task):
        assert wait_until((task.folder / "copy/progress.json").exists, 60)
        # The copier stands still, as on a destination whose disk does.
        with stopped(read_json(task.folder / "copy/child.json")["pid"]):
            write_wal(source, 96)
            assert wait_until(lambda: slots(source) == [], 30), noted(task, "follow.wal_budget")
        assert wait_until(lambda: task.state is State.FAILED, 30), task.state
    error = task.journal.first_error()
    assert error and error["id"] == "follow.wal_budget_exceeded"
    assert not Path(task.request.data).exists()


def write_wal(source: Source, megabytes: int) -> None:
    """Write at least so much WAL."""
    source.sql("CREATE TABLE IF NOT EXISTS noise (t text)")
    for _ in range(megabytes // 16):
        source.sql("INSERT INTO noise VALUES ('x')")
        source.sql("SELECT pg_switch_wal()")
