"""The fence `manual`: a person stops the writes, we verify, drain, prove and promote."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from fix_cli import Cli
from fix_servers import Servers, Source
from fix_standby import replaying, stopped, synchronizing_task, wait_streaming
from fix_writers import APP, APP_PASSWORD, Writer, acked_rows, missing_and_doubled, prepare, writing
from landbridge.cli.display.view import View
from landbridge.errors import LandbridgeError, MigrationCancelled, SwitchoverUndone
from landbridge.migration.fence.manual import VENDOR
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult, lift_leftovers, switch_over
from landbridge.migration.task import Task
from landbridge.migration.worker import declare_fenced, request_undo
from landbridge.postgres.process import wait_until

#: The switchover's last question to the source before it waits for the destination.
DRAINING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'landbridge switchover m-%'"
    " AND query LIKE '%pg_prepared_xacts%' AND state = 'idle'"
)
READ_ONLY = "SHOW default_transaction_read_only"


def asked_for(task: Task) -> list[str]:
    """The statements that a person is asked to run, or none."""
    view = View(task)
    view.update()
    return view.awaited


def not_seen(task: Task) -> list[str]:
    """What was said to a person whose fence did not stand."""
    return [e["text"] for e in task.journal.entries() if e.get("id") == "fence.not_seen"]


class Switching:
    """A switchover in a thread, which waits for the person."""

    def __init__(self, task: Task) -> None:
        self.error: BaseException | None = None
        self.task = task
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.wait_for(lambda: bool(asked_for(task)))

    def wait_for(self, seen: Callable[[], bool]) -> None:
        assert wait_until(lambda: seen() or not self._thread.is_alive(), 20)

    def fenced(self, *, unverified: bool = False) -> None:
        """The person says that it is done."""
        declare_fenced(self.task, unverified=unverified)

    def end(self) -> BaseException | None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.error

    def _run(self) -> None:
        try:
            switch_over(self.task)
        except LandbridgeError as error:
            self.error = error


def make(
    servers: Servers,
    state_dir: Path,
    source_settings: dict[str, str | int] | None = None,
    **more: object,
) -> tuple[Source, Task]:
    source = servers.source(15, settings=source_settings or {})
    prepare(source)
    task = synchronizing_task(servers, state_dir, source, fence_as=False, fence="manual", **more)
    wait_streaming(source, task)
    return source, task


def test_person_fences_and_nothing_is_lost(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir)
    writers = [Writer(f"w{i}", [source.port, task.request.port]) for i in range(3)]
    with writing(*writers):
        switching = Switching(task)
        statements = asked_for(task)
        with source.connect() as conn:
            for statement in statements:
                conn.execute(statement.encode())
        assert wait_until(lambda: source.sql(READ_ONLY) == [("on",)], 20)
        switching.fenced()
        assert switching.end() is None
    assert task.state is State.PROMOTED
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    assert source.sql(READ_ONLY) == [("on",)]
    result = SwitchoverResult.load(task)
    assert result is not None
    # The person made nobody synchronous.
    assert [name for name, done in result.proved.items() if not done] == ["synchronous"]
    assert result.write_outage_from == "read_only"
    ((read_only,),) = source.sql("SELECT extract(epoch FROM pg_conf_load_time())::float")
    stood_still = datetime.fromisoformat(result.promoted).timestamp() - read_only
    # By our clock, read when the source has answered: later on a busy machine, never earlier.
    assert -1 < stood_still * 1000 - result.write_outage_ms < 500
    for step in result.reopen:
        source.sql(step["line"])
    assert wait_until(lambda: source.sql(READ_ONLY) == [("off",)], 20, every=0.02)


def test_a_fence_that_does_not_stand_is_refused(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir)
    writer = Writer("w", [source.port])
    with writing(writer):
        switching = Switching(task)
        switching.fenced()
        switching.wait_for(lambda: not_seen(task) != [])
        assert task.state is State.FENCING and asked_for(task)
        request_undo(task)
        error = switching.end()
    assert isinstance(error, SwitchoverUndone)
    assert error.id == "switchover.interrupted"
    assert not (task.folder / "switchover/fenced").exists()


def test_a_source_where_nobody_happens_to_write_is_not_fenced(
    servers: Servers, state_dir: Path, cli: Cli
) -> None:
    source, task = make(servers, state_dir)
    # What binds our own account alone does not fence the others.
    source.sql("ALTER ROLE migrator SET default_transaction_read_only = on")
    switching = Switching(task)
    with task.locked():  # as a worker does
        called = cli("switchover", task.id, "--fenced")
    assert called.code == 1 and "[fence.not_effective]" in called.err
    assert f"landbridge switchover {task.id} --fenced --unverified" in called.err
    with task.locked(), source.connect():
        called = cli("switchover", task.id, "--fenced", "--unverified")
    # What was said of the word before is no answer to this one.
    assert called.code == 1 and "[fence.not_effective]" not in called.err.split("landbridge: ")[-1]
    switching.fenced(unverified=True)
    assert switching.end() is None


def test_stopped_applications_are_accepted_on_somebodys_word_with_an_alarm(
    servers: Servers, state_dir: Path, cli: Cli
) -> None:
    source, task = make(servers, state_dir)
    assert cli("switchover", task.id, "--unverified").code == 2
    source.sql(f"CREATE ROLE monitor LOGIN PASSWORD '{APP_PASSWORD}'")
    with source.conninfo("monitor", APP_PASSWORD).connect(application_name="a service"):
        switching = Switching(task)
        switching.fenced(unverified=True)
        switching.wait_for(lambda: not_seen(task) != [])
    assert "monitor (a service)" in not_seen(task)[0]
    assert not (task.folder / "switchover/unverified").exists()
    switching.fenced(unverified=True)
    assert switching.end() is None
    assert task.state is State.PROMOTED
    result = SwitchoverResult.load(task)
    assert result is not None and result.reopen == []
    assert [name for name, done in result.proved.items() if not done] == ["fence", "synchronous"]
    assert result.write_outage_from == "confirmed"
    alarms = [e["id"] for e in task.journal.entries() if e.get("level") == "alarm"]
    assert alarms == ["fence.not_seen", "fence.unverified"]


def test_the_vendors_own_parameter_counts_as_the_fence(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock PostgreSQL has none of that name, so that another stands for it here."""
    source, task = make(servers, state_dir)
    switching = Switching(task)
    assert VENDOR in asked_for(task)[0]
    monkeypatch.setattr("landbridge.migration.fence.manual.VENDOR", "transform_null_equals")
    source.sql("ALTER SYSTEM SET transform_null_equals = on")
    source.reload()
    switching.fenced()
    assert switching.end() is None
    assert task.state is State.PROMOTED


