"""The procedure over played steps: the way through, back, and out, whatever is killed when."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import procedure_world
from landbridge.engine import facts_of, send
from landbridge.errors import (
    AssessmentFailed,
    CopyFailed,
    FollowFailed,
    LandbridgeError,
    ServerFailed,
    ServerUnreachable,
    SwitchoverRefused,
    SwitchoverUndone,
)
from landbridge.migration import requests, worker
from landbridge.migration.journal import Journal
from landbridge.migration.orders import FOLLOW_FAILED, ORDERS, order
from landbridge.migration.states import State
from landbridge.migration.task import Task
from landbridge.migration.watching import source_awaited
from landbridge.postgres.process import wait_until
from procedure_world import Worker, World, new_task

THROUGH = ["assess", "copy", "start", "follow", "fencing", "drained", "promoted", "finish"]


def states(task: Task) -> list[str]:
    return [e["state"] for e in task.journal.entries() if e["kind"] == "state"]


def reaches(task: Task, state: State) -> None:
    assert wait_until(lambda: task.state is state, 20), task.state


def test_auto_goes_through_every_state_to_the_end(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    assert Worker(task, world).end() is State.FINISHED
    assert world.log == THROUGH
    assert states(task) == [s.value for s in State if s not in (State.CANCELLED, State.FAILED)]
    steps = [(e["name"], e["phase"]) for e in task.journal.entries() if e["kind"] == "step"]
    for name in ("assess", "copy", "start", "drain", "finish"):
        assert steps.count((name, "begin")) == steps.count((name, "end")) == 1
    (drain,) = [
        e for e in task.journal.entries() if e.get("name") == "drain" and e.get("phase") == "end"
    ]
    assert drain["fence_lsn"] == "0/20"


def test_wait_waits_for_the_order_of_another_process(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    working = Worker(task, world)
    reaches(task, State.SYNCHRONIZING)
    worker.request_switchover(task)
    assert working.end() is State.FINISHED
    assert world.log == THROUGH


def test_until_synchronizing_leaves_it_there_and_the_next_worker_goes_on(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    assert Worker(task, world, until="synchronizing").end() is State.SYNCHRONIZING
    worker.request_switchover(task)
    assert Worker(task, world).end() is State.FINISHED
    assert [s for s in world.log if s != "follow"] == [s for s in THROUGH if s != "follow"]


def test_a_finished_task_is_not_worked_on_again(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    Worker(task, world).end()
    assert Worker(task, world).end() is State.FINISHED
    assert world.log == THROUGH


def test_an_assessment_with_errors_fails_and_undoes_nothing(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["assess"] = [AssessmentFailed("two errors")]
    assert Worker(task, world).end() is State.FAILED
    assert world.log == ["assess"]
    assert (task.folder / "evidence.html").exists()
    first = task.journal.first_error()
    assert first and first["id"] == "assessment.errors"


def test_secrets_are_gone_when_it_failed(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["assess"] = [AssessmentFailed("two errors")]
    Worker(task, world).end()
    assert not (task.folder / "secrets").exists()


def test_a_copy_that_may_succeed_is_tried_again_and_the_failure_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landbridge.migration.stepping._SOURCE_AWAY", 0.1)
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["copy"] = [CopyFailed("wire cut", retryable=True)]
    assert Worker(task, world).end() is State.FINISHED
    assert world.log == ["assess", "copy", *THROUGH[1:]]
    (note,) = [e for e in task.journal.entries() if e.get("id") == "copy.retried"]
    assert "wire cut" in note["text"]


def test_after_three_attempts_the_first_error_counts_and_all_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landbridge.migration.stepping._SOURCE_AWAY", 0.1)
    task = new_task(tmp_path)
    world = World(task)
    world.failures["copy"] = [CopyFailed(f"failure {n}", retryable=True) for n in (1, 2, 3)]
    assert Worker(task, world).end() is State.FAILED
    assert world.log == ["assess", "copy", "copy", "copy", "undo-copy"]
    first = task.journal.first_error()
    assert first and first["message"] == "failure 1"


def test_a_copy_that_cannot_succeed_is_not_tried_again(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["copy"] = [CopyFailed("a corrupt page")]
    assert Worker(task, world).end() is State.FAILED
    assert world.log == ["assess", "copy", "undo-copy"]


def test_a_failure_to_start_undoes_backwards(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["start"] = [LandbridgeError("no", id="start.partial_copy")]
    assert Worker(task, world).end() is State.FAILED
    assert world.log == ["assess", "copy", "start", "undo-start", "undo-copy"]


@pytest.mark.parametrize("ends", ["resumed", "cancelled"])
def test_a_start_that_a_person_can_mend_keeps_the_copy(tmp_path: Path, ends: str) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["start"] = [ServerFailed("port taken", id="start.port_taken")] * 2
    assert Worker(task, world).end() is State.STARTING
    assert world.log == ["assess", "copy", "start"]
    error = task.journal.first_error()
    assert error and error["held"] == "start" and "landbridge resume" in error["remedy"]
    if ends == "cancelled":
        worker.request_cancel(task)
        assert Worker(task, world).end() is State.CANCELLED
        assert world.log[3:] == ["undo-start", "undo-copy"]
        return
    working = Worker(task, world, stay=True)
    assert wait_until(lambda: world.log.count("start") == 2, 60)
    assert wait_until(lambda: len(held(task)) == 2, 60)
    worker.request_resume(task)
    assert working.end() is State.FINISHED
    assert world.log.count("start") == 3 and world.log.count("copy") == 1


def held(task: Task) -> list[str]:
    """What waited for a person, in order."""
    return [e["held"] for e in task.journal.entries() if e["kind"] == "error" and "held" in e]


@pytest.mark.parametrize("during", ["copy", "start", "held", "follow", "before"])
def test_a_slot_dropped_to_protect_the_source_ends_the_migration(
    tmp_path: Path, during: str
) -> None:
    task = new_task(tmp_path)
    world = World(task)
    if during in ("copy", "start"):
        world.block(during)
    elif during == "held":
        world.failures["start"] = [ServerFailed("port taken", id="start.port_taken")]
    working = Worker(task, world, stay=True)
    if during == "before":
        # The comparison asked for before the switchover looks as every step does.
        reaches(task, State.SYNCHRONIZING)
        world.block("drain")
        worker.request_switchover(task)
        during = "drain"
    assert wait_until(lambda: world.blocked(during) or during in world.log or held(task), 60)
    (world.folder / "spent").touch()
    assert working.end() is State.FAILED
    assert world.log[-1] == "undo-copy"
    first = task.journal.first_error()
    assert first and first["id"] == "follow.wal_budget_exceeded"


def test_a_failure_of_the_following_ends_the_migration(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["follow"] = [FollowFailed("slot lost", id="follow.slot_lost")]
    assert Worker(task, world).end() is State.FAILED
    assert world.log[-2:] == ["undo-start", "undo-copy"]
    first = task.journal.first_error()
    assert first and first["id"] == "follow.slot_lost"


def test_a_failure_of_the_following_during_a_switchover_is_not_forgotten(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    working = Worker(task, world)
    reaches(task, State.SYNCHRONIZING)
    world.failures["fencing"] = [SwitchoverRefused("prepared transactions")]
    world.block("drain")
    worker.request_switchover(task)
    assert wait_until(lambda: world.blocked("drain"), 60)
    lost = facts_of(FollowFailed("slot lost", id="follow.slot_lost"))
    send(task.folder, task.id, ORDERS, order(FOLLOW_FAILED, error=lost))
    world.unblock("drain")
    assert working.end() is State.FAILED


def test_a_defect_of_the_following_destroys_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landbridge.migration.watching._AGAIN", 0.05)
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["follow"] = [KeyError("oops"), ConnectionError("gone")]
    assert Worker(task, world).end() is State.FINISHED
    assert world.log.count("follow") == 3
    assert [e["id"] for e in task.journal.entries() if e.get("level") == "alarm"] == [
        "follow.defect"
    ]


@pytest.mark.parametrize("during", ["assess", "copy", "start", "follow"])
def test_cancel_puts_everything_back(tmp_path: Path, during: str) -> None:
    task = new_task(tmp_path)
    world = World(task)
    if during != "follow":
        world.block(during)
    working = Worker(task, world)
    assert wait_until(lambda: world.blocked(during) or during in world.log, 60)
    if during == "follow":
        reaches(task, State.SYNCHRONIZING)
    worker.request_cancel(task)
    assert working.end() is State.CANCELLED
    expected = {"assess": [], "copy": ["undo-copy"]}.get(during, ["undo-start", "undo-copy"])
    assert [s for s in world.log if s.startswith("undo")] == expected
    assert not (task.folder / "secrets").exists()


def test_cancel_without_a_worker_is_carried_out_by_the_next(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    Worker(task, world, until="synchronizing").end()
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.CANCELLED
    assert world.log[-2:] == ["undo-start", "undo-copy"]


def test_cancel_of_a_task_that_nobody_began(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.CANCELLED
    assert world.log == []


def test_a_refused_switchover_stays_synchronizing_and_can_be_asked_for_again(
    tmp_path: Path,
) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["fencing"] = [SwitchoverRefused("prepared transactions", remedy="end them")]
    working = Worker(task, world)
    reaches(task, State.SYNCHRONIZING)
    worker.request_switchover(task)
    assert wait_until(lambda: task.journal.first_error() is not None, 60)
    reaches(task, State.SYNCHRONIZING)
    error = task.journal.first_error()
    assert error and (error["id"], error["held"]) == ("switchover.refused", "switchover")
    worker.request_switchover(task)
    assert working.end() is State.FINISHED
    assert "undo-drain" in world.log


def test_auto_that_was_put_back_returns_synchronizing_and_resume_asks_again(
    tmp_path: Path,
) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["drained"] = [SwitchoverUndone("time limit reached")]
    assert Worker(task, world).end() is State.SYNCHRONIZING
    assert [s for s in world.log if s != "follow"][-2:] == ["drained", "undo-drain"]
    assert Worker(task, world).end() is State.FINISHED


def test_a_full_disk_ends_neither_the_watching_nor_the_order_of_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the order as little as the note that the watching broke off."""
    task, append = new_task(tmp_path, switchover="auto"), Journal.append
    refused: list[str] = []

    def appended(journal: Journal, kind: str, **more: Any) -> dict[str, Any]:
        if threading.current_thread().name == "watch" and len(refused) < 2:
            refused.append(kind)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(journal, kind, **more)

    monkeypatch.setattr(Journal, "append", appended)
    monkeypatch.setattr("landbridge.migration.watching._AGAIN", 0.01)
    assert Worker(task, World(task)).end() is State.FINISHED
    assert refused == ["signal", "note"]


