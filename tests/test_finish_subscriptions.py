"""Subscriptions of the source arrive with the copy and must not apply a second time."""

from __future__ import annotations

import time
from pathlib import Path

from fix_following import notes, promoted, started
from fix_servers import Servers, Source
from landbridge.migration.finish import finish
from landbridge.postgres.process import wait_until


def subscribe(publisher: Source, source: Source) -> None:
    """`source` applies table `news` of `publisher`."""
    for server in (publisher, source):
        server.sql("CREATE TABLE news (id int)")
    publisher.sql("CREATE PUBLICATION news FOR TABLE news")
    source.sql(
        f"CREATE SUBSCRIPTION news CONNECTION 'host={publisher.socket_dir} port={publisher.port}"
        f" user={publisher.superuser} dbname=postgres' PUBLICATION news"
    )
    publisher.sql("INSERT INTO news VALUES (1)")
    assert wait_until(lambda: source.sql("SELECT id FROM news") == [(1,)], 20, every=0.05)


def test_subscription_does_not_apply_twice(servers: Servers, state_dir: Path) -> None:
    publisher = servers.source(15, settings={"wal_level": "logical"})
    source = servers.source(15)
    subscribe(publisher, source)
    task = started(servers, source, state_dir)
    assert "standby.subscriptions_still" in notes(task)
    result = promoted(task)
    # The source's own apply worker no longer holds the publisher's slot.
    source.stop()
    publisher.sql("INSERT INTO news VALUES (2)")
    with task.cluster().connect() as conn:
        time.sleep(1)  # the launcher would start a worker within milliseconds
        assert conn.execute("SELECT id FROM news").fetchall() == [(1,)]
        done = finish(task, result)
        assert done.subscriptions_disabled == [{"database": "postgres", "subscription": "news"}]
        assert "max_logical_replication_workers" in done.pending_restart
        assert conn.execute("SELECT subenabled FROM pg_subscription").fetchall() == [(False,)]
    task.cluster().restart()
    with task.cluster().connect() as conn:
        assert conn.execute("SHOW max_logical_replication_workers").fetchone() == ("4",)
        assert conn.execute("SELECT id FROM news").fetchall() == [(1,)]
        conn.execute("ALTER SUBSCRIPTION news ENABLE")
        query = "SELECT id FROM news ORDER BY id"
        assert wait_until(lambda: conn.execute(query).fetchall() == [(1,), (2,)], 20, every=0.05)
