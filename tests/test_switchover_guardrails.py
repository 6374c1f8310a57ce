"""What stands in the way of a switchover, found and not found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fix_servers import Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from fix_writers import Writer, acked_rows, missing_and_doubled, prepare, writing
from landbridge.assessment.model import Level
from landbridge.errors import LandbridgeError, SwitchoverRefused, SwitchoverUndone
from landbridge.migration.fence.attempt import Deadline
from landbridge.migration.fence.guardrails import LONG
from landbridge.migration.fence.rivals import Stage, claim, mark
from landbridge.migration.states import State
from landbridge.migration.switchover import (
    Guardrail,
    SwitchoverResult,
    preflight,
    switch_over,
)
from landbridge.migration.task import Task
from landbridge.postgres.positions import Connection
from landbridge.postgres.process import wait_until


def rails(task: Task) -> dict[str, Guardrail]:
    return {rail.id: rail for rail in preflight(task)}


def blocking(task: Task) -> list[str]:
    return [rail.id for rail in preflight(task) if rail.blocks]


@pytest.fixture
def made(servers: Servers, state_dir: Path) -> tuple[Source, Task]:
    source = servers.source(15, settings={"max_prepared_transactions": 5})
    prepare(source)
    settings: dict[str, str | int] = {"max_prepared_transactions": 5}
    task = synchronizing_task(servers, state_dir, source, settings=settings)
    wait_streaming(source, task)
    return source, task


def test_prepared_transaction_blocks_and_changes_nothing(made: tuple[Source, Task]) -> None:
    source, task = made
    assert rails(task)["switchover.prepared_transactions"].level is Level.OK
    source.sql("BEGIN; INSERT INTO acked VALUES ('p', 1); PREPARE TRANSACTION 'one'")
    with pytest.raises(SwitchoverRefused) as caught:
        switch_over(task)
    assert caught.value.id == "switchover.prepared_transactions"
    assert task.state is State.SYNCHRONIZING
    assert not (task.folder / "switchover/attempt.json").exists()
    source.sql("COMMIT PREPARED 'one'")
    assert blocking(task) == []


def test_long_and_idle_transactions_are_told_with_their_age(
    made: tuple[Source, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, task = made
    assert LONG > 1
    monkeypatch.setattr("landbridge.migration.fence.guardrails.LONG", 0.0)
    assert "switchover.idle_in_transaction" not in rails(task)
    with source.connect(application_name="idler") as idler, source.connect() as busy:
        idler.execute("BEGIN")
        idler.execute("INSERT INTO acked VALUES ('idle', 1)")
        thread = threading.Thread(target=busy.execute, args=("SELECT pg_sleep(1.5)",))
        thread.start()
        found = rails(task)
        thread.join()
        (idle,) = found["switchover.idle_in_transaction"].facts["transactions"]
        assert idle["writes"]
        assert idle["age_seconds"] >= 0
        assert found["switchover.long_transactions"].level is Level.WARNING


def test_a_destination_that_does_not_follow_blocks(made: tuple[Source, Task]) -> None:
    source, task = made
    with task.cluster().connect() as conn:
        conn.execute("SELECT pg_wal_replay_pause()")
        assert "switchover.replay_paused" in blocking(task)
        conn.execute("SELECT pg_wal_replay_resume()")
    assert blocking(task) == []
    task.cluster().stop()
    assert "switchover.not_streaming" in blocking(task)
    source.stop()
    assert blocking(task) == ["switchover.source_unreachable"]


def test_rights_of_the_fence_account(made: tuple[Source, Task]) -> None:
    source, task = made
    source.sql("ALTER ROLE boss NOSUPERUSER")
    assert blocking(task) == ["fence.rights"]
    for grant in (
        "ALTER SYSTEM ON PARAMETER synchronous_standby_names, default_transaction_read_only,"
        " synchronous_commit",
        "EXECUTE ON FUNCTION pg_reload_conf()",
        "pg_signal_backend, pg_monitor",
    ):
        source.sql(f"GRANT {grant} TO boss")
    assert blocking(task) == []


def test_a_fence_account_without_superuser_switches_over(made: tuple[Source, Task]) -> None:
    source, task = made
    test_rights_of_the_fence_account(made)
    writers = [Writer("w", [source.port, task.request.port])]
    with writing(*writers):
        switch_over(task)
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    assert source.sql("SHOW synchronous_standby_names") == [("",)]


def test_overrides_and_standbys_of_the_source_are_told(made: tuple[Source, Task]) -> None:
    source, task = made
    assert "fence.overrides" not in rails(task)
    for typed in ("off", "OFF", "f", "n"):
        source.sql(f"ALTER ROLE app SET default_transaction_read_only = '{typed}'")
        assert "fence.overrides" in rails(task), typed
    source.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    source.reload()
    found = rails(task)
    assert found["fence.overrides"].level is Level.WARNING
    assert "app" in found["fence.overrides"].text
    assert found["fence.sync_standbys"].facts == {"names": "*"}
    source.sql("ALTER ROLE boss SET default_transaction_read_only = off")
    assert blocking(task) == ["fence.account_overrides"]


def test_an_enabled_subscription_blocks(made: tuple[Source, Task]) -> None:
    source, task = made
    source.sql(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p"
        " WITH (connect = false)"
    )
    assert "switchover.subscriptions" not in blocking(task)
    source.sql("ALTER SUBSCRIPTION s ENABLE")
    assert "switchover.subscriptions" in blocking(task)


def test_a_fence_without_its_account_is_refused(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = synchronizing_task(servers, state_dir, source, fence_as=False, fence="sync")
    assert blocking(task) == ["fence.account_missing"]


def test_two_migrations_switch_over_at_once_one_is_promoted_and_the_source_waits_for_nobody(
    servers: Servers, tmp_path: Path
) -> None:
    source = servers.source(15)
    prepare(source)
    tasks = [
        synchronizing_task(servers, tmp_path / name, source, destination=name)
        for name in ("a", "b")
    ]
    for task in tasks:
        wait_streaming(source, task)
    refused: list[LandbridgeError] = []
    begin = threading.Barrier(2)

    def switch(task: Task) -> None:
        begin.wait()
        try:
            switch_over(task)
        except LandbridgeError as error:
            refused.append(error)

    threads = [threading.Thread(target=switch, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [error.id for error in refused] == ["fence.other_switchover"]
    assert {task.state for task in tasks} == {State.PROMOTED, State.SYNCHRONIZING}
    assert source.sql("SHOW synchronous_standby_names") == [("",)]
    (promoted,) = [task for task in tasks if task.state is State.PROMOTED]
    assert (SwitchoverResult.load(promoted) or pytest.fail()).diverged == []


def test_who_has_the_source_is_agreed_without_a_moment_for_two(
    servers: Servers, tmp_path: Path
) -> None:
    source = servers.source(15)
    task, rival = Task(tmp_path / "m_88888888"), Task(tmp_path / "m_00000000")

    def refused(mine: Connection) -> bool:
        deadline = Deadline(time.time() + 10)
        try:
            claim(mine, task, deadline)
        except SwitchoverUndone as error:
            assert error.id == "fence.other_switchover"
            return True
        finally:
            deadline.disarm()
        return False

    def meets(first: Stage, then: Callable[[Connection], None] = lambda conn: None) -> bool:
        with source.connect() as mine, source.connect() as theirs:
            mark(mine, task)
            mark(theirs, rival, first)
            later = threading.Timer(0.2, then, [theirs])
            later.start()
            try:
                return refused(mine)
            finally:
                later.join()

    assert not meets(Stage.YIELDS)
    assert meets(Stage.HOLDS)
    assert meets(Stage.ASKS, lambda conn: mark(conn, rival, Stage.HOLDS)), "its id comes first"
    rival = Task(tmp_path / "m_ffffffff")
    assert not meets(Stage.ASKS, lambda conn: mark(conn, rival, Stage.YIELDS))
    assert meets(Stage.ASKS, lambda conn: mark(conn, rival, Stage.HOLDS)), "it was there before"
    assert meets(Stage.ASKS, lambda conn: conn.close()), "it may have switched over"


def test_source_that_waits_for_another_migration_is_refused(made: tuple[Source, Task]) -> None:
    source, task = made
    source.sql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (\"landbridge_m_0badcafe\")'")
    source.reload()
    assert wait_until(lambda: blocking(task) == ["fence.other_switchover"], 20)
