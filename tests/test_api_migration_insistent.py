"""A managed source that refuses writes, while somebody insists: nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest

from fix_migration import MOVER, PASSWORD, Site, Two, two_sites
from landbridge.api.action import Product
from landbridge.api.client import CallRefused
from landbridge.beside import beside
from landbridge.postgres.process import wait_until

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
OVERRIDE = "SET default_transaction_read_only = off"


@pytest.fixture
def two(without_proxy: None) -> Iterator[Two]:
    with two_sites() as made:
        yield made


class Insistent:
    """Writes as the migration's account in a new session each time, whatever the default is."""

    def __init__(self) -> None:
        self.where: dict[str, Any] = {}
        self.pause = 0.0
        self.acknowledged: list[int] = []
        self.ended = 0
        """Sessions that were ended before they were told anything."""

    def __call__(self, stop: threading.Event) -> None:
        n = 10_000
        while not stop.wait(self.pause):
            n += 1
            try:
                with psycopg.connect(**self.where, autocommit=True) as conn:
                    conn.execute(OVERRIDE)
                    conn.execute("INSERT INTO public.orders VALUES (%s)", [n])
                    self.acknowledged.append(n)
            except psycopg.Error:
                self.ended += 1


def _followed(two: Two) -> str:
    """A migration whose standby follows; its id."""
    two.a.admit(two.b.cidr)
    two.settled(two.a)
    with two.server(two.a) as conn:
        conn.execute("GRANT INSERT ON public.orders TO mover")
    two.assess()
    task = str(two.begin())
    two.until(lambda it: it.replication_state == "streaming")
    return task


def _where(two: Two) -> dict[str, Any]:
    """The private socket of the source, as the migration's account."""
    with two.server(two.a) as conn:
        info = conn.info
        return {"host": info.host, "port": info.port, "user": MOVER, "dbname": "postgres"}


def _switched(two: Two, task: str) -> None:
    """Order the switchover until it is not put back, because somebody wrote, any more."""

    def is_over() -> bool:
        return status() in ("Finished", "ReadyToSwitch")

    def status() -> str:
        return str(two.b.ours("DescribeMigration", TaskId=task)["Status"])

    for _ in range(8):
        two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
        assert wait_until(is_over, 90, 0.2), two.look().detail
        if status() == "Finished":
            return
    raise AssertionError(two.look().detail)


def test_no_write_that_insists_is_acknowledged_and_lost(two: Two) -> None:
    for each in (two, two.another(), two.another()):
        _move_under(each, Insistent())


def _move_under(two: Two, writer: Insistent) -> None:
    task = _followed(two)
    writer.where = _where(two)
    with beside("insistent", writer):
        two.close_source()
        before = len(writer.acknowledged)
        assert wait_until(lambda: len(writer.acknowledged) > before + 10, 20, 0.05)
        writer.pause = 0.8  # else it is refused: somebody writes
        _switched(two, task)
        writer.pause, ended = 0.0, writer.ended
        assert wait_until(lambda: writer.ended > ended + 10, 20, 0.05)
    with two.server(two.b) as conn:
        there = {n for (n,) in conn.execute("SELECT n FROM public.orders").fetchall()}
    assert set(writer.acknowledged) <= there
    evidence = two.b.ours("DescribeMigrationEvidence", TaskId=task)["Evidence"]
    assert evidence["switchover"]["proved"]["synchronous"] is True
    detail = two.look().detail
    assert "that waits for the destination and is not acknowledged" in detail
    assert "still names the destination" not in detail
    assert "landbridge_m_" in _names(two)


