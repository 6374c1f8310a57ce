"""What must never be put back, and what must be whatever happens: the source's fence."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from fix_servers import Servers
from fix_standby import replaying, stopped
from fix_writers import Writer, writing
from halting import begin_until, stopping
from landbridge import lock
from landbridge.errors import FollowFailed, LandbridgeError, MigrationCancelled, UsageError
from landbridge.migration import worker
from landbridge.migration.evidence.document import build
from landbridge.migration.evidence.page import verdict
from landbridge.migration.fence import guard
from landbridge.migration.fence.attempt import Attempt
from landbridge.migration.finish import finish
from landbridge.migration.follow import guard_slot
from landbridge.migration.forget import refuse_unless_over
from landbridge.migration.journal import Journal
from landbridge.migration.locks import folder
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult, switch_over
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until
from procedure_world import new_task
from test_switchover_crash import (
    begin,
    expire,
    fence_settings,
    fenced_and_hanging,
    in_recovery,
    kill,
    make,
    written,
)


def alarms(task: Task) -> list[str]:
    return [e["id"] for e in task.journal.entries() if e.get("level") == "alarm"]


def test_destination_promoted_by_another_keeps_the_source_fenced(
    servers: Servers, state_dir: Path
) -> None:
    """A worker hangs in its drain, a person promotes the destination, the worker goes on."""
    source, task = make(servers, state_dir, time_limit=8.0)
    with fenced_and_hanging(source, task) as process:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        task.cluster().signal_promotion()
        assert wait_until(lambda: not in_recovery(task), 20)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert task.state is State.PROMOTED
    assert "switchover.promoted_by_another" in alarms(task)
    result = SwitchoverResult.load(task)
    assert result is not None and (result.timeline_before, result.timeline_after) == (1, 2)
    assert fence_settings(source) == ("", "on")
    assert Attempt.load(task) is None


def test_cancel_during_the_drain_puts_back_and_never_promotes(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    ended: list[BaseException] = []
    thread = threading.Thread(target=switching, args=(task, ended))
    with stopping(replaying(task)):
        thread.start()
        assert wait_until(lambda: fence_settings(source)[1] == "on", 20)
        worker.request_cancel(task)
        thread.join(30)
    assert [type(error) for error in ended] == [MigrationCancelled]
    assert task.state is State.SYNCHRONIZING
    assert fence_settings(source) == ("", "off")
    assert in_recovery(task)


def switching(task: Task, ended: list[BaseException]) -> None:
    try:
        switch_over(task)
    except BaseException as error:
        ended.append(error)


def test_cancel_that_precedes_the_intent_by_a_line_is_heeded(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given when the last look before the line of intent is over."""
    source, task = make(servers, state_dir)
    enter = Journal.enter

    def cancelled_at_last(journal: Journal, state: State, *, durable: bool = True) -> None:
        enter(journal, state, durable=durable)
        if state is State.DRAINED:
            worker.request_cancel(task)

    monkeypatch.setattr(Journal, "enter", cancelled_at_last)
    with pytest.raises(MigrationCancelled):
        switch_over(task)
    assert in_recovery(task) and task.state is State.SYNCHRONIZING
    assert fence_settings(source) == ("", "off")


def test_cancel_after_the_intent_is_refused(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir)
    postmaster = task.cluster().process()
    assert postmaster is not None
    process = begin(task)
    assert wait_until(written(task, '"name": "fence", "phase": "end"'), 20, every=0.0002)
    with stopped(postmaster.pid):
        assert wait_until(written(task, '"name": "promote", "phase": "begin"'), 20)
        with pytest.raises(LandbridgeError) as caught:
            worker.request_cancel(task)
    assert caught.value.id == "cancel.too_late"
    assert process.wait(30) == 0
    assert task.state is State.PROMOTED
    assert fence_settings(source) == ("", "on")