def test_a_fence_taken_back_by_a_person_too_early_is_noticed(
    servers: Servers, state_dir: Path
) -> None:
    source, task = make(servers, state_dir)
    with source.connect() as conn:
        conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        source.reload()
        replay = replaying(task)
        with stopped(replay):
            switching = Switching(task)
            switching.fenced()
            switching.wait_for(lambda: conn.execute(DRAINING).fetchone() == (1,))
            conn.execute("ALTER SYSTEM RESET default_transaction_read_only")
            source.reload()
        error = switching.end()
    assert isinstance(error, SwitchoverUndone)
    assert error.id == "fence.broken"


def test_a_transaction_prepared_while_the_person_is_awaited_is_refused(
    servers: Servers, state_dir: Path
) -> None:
    """Committed during the drain it would be on the source alone, and take no transaction id."""
    prepared: dict[str, str | int] = {"max_prepared_transactions": 5}
    source, task = make(servers, state_dir, prepared, settings=prepared)
    with source.connect() as conn, stopped(replaying(task)):
        switching = Switching(task)
        source.sql("BEGIN; INSERT INTO acked VALUES ('p', 1); PREPARE TRANSACTION 'one'")
        conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        source.reload()
        switching.fenced()
        switching.wait_for(lambda: conn.execute(DRAINING).fetchone() == (1,))
        conn.execute("COMMIT PREPARED 'one'")
    error = switching.end()
    assert isinstance(error, SwitchoverUndone) and task.state is State.SYNCHRONIZING
    assert error.id == "switchover.prepared_transactions"


def test_a_transaction_older_than_the_fence_is_refused(servers: Servers, state_dir: Path) -> None:
    source, task = make(servers, state_dir)
    application = source.conninfo(APP, APP_PASSWORD)
    with application.connect(application_name="old one") as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT 1")
        switching = Switching(task)
        source.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        source.reload()
        switching.fenced()
        error = switching.end()
        assert isinstance(error, SwitchoverUndone)
        assert error.id == "switchover.still_writing"
        assert "old one" in error.message


def test_waiting_for_the_person_ends_with_the_migration(servers: Servers, state_dir: Path) -> None:
    _, task = make(servers, state_dir)
    switching = Switching(task)
    task.journal.append("signal", name="cancel")
    assert isinstance(switching.end(), MigrationCancelled)
    # A word that came too late does not count for the next switchover.
    declare_fenced(task, unverified=True)
    lift_leftovers(task)
    for word in ("fenced", "unverified"):
        assert not (task.folder / "switchover" / word).exists()


def test_statements_spare_the_stream(servers: Servers, state_dir: Path) -> None:
    """Run again and again by an impatient person, they never interrupt it."""
    source, task = make(servers, state_dir)
    ((before,),) = source.sql("SELECT pid FROM pg_stat_replication")
    switching = Switching(task)
    end = asked_for(task)[-1]
    with source.admin().connect() as conn:
        for _ in range(5):
            conn.execute(end.encode())
    source.reload()
    task.journal.append("signal", name="cancel")
    with pytest.raises(MigrationCancelled):
        raise switching.end() or AssertionError
    assert source.sql("SELECT pid FROM pg_stat_replication") == [(before,)]