def test_a_second_click_during_the_switchover_counts_for_nothing(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["drained"] = [SwitchoverUndone("time limit reached")]
    world.block("fencing")
    working = Worker(task, world)
    reaches(task, State.SYNCHRONIZING)
    requests._ask(task, "switchover")
    assert wait_until(lambda: world.blocked("fencing"), 60)
    requests._ask(task, "switchover")
    world.unblock("fencing")
    assert wait_until(lambda: "undo-drain" in world.log, 60)
    reaches(task, State.SYNCHRONIZING)
    assert wait_until(lambda: world.log[-1] == "follow", 60)
    working.join(0.5)
    assert world.log.count("fencing") == 1
    working.stop.set()
    working.end()


def test_a_switchover_is_refused_in_any_other_state(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    with pytest.raises(SwitchoverRefused) as caught:
        worker.request_switchover(task)
    assert caught.value.id == "switchover.not_yet"
    Worker(task, World(task)).end()
    with pytest.raises(SwitchoverRefused) as caught:
        worker.request_switchover(task)
    assert caught.value.id == "switchover.too_late"
    with pytest.raises(LandbridgeError) as late:
        worker.request_cancel(task)
    assert late.value.id == "cancel.too_late"


def test_nothing_is_undone_after_the_promotion_and_resume_finishes(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["finish"] = [LandbridgeError("slot in use")]
    assert Worker(task, world).end() is State.PROMOTED
    assert not [s for s in world.log if s.startswith("undo")]
    assert Worker(task, world).end() is State.FINISHED
    assert world.log == [*THROUGH, "finish"]


def test_a_slot_dropped_as_the_switchover_began_does_not_hold_up_the_end(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.block("finish")
    working = Worker(task, world)
    assert wait_until(lambda: world.blocked("finish"), 60)
    task.journal.note("follow.wal_budget_spent", "all of it", level="alarm", kept=1)
    for _ in range(2):  # it looks whether it shall stop in between
        (world.folder / "blocked-finish").unlink()
        assert wait_until(lambda: world.blocked("finish"), 60)
    world.unblock("finish")
    assert working.end() is State.FINISHED
    assert world.log == THROUGH


def test_an_undo_that_fails_leaves_the_state_and_resume_tries_again(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["copy"] = [CopyFailed("a corrupt page")]
    world.failures["undo-copy"] = [LandbridgeError("source away", id="source.away")]
    assert Worker(task, world).end() is State.COPYING
    assert Worker(task, world).end() is State.FAILED
    first = task.journal.first_error()
    assert first and first["message"] == "a corrupt page"


def test_cancelling_again_gives_up_what_cannot_be_undone(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["undo-copy"] = [LandbridgeError("source away", id="source.away")] * 2
    Worker(task, world, until="synchronizing").end()
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.SYNCHRONIZING
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.CANCELLED
    (alarm,) = [e for e in task.journal.entries() if e.get("id") == "undo.given_up"]
    assert "source away" in alarm["text"] and task.slot in alarm["text"]


def test_cancelling_again_puts_back_what_can_be_by_then(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    world.failures["undo-copy"] = [LandbridgeError("source away", id="source.away")]
    Worker(task, world, until="synchronizing").end()
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.SYNCHRONIZING
    worker.request_cancel(task)
    assert Worker(task, world).end() is State.CANCELLED
    assert not [e for e in task.journal.entries() if e.get("id") == "undo.given_up"]


def waits(task: Task) -> bool:
    return any(e.get("id") == "undo.waiting" for e in task.journal.entries())


def test_an_undo_goes_on_by_itself_when_the_source_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool] = []
    monkeypatch.setattr("landbridge.migration.watching.source_answers", lambda _: bool(answers))
    task = new_task(tmp_path)
    world = World(task)
    world.failures["undo-copy"] = [ServerUnreachable("away"), ServerUnreachable("away again")]
    Worker(task, world, until="synchronizing").end()
    worker.request_cancel(task)
    working = Worker(task, world)
    assert wait_until(lambda: waits(task), 60)
    assert wait_until(lambda: task.read_live().get("knocks", 0) > 1, 60)
    assert task.slot in task.read_live()["waiting"] and world.log.count("undo-copy") == 1
    answers.append(True)
    assert working.end() is State.CANCELLED
    assert world.log.count("undo-copy") == 3
    assert not [e for e in task.journal.entries() if e.get("level") == "alarm"]


def test_an_undo_that_waits_can_be_left_gone_on_with_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landbridge.migration.watching.source_answers", lambda _: False)
    task = new_task(tmp_path)
    world = World(task)
    world.failures["undo-copy"] = [ServerUnreachable("away")] * 3
    Worker(task, world, until="synchronizing").end()
    worker.request_cancel(task)
    first = Worker(task, world)
    assert wait_until(lambda: waits(task), 60)
    first.stop.set()
    assert first.end() is State.SYNCHRONIZING
    second = Worker(task, world)
    assert wait_until(lambda: world.log.count("undo-copy") == 2, 60)
    worker.request_cancel(task)
    assert second.end() is State.CANCELLED
    (alarm,) = [e for e in task.journal.entries() if e.get("id") == "undo.given_up"]
    assert alarm["statement"] == f"SELECT pg_drop_replication_slot('{task.slot}');"
    assert world.log.count("undo-copy") == 3


def test_knocking_survives_a_full_disk_and_a_source_that_refuses_for_weeks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Task, **_figures: object) -> None:
        monkeypatch.undo()
        monkeypatch.setattr("landbridge.migration.watching.source_answers", lambda _: True)
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Task, "write_live", full)
    monkeypatch.setattr("landbridge.migration.watching._LONGEST_REFUSAL", 0.1)
    told = threading.Event()
    ctx = cast(Any, SimpleNamespace(signal=lambda *_: told.set()))
    with source_awaited(new_task(tmp_path), ctx, "waiting", 5000):
        assert told.wait(10)


def test_a_defect_is_reported_and_the_task_can_be_resumed(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.failures["start"] = [KeyError("oops")]
    with pytest.raises(LandbridgeError) as caught:
        Worker(task, world).end()
    assert caught.value.id == "internal"
    assert Worker(task, world).end() is State.FINISHED
    assert not [s for s in world.log if s.startswith("undo")]


def test_two_workers_never_work_on_one_task(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    world = World(task)
    working = Worker(task, world)
    reaches(task, State.SYNCHRONIZING)
    with pytest.raises(LandbridgeError) as caught:
        worker.run(task, procedure=world.procedure)
    assert caught.value.id == "task.busy"
    working.stop.set()
    working.end()


_KILLED_IN = ["assess", "copy", "start", "follow", "fencing", "drained", "promoted", "finish"]
_TERMINATED_IN = ["copy", "follow", "fencing"]


@pytest.mark.parametrize(
    ("number", "where"),
    [
        *((signal.SIGKILL, where) for where in _KILLED_IN),
        *((signal.SIGTERM, where) for where in _TERMINATED_IN),
    ],
)
def test_worker_killed_anywhere_is_continued(
    tmp_path: Path, number: signal.Signals, where: str
) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    if where == "follow":
        (world.folder / "behind").touch()
    else:
        world.block(where)
    child = subprocess.Popen([sys.executable, procedure_world.__file__, tmp_path, task.id])
    try:
        follows = where == "follow"  # which waits by itself
        assert wait_until(
            lambda: world.log[-1:] == [where] if follows else world.blocked(where), 120
        )
        os.kill(child.pid, number)
        uninterruptible = where in ("fencing", "drained", "promoted")
        if number == signal.SIGTERM and uninterruptible:
            world.unblock(where)  # the switchover itself is not left half-way
        assert child.wait(30) == (-9 if number == signal.SIGKILL else 128 + signal.SIGTERM)
    finally:
        child.kill()
        child.wait()
    for flag in world.folder.glob("b*"):
        flag.unlink()
    assert Worker(task, world).end() is State.FINISHED
    assert not [s for s in world.log if s.startswith("undo")]
    before = THROUGH[: THROUGH.index(where)]
    assert [world.log.count(s) for s in before if s not in ("follow", "fencing", "drained")] == [
        1 for s in before if s not in ("follow", "fencing", "drained")
    ]


def test_worker_ends_on_a_signal_though_its_step_hears_nothing(tmp_path: Path) -> None:
    task = new_task(tmp_path, switchover="auto")
    world = World(task)
    world.block("start")
    (world.folder / "be-deaf").touch()
    child = subprocess.Popen([sys.executable, procedure_world.__file__, tmp_path, task.id])
    try:
        assert wait_until(lambda: world.blocked("start"), 120)
        child.terminate()
        assert child.wait(30) == 128 + signal.SIGTERM  # the step blocks until the file goes
    finally:
        child.kill()
        child.wait()
    world.unblock("start")
    assert Worker(task, world).end() is State.FINISHED
    assert world.log.count("copy") == 1


def test_switchover_that_begins_while_a_worker_is_told_to_end_is_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "GRACE", 0.7)
    ended, left = threading.Event(), threading.Event()

    def end(code: int) -> None:
        ended.set()
        left.set()

    monkeypatch.setattr(os, "_exit", end)
    task = SimpleNamespace(state=State.SYNCHRONIZING)
    thread = threading.Thread(
        target=worker._cut_off, args=(cast(Task, task), [signal.SIGTERM], left)
    )
    thread.start()
    task.state = State.FENCING  # within the grace
    assert not ended.wait(1.5)
    task.state = State.PROMOTED
    assert ended.wait(20)
    thread.join(20)
