"""The line to the source, and the source itself, come and go while the destination follows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fix_following import CHEAP, Following, base_backup, notes, started
from fix_servers import Servers, Source, fill, free_port
from fix_wire import Wire
from landbridge.migration.states import Replication


@pytest.mark.parametrize("major", [pytest.param(11, marks=pytest.mark.slow), 15])
def test_cut_line_says_since_when_and_resumes_by_itself(
    servers: Servers, state_dir: Path, wires: type[Wire], major: int
) -> None:
    source = servers.source(major)
    fill(source, 100)
    wire = wires(source.port)
    task = started(servers, source, state_dir, conninfo=source.conninfo().with_(port=wire.port))
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        cut = datetime.now(UTC)
        wire.cut()
        source.sql("INSERT INTO items SELECT i, 'late' FROM generate_series(1000, 2000) i")
        down = following.until(lambda s: s.state is Replication.DISCONNECT)
        assert down.disconnected_since is not None and not down.caught_up
        since = datetime.fromisoformat(down.disconnected_since)
        assert timedelta(seconds=-4) < since - cut < timedelta(seconds=1)
        following.until(lambda s: not s.source_reachable)
        wire.mend()
        following.until(lambda s: s.caught_up)
        following.until(lambda s: "follow.reconnected" in notes(task))
    with task.cluster().connect() as conn:
        assert conn.execute("SELECT count(*) FROM items WHERE t = 'late'").fetchone() == (1001,)
    assert {"follow.disconnected", "follow.reconnected"} <= set(notes(task))


def test_source_restarted_while_streaming_is_followed_on(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        source.stop("immediate")
        following.until(lambda s: s.state is Replication.DISCONNECT and not s.source_reachable)
        source.start()
        source.sql("INSERT INTO items VALUES (-1, 'after')")
        following.until(lambda s: s.caught_up)
    with task.cluster().connect() as conn:
        assert conn.execute("SELECT t FROM items WHERE id = -1").fetchone() == ("after",)


@pytest.mark.parametrize("major", [11, 15])
def test_source_promoted_to_a_new_timeline_is_followed(
    servers: Servers, state_dir: Path, major: int
) -> None:
    primary = servers.source(major)
    fill(primary, 100)
    replica = standby_of(servers, primary)
    task = started(servers, replica, state_dir)
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        primary.stop()
        replica.signal_promotion()
        following.until(lambda s: s.state is Replication.STREAMING)
        with replica.connect() as conn:
            while conn.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                time.sleep(0.02)
            conn.execute("INSERT INTO items VALUES (-1, 'second timeline')")
        following.until(lambda s: s.caught_up)
    with task.cluster().connect() as conn:
        assert conn.execute("SELECT t FROM items WHERE id = -1").fetchone() == ("second timeline",)


def standby_of(servers: Servers, primary: Source) -> Source:
    """A read-only instance of the primary, made by hand."""
    replica = Source(servers.root / "replica", primary.distribution, free_port())
    primary.sql("SELECT pg_create_physical_replication_slot('replica', true)")
    base_backup(primary, replica.data, "replica")
    upstream = f"host={primary.socket_dir} port={primary.port} user={primary.superuser}"
    settings: dict[str, str | int] = {
        **CHEAP, "listen_addresses": "127.0.0.1", "wal_retrieve_retry_interval": "200ms"
    }  # fmt: skip
    hba = ["host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"]
    if primary.distribution.major >= 12:
        settings["primary_conninfo"] = upstream
        primary.account.write(replica.data / "standby.signal", "")
    else:
        recovery = f"standby_mode = on\nprimary_conninfo = '{upstream}'\n"
        primary.account.write(replica.data / "recovery.conf", recovery)
    replica.configure(settings, hba)
    servers.adopt(replica)
    replica.start()
    return replica