def test_what_waits_for_a_destination_goes_on_once_that_is_cancelled(two: Two) -> None:
    task = _followed(two)
    assert _names(two) == ""
    two.close_source()
    assert "landbridge_m_" in _names(two)
    with ThreadPoolExecutor() as pool:
        with _stopped(_receiver(two)):
            waiting = pool.submit(_write, two, "on")
            assert wait_until(lambda: _waiters(two) == 1, 10, 0.05)
            with two.server(two.a) as conn:
                conn.execute("SET synchronous_commit = local")
                conn.execute(OVERRIDE)
                conn.execute("DROP ROLE monitor")
            _ordered(two, "guest")  # for which the service's own roles are looked at, too
            with two.server(two.a) as conn:
                made = "SELECT count(*) FROM pg_roles WHERE rolname IN ('monitor', 'guest')"
                assert conn.execute(made).fetchone() == (2,)
            two.again()
            _ordered(two, "other")
            assert "landbridge_m_" in _names(two) and not waiting.done()
        waiting.result(20)
        with two.server(two.b) as conn:
            conn.execute("SELECT pg_wal_replay_pause()")
        waiting = pool.submit(_write, two, "remote_apply")
        assert wait_until(lambda: _waiters(two) == 1, 10, 0.05)
        two.b.ours("CancelMigration", TaskId=task)
        waiting.result(60)
    two.b.until("Running")
    assert _names(two) == ""
    two.a.set(rds_force_trans_ro_non_sup="off")
    two.settled(two.a)
    assert wait_until(lambda: _shown(two.a, two, "default_transaction_read_only") == "off", 10)


def _shown(site: Site, two: Two, name: LiteralString) -> str:
    with two.server(site) as conn:
        row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _names(two: Two) -> str:
    two.settled(two.a)
    return _shown(two.a, two, "synchronous_standby_names")


def _ordered(two: Two, account: str) -> None:
    two.a.rds(
        "CreateAccount", dbinstance_id=two.a.id, account_name=account, account_password=PASSWORD
    )
    two.settled(two.a)


def _write(two: Two, waits_for: str) -> None:
    """As the superuser, whom nobody ends."""
    with two.server(two.a) as conn:
        conn.execute(OVERRIDE)
        conn.execute("SELECT set_config('synchronous_commit', %s, false)", [waits_for])
        conn.patience = 120  # type: ignore[attr-defined]
        conn.execute("INSERT INTO public.orders VALUES (0)")


def _waiters(two: Two) -> int:
    with two.server(two.a) as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _receiver(two: Two) -> int:
    with two.server(two.b) as conn:
        row = conn.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_source_that_is_lost_is_told_within_seconds_and_may_be_given_up(two: Two) -> None:
    task = _followed(two)

    def seen() -> dict[str, Any]:
        return two.b.ours("DescribeMigration", TaskId=task)

    assert wait_until(lambda: seen()["Status"] == "ReadyToSwitch", 20, 0.1)
    group = {"DBInstanceIPArrayName": "migration", "SecurityIps": "127.0.0.1"}
    two.a.tenant.call(
        Product.RDS, "ModifySecurityIps", DBInstanceId=two.a.id, CloseSessions="true", **group
    )
    assert wait_until(lambda: seen()["Status"] == "ReadinessUnknown", 6, 0.1), seen()
    assert wait_until(lambda: seen()["Live"].get("lag_bytes") is None, 6, 0.1), seen()
    lost = seen()
    assert lost["TroubleSince"] and "since" in lost["Trouble"]
    assert lost["Live"]["sessions"] is None
    assert two.look().replication_state == "disconnect"
    two.b.ours("CancelMigration", TaskId=task)
    told: list[str] = []

    def waits() -> bool:
        told.append(seen()["Status"])
        return bool(seen()["MayGiveUp"])

    assert wait_until(waits, 60, 0.1)
    assert set(told) == {"Cancelling"}
    assert "waiting for the source" in seen()["Trouble"]
    with pytest.raises(CallRefused, match="GiveUp"):
        two.b.ours("CancelMigration", TaskId=task)
    two.b.ours("CancelMigration", TaskId=task, GiveUp=True)
    two.b.until("Running")
    assert seen()["Status"] == "Cancelled" and seen()["TroubleSince"] is None
