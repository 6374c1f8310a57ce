"""Whoever switches over dies: somebody resumes, or the guard puts everything back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fix_servers import Servers, Source
from fix_standby import replaying, stopped, synchronizing_task, wait_streaming
from fix_wire import Wire
from fix_writers import Writer, acked_rows, missing_and_doubled, prepare, writing
from halting import CLOSE, begin_until, stopping
from landbridge.errors import LandbridgeError, SwitchoverUndone
from landbridge.migration.fence.attempt import Attempt
from landbridge.migration.fence.guard import is_guarded
from landbridge.migration.states import State
from landbridge.migration.steps import Control, drain
from landbridge.migration.switchover import lift_leftovers, switch_over
from landbridge.migration.task import Request, Task, Tasks
from landbridge.postgres.process import wait_until

SWITCH = (
    "import sys; from pathlib import Path; from landbridge.migration.task import Task;"
    " from landbridge.migration.switchover import switch_over; switch_over(Task(Path(sys.argv[1])))"
)


def begin(task: Task) -> subprocess.Popen[bytes]:
    """Switch over in a process that can be killed."""
    return subprocess.Popen([sys.executable, "-c", SWITCH, task.folder], stderr=subprocess.DEVNULL)


def kill_when(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    assert wait_until(seen, 30, every=0.0005)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def written(task: Task, text: str) -> Callable[[], bool]:
    """Whether the journal has a line with this text."""
    return lambda: text in task.journal.path.read_text()


@contextmanager
def fenced_and_hanging(source: Source, task: Task) -> Iterator[subprocess.Popen[bytes]]:
    """A switchover in a process of its own: the source refuses writes, the destination hangs."""
    replay = replaying(task)
    process = begin_until(task, CLOSE, replay)
    with stopped(replay):
        assert wait_until(lambda: fence_settings(source)[1] == "on", 20)
        yield process


def make(servers: Servers, state_dir: Path, major: int = 15, **more: object) -> tuple[Source, Task]:
    source = servers.source(major)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source, **more)
    wait_streaming(source, task)
    return source, task


def fence_settings(source: Source) -> tuple[str, str]:
    ((names,),) = source.sql("SHOW synchronous_standby_names")
    ((read_only,),) = source.sql("SHOW default_transaction_read_only")
    return names, read_only


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param('"fencing"', id="fencing", marks=pytest.mark.slow),
        pytest.param('"name": "fence", "phase": "begin"', id="fence begun"),
        pytest.param('"drained"', id="drained"),
        pytest.param('"phase": "end", "write_out', id="promoted"),
    ],
)
def test_killed_worker_is_resumed(servers: Servers, state_dir: Path, moment: str) -> None:
    source, task = make(servers, state_dir)
    writers = [Writer(f"w{i}", [source.port, task.request.port]) for i in range(2)]
    with writing(*writers):
        kill(begin_until(task, moment))
        result = switch_over(Task(task.folder))
        time.sleep(0.2)
    assert task.state is State.PROMOTED
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    assert result.timeline_after == 2
    assert fence_settings(source) == ("", "on")
    assert not (task.folder / "switchover/attempt.json").exists()


def test_killed_worker_whom_nobody_resumes_is_undone_by_the_guard(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    with fenced_and_hanging(source, task) as process:
        kill(process)
        expire(task)
        assert fence_settings(source) != ("", "off")
        assert wait_until(lambda: fence_settings(source) == ("", "off"), 30)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 20)
    with pytest.raises(SwitchoverUndone) as caught:
        switch_over(task)
    assert caught.value.id == "switchover.time_limit"
    wait_streaming(source, task)
    assert switch_over(task).timeline_after == 2


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param('"name": "fenced"', id="fenced"),
        pytest.param('"name": "promote", "phase": "begin"', id="intent"),
    ],
)
def test_worker_that_is_stopped_holds_the_fence_no_longer_than_the_limit(
    servers: Servers, state_dir: Path, moment: str
) -> None:
    source, task = make(servers, state_dir)
    process = begin_until(task, moment)
    try:
        assert fence_settings(source)[1] == "on"
        expire(task)
        assert process.wait(20) == -signal.SIGKILL
    finally:
        kill(process)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 30)
    assert fence_settings(source) == ("", "off")
    assert in_recovery(task)


def test_killed_after_the_intent_is_decided_by_looking_at_the_destination(
    servers: Servers, state_dir: Path
) -> None:
    """The guard finds the line of intent, but no promotion has begun."""
    source, task = make(servers, state_dir)
    postmaster = task.cluster().process()
    assert postmaster is not None
    process = begin(task)
    # A postmaster that does not run cannot pass the promotion on.
    assert wait_until(written(task, '"name": "fence", "phase": "end"'), 20, every=0.0002)
    with stopped(postmaster.pid):
        kill_when(process, written(task, '"name": "promote", "phase": "begin"'))
        time.sleep(0.1)
    if task.state is not State.PROMOTED:
        expire(task)
    settled = lambda: (  # noqa: E731
        task.state is State.SYNCHRONIZING or not in_recovery(task)
    )
    assert wait_until(settled, 20, every=0.05)
    if in_recovery(task):
        assert wait_until(lambda: fence_settings(source) == ("", "off"), 20)
    else:
        assert fence_settings(source)[1] == "on"
        assert switch_over(task).timeline_after == 2


def in_recovery(task: Task) -> bool:
    try:
        with task.cluster().connect(connect_timeout=2) as conn:
            return conn.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    except LandbridgeError:
        return True


def test_time_limit_puts_back_what_stood_there(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir, time_limit=6.0)
    source.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    source.reload()
    undone: list[BaseException] = []

    def switch() -> None:
        try:
            switch_over(task)
        except LandbridgeError as error:
            undone.append(error)

    with stopping(replaying(task)):
        switch()
    assert isinstance(undone[0], SwitchoverUndone)
    assert undone[0].id == "switchover.time_limit"
    assert fence_settings(source) == ("*", "off")
    assert task.state is State.SYNCHRONIZING
    source.sql("CREATE TABLE writable_again ()")


def test_dead_wire_is_undone_by_the_guard_once_it_is_mended(
    servers: Servers, state_dir: Path, wires: type[Wire]
) -> None:
    source = servers.source(15)
    wire = wires(source.port)
    task = synchronizing_task(servers, state_dir, source, wire=wire.port, time_limit=6.0)
    wait_streaming(source, task)
    process = begin_until(task, CLOSE)
    wire.cut()
    process.send_signal(signal.SIGCONT)
    assert wait_until(lambda: time.time() > deadline_of(task) + 1, 20)
    wire.mend()
    assert wait_until(lambda: fence_settings(source) == ("", "off"), 30, every=0.05)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING, 20, every=0.05)
    process.wait(60)
    assert in_recovery(task)


def expire(task: Task) -> None:
    """The attempt's time is over, without waiting for it."""
    attempt = Attempt.load(task)
    assert attempt is not None
    attempt.deadline = time.time()
    attempt.save(task)


