"""The fence `sync` against real servers and live writers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fix_servers import Servers
from fix_standby import synchronizing_task, wait_streaming
from fix_writers import Writer, acked_rows, missing_and_doubled, prepare, writing
from landbridge.errors import SwitchoverUndone
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult, switch_over
from landbridge.postgres.process import wait_until

OVERRIDE = "SET default_transaction_read_only = off"
REFUSED = ("fence.overridden", "switchover.still_writing")


@pytest.mark.parametrize("major", [11, 15, 18])
def test_live_writers_lose_and_double_nothing(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source)
    wait_streaming(source, task)
    writers = [Writer(f"w{i}", [source.port, task.request.port]) for i in range(3)]
    with writing(*writers):
        result = switch_over(task)
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    assert all(w.acknowledged[-1][2] == task.request.port for w in writers)
    assert task.state == State.PROMOTED
    assert result.diverged == []
    assert result.fence_next_xid == result.promote_next_xid
    assert (result.timeline_before, result.timeline_after) == (1, 2)
    assert source.sql("SHOW synchronous_standby_names") == [("",)]
    assert source.sql("SHOW default_transaction_read_only") == [("on",)]
    assert switch_over(task) == result


def test_override_clients_are_refused_or_lose_nothing(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source)
    wait_streaming(source, task)
    writers = [Writer(f"o{i}", [source.port], OVERRIDE) for i in range(4)]
    writers.append(Writer("polite", [source.port, task.request.port]))
    with writing(*writers):
        try:
            switch_over(task)
        except SwitchoverUndone as error:
            assert error.id in REFUSED
    if task.state is State.PROMOTED:
        rows = acked_rows(task.cluster())
        # Whoever keeps coming must not be acknowledged by the source alone.
        notes = [e["id"] for e in task.journal.entries() if e["kind"] == "note"]
        assert "switchover.fence_kept" in notes
    else:
        rows = acked_rows(source)
        assert task.state is State.SYNCHRONIZING
        assert source.sql("SHOW synchronous_standby_names") == [("",)]
        assert source.sql("SHOW default_transaction_read_only") == [("off",)]
    assert missing_and_doubled(rows, writers) == (0, 0)


def test_override_without_waiting_is_detected_and_put_back(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source)
    wait_streaming(source, task)
    session = f"{OVERRIDE}; SET synchronous_commit = off"
    writers = [Writer(f"o{i}", [source.port], session) for i in range(4)]
    stream = source.sql("SELECT pid FROM pg_stat_replication")
    with writing(*writers):
        with pytest.raises(SwitchoverUndone) as caught:
            switch_over(task)
        assert caught.value.id in REFUSED
        assert f"{writers[0].name[0]}" in caught.value.message
    assert task.state is State.SYNCHRONIZING
    assert source.sql("SELECT pid FROM pg_stat_replication") == stream
    assert missing_and_doubled(acked_rows(source), writers) == (0, 0)
    assert source.sql("SHOW default_transaction_read_only") == [("off",)]


@pytest.mark.parametrize(
    ("session", "acknowledged"),
    [
        pytest.param(OVERRIDE, False, id="waits for the destination"),
        pytest.param(
            f"{OVERRIDE}; SET synchronous_commit = off",
            True,
            id="waits for nobody",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_who_writes_to_the_source_after_the_promotion(
    servers: Servers, state_dir: Path, session: str, acknowledged: bool
) -> None:
    """Is never acknowledged; who does not ask for that is reported as diverged."""
    source = servers.source(15)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source)
    wait_streaming(source, task)
    results: list[SwitchoverResult] = []
    thread = threading.Thread(target=lambda: results.append(switch_over(task)))
    thread.start()
    promoted = '"name": "promote", "phase": "end"'
    assert wait_until(lambda: promoted in task.journal.path.read_text(), 20, every=0.001)
    writers = [Writer("late", [source.port], session)]
    with writing(*writers):
        thread.join(30)
    assert bool(writers[0].acknowledged) == acknowledged
    notes = {e["id"]: e for e in task.journal.entries() if e["kind"] == "note"}
    assert notes["switchover.fence_kept"]["level"] == "warning"
    assert "landbridge" in source.sql("SHOW synchronous_standby_names")[0][0]
    assert results[0].diverged
    assert notes["switchover.diverged"]["level"] == "alarm"
