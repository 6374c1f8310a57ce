"""Sessions that the vendor's own procedure spares, and logins that were under way."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from fix_servers import Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from fix_writers import APP, APP_PASSWORD, Writer, acked_rows, missing_and_doubled, prepare, writing
from landbridge.errors import SwitchoverUndone
from landbridge.migration.switchover import switch_over
from landbridge.migration.task import Task


def make(servers: Servers, state_dir: Path, fence: str, major: int = 15) -> tuple[Source, Task]:
    source = servers.source(major)
    prepare(source)
    source.sql(f"CREATE ROLE monitor LOGIN PASSWORD '{APP_PASSWORD}'")
    source.sql("GRANT ALL ON acked TO monitor")
    task = synchronizing_task(servers, state_dir, source, fence=fence)
    wait_streaming(source, task)
    return source, task


class Monitor(Writer):
    """A service's client: stays connected and goes on whatever is refused."""

    def _connect(self, port: int) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=port, user="monitor", password=APP_PASSWORD,
            dbname="postgres", autocommit=True, application_name=self.name,
        )  # fmt: skip

    def _write(self, conn: psycopg.Connection, port: int, numbers: object) -> None:
        while not self._stop.wait(0.02) and not conn.broken:
            try:
                super()._write(conn, port, numbers)  # type: ignore[arg-type]
            except psycopg.errors.ReadOnlySqlTransaction:
                continue


@pytest.mark.parametrize("fence", ["lockout", "sync"])
def test_a_service_that_writes_loses_nothing(servers: Servers, state_dir: Path, fence: str) -> None:
    source, task = make(servers, state_dir, fence)
    writers = [Monitor("monitor", [source.port])]
    with writing(*writers):
        switch_over(task)
        time.sleep(0.3)  # it goes on trying on the old source
    assert writers[0].acknowledged
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    with source.admin().connect() as boss:
        assert boss.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_a_services_transaction_older_than_the_fence_holds_the_promotion(
    servers: Servers, state_dir: Path
) -> None:
    """It is read-write still, and could commit without waiting for the destination."""
    source, task = make(servers, state_dir, "sync")
    with source.conninfo("monitor", APP_PASSWORD).connect(application_name="probe") as service:
        service.execute("SET synchronous_commit = off")
        service.execute("BEGIN")
        with pytest.raises(SwitchoverUndone) as caught:
            switch_over(task)
        assert caught.value.id == "switchover.still_writing"
        assert "monitor (probe)" in caught.value.message
        service.execute("COMMIT")
        switch_over(task)
        assert not service.broken
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            service.execute("INSERT INTO acked VALUES ('probe', 1)")


@pytest.mark.parametrize("major", [10, 15, 18])
def test_a_login_under_way_at_the_lockout_cannot_write(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source, task = make(servers, state_dir, "lockout", major)
    login = pq.PGconn.connect_start(
        f"host=127.0.0.1 port={source.port} user={APP} password={APP_PASSWORD}"
        " dbname=postgres".encode()
    )
    while login.status != pq.ConnStatus.AWAITING_RESPONSE:
        login.connect_poll()
        time.sleep(0.005)
    time.sleep(0.2)  # the server has asked for the password, and waits
    switch_over(task)
    while login.status not in (pq.ConnStatus.OK, pq.ConnStatus.BAD):
        login.connect_poll()
        time.sleep(0.005)
    if login.status == pq.ConnStatus.OK:
        answer = login.exec_(b"INSERT INTO acked VALUES ('late', 1)")
        assert b"read-only transaction" in answer.error_message
    else:
        assert major >= 18  # where it is seen, and ended
    login.finish()
    with source.admin().connect() as boss:
        assert boss.execute("SELECT count(*) FROM acked").fetchone() == (0,)