def deadline_of(task: Task) -> float:
    attempt = Attempt.load(task)
    return attempt.deadline if attempt else 0.0


def test_lift_leftovers_puts_a_crashed_attempt_back(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir, time_limit=60.0)
    kill(begin_until(task, CLOSE))
    lift_leftovers(task)
    assert fence_settings(source) == ("", "off")
    assert task.state is State.SYNCHRONIZING
    lift_leftovers(task)


def test_worker_killed_as_it_begins_to_fence_leaves_a_guard(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    kill(begin_until(task, '"fencing"'))
    assert is_guarded(task)
    expire(task)
    assert wait_until(lambda: task.state is State.SYNCHRONIZING and not is_guarded(task), 20)
    assert fence_settings(source) == ("", "off")


def test_order_that_nobody_took_up_in_time_is_not_carried_out(state_dir: Path) -> None:
    task = Tasks(state_dir).create(
        Request({}, "/nowhere", 1, 15, "pgsql", "1", fence="sync", time_limit=8.0), {}
    )
    old = (datetime.now(UTC) - timedelta(seconds=25)).isoformat(timespec="microseconds")
    task.journal.append("signal", name="switchover", at=old)
    with pytest.raises(SwitchoverUndone) as caught:
        drain(task, Control(lambda: None, lambda: False))
    assert caught.value.id == "switchover.time_limit"
    assert "25" in caught.value.message