def test_outage_counts_from_the_first_fence_of_a_resumed_attempt(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    writer = Writer("w", [source.port, task.request.port])
    with writing(writer):
        with fenced_and_hanging(source, task) as process:
            kill(process)
            time.sleep(1.5)
        result = switch_over(Task(task.folder))
        time.sleep(0.3)
    moments = sorted(moment for _, moment, _ in writer.acknowledged)
    gap = max(b - a for a, b in itertools.pairwise(moments)) * 1000
    # Not those of the client, whose own round trips and pauses are longer on a busy machine.
    assert 1500 < result.write_outage_ms < gap + 1000


def test_journal_line_cut_short_is_an_error_and_swallows_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("step", name="fence", phase="begin")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = journal.path.stat().st_size + 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError):
            journal.append("step", name="promote", phase="begin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.append("step", name="fence", phase="undone")
    assert [(e["name"], e["phase"]) for e in journal.entries()] == [
        ("fence", "begin"),
        ("fence", "undone"),
    ]


def test_source_away_after_the_promotion_is_put_to_rest_when_it_is_back(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    kill(begin_until(task, '"name": "promote", "phase": "end"'))
    source.stop()
    assert switch_over(task).diverged is None
    assert Attempt.load(task) is not None
    source.start()
    assert finish(task, switch_over(task)).statements == []
    result = SwitchoverResult.load(task)
    assert result is not None and result.diverged == []
    assert fence_settings(source) == ("", "on")
    assert Attempt.load(task) is None and alarms(task) == []


def test_source_away_for_good_is_an_alarm_with_what_to_run_there(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landbridge.migration.fence.outcome._WITHIN", 1.0)
    source, task = make(servers, state_dir)
    kill(begin_until(task, '"name": "promote", "phase": "end"'))
    source.stop()
    done = finish(task, switch_over(task))
    assert "switchover.source_not_looked_at" in alarms(task)
    assert "SELECT pg_reload_conf();" in [s["sql"] for s in done.statements]
    result = SwitchoverResult.load(task)
    assert result is not None and result.diverged is None
    document = build(task)
    assert verdict(document)[0] == "warn"


def test_guard_survives_what_is_no_error_of_ours(servers: Servers, state_dir: Path) -> None:
    """A disk that is full when the guard wants to write down that it has put back."""
    source, task = make(servers, state_dir)
    with fenced_and_hanging(source, task) as process:
        kill(process)
        journal = task.journal.path
        aside = journal.rename(journal.with_suffix(".aside"))
        journal.mkdir()
        expire(task)
        log = task.folder / "switchover/guard.log"
        assert wait_until(lambda: "IsADirectoryError" in log.read_text(), 20)
        journal.rmdir()
        aside.rename(journal)
        assert wait_until(lambda: fence_settings(source) == ("", "off"), 20)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 20)


def test_guard_keeps_its_folder_and_ends_where_that_was_removed(state_dir: Path) -> None:
    task = new_task(state_dir)
    task.journal.enter(State.CANCELLED)
    held = lock.take(folder(task) / "guard")
    assert held is not None
    with pytest.raises(UsageError) as caught:
        refuse_unless_over(task)
    assert caught.value.id == "task.not_over" and "guard" in caught.value.message
    os.close(held)
    refuse_unless_over(task)
    task.journal.enter(State.SYNCHRONIZING)
    Attempt.begin(task)
    guarding = threading.Thread(target=guard.main, args=(task,), daemon=True)
    guarding.start()
    assert wait_until(lambda: guard.is_guarded(task), 10)
    task.folder.rename(state_dir / "gone")
    guarding.join(10)
    assert not guarding.is_alive()


@pytest.mark.slow
def test_source_is_guarded_while_a_person_is_awaited(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir, fence="manual", fence_as=False, wal_budget=2**20)
    ended: list[BaseException] = []
    thread = threading.Thread(target=switching, args=(task, ended))
    thread.start()
    assert wait_until(lambda: "wal_kept_bytes" in task.read_live(), 20)
    with stopped(receiving(task)):
        source.sql("CREATE TABLE much AS SELECT repeat('x', 100) FROM generate_series(1, 300000)")
        with pytest.raises(FollowFailed):  # beside the body, as in a worker
            guard_slot(task, threading.Event())
        thread.join(30)
    assert [getattr(error, "id", error) for error in ended] == ["follow.wal_budget_exceeded"]
    assert source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]


def receiving(task: Task) -> int:
    """Process id of the destination's process that receives the stream."""
    with task.cluster().connect() as conn:
        row = conn.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()
    assert row is not None
    return int(row[0])
