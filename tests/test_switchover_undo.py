"""What must never be put back, and what must be whatever happens: the source's fence."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fix_servers import Servers
from fix_standby import replaying, stopped
from landbridge.migration.fence.attempt import Attempt
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until
from test_switchover_crash import begin, fence_settings, in_recovery, make, wait_closing


def alarms(task: Task) -> list[str]:
    return [e["id"] for e in task.journal.entries() if e.get("level") == "alarm"]


def test_destination_promoted_by_another_keeps_the_source_fenced(
    servers: Servers, state_dir: Path
) -> None:
    """A worker hangs in its drain, a person promotes the destination, the worker goes on."""
    source, task = make(servers, state_dir, time_limit=6.0)
    replay = replaying(task)
    process = begin(task)
    try:
        wait_closing(source)
        with stopped(replay):
            assert wait_until(lambda: fence_settings(source)[1] == "on", 5)
            os.kill(process.pid, signal.SIGSTOP)
        task.cluster().signal_promotion()
        assert wait_until(lambda: not in_recovery(task), 10)
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
