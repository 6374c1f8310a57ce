"""The fence `sync` against real servers and a live writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_servers import Servers
from fix_standby import synchronizing_task, wait_streaming
from landbridge.migration.states import State
from landbridge.migration.switchover import switch_over


@pytest.mark.parametrize("major", [11, 15, 18])
def test_switchover_loses_nothing(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    task = synchronizing_task(servers, state_dir, source)
    wait_streaming(source, task)
    result = switch_over(task)
    print(result)
    print(task.journal.path.read_text())
    assert task.state == State.PROMOTED
