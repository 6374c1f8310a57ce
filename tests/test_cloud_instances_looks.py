"""What an owner sees of a server's inside, where clients come by other addresses than theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fix_instances import Managed, a_managed_cloud
from fix_network import Mode
from landbridge.cloud import Cloud, CloudError
from landbridge.cloud.instances import logs, sessions
from landbridge.cloud.instances.homes import Homes
from landbridge.cloud.instances.sessions import Session
from landbridge.cloud.instances.tables import DBInstance
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until

MAJOR = min(d.major for d in discover())


@pytest.fixture(scope="module")
def relayed() -> Iterator[tuple[Managed, str, str]]:
    """Two instances behind the relay; the first lets the second in, and has `mover`."""
    with a_managed_cloud(Mode.RELAY) as made:
        first, second = made.order(MAJOR, ("10.10.0.0/16",)), made.order(MAJOR)
        made.create_account(first, "mover")
        made.settled(first)
        made.settled(second)
        yield made, first, second


def _sessions(made: Managed, id: str) -> list[Session]:
    row = made.read(id)
    assert row is not None
    with made.cloud.database.read() as session:
        return sessions.every(made.cloud, session, made.net, row)


def test_a_client_is_told_by_its_private_address_and_the_service_is_left_alone(
    relayed: tuple[Managed, str, str],
) -> None:
    made, first, second = relayed
    row, other = made.read(first), made.read(second)
    assert row is not None and other is not None
    command = [*made.client(second, first, "mover"), "-c", "SELECT pg_sleep(60)"]
    child = made.popen(made.net.command(second, command))
    with made.session(first) as conn:
        assert wait_until(lambda: len(_sessions(made, first)) >= 2, 10)
        found = {s.user: s for s in _sessions(made, first)}
        assert (found["mover"].client, found["mover"].is_service) == (other.address, False)
        ours = found["pgsql"]
        assert (ours.client, ours.is_service, ours.pid) == ("", True, conn.info.backend_pid)
        with pytest.raises(CloudError) as refused:
            sessions.terminate(made.cloud, row, ours.pid, ours.begun)
        assert refused.value.code == "OperationDenied.ServiceSession"
        assert conn.execute("SELECT 1").fetchone() == (1,)
    later = found["mover"].begun.replace("Z", "").rstrip("0123456789") + "000001Z"
    with pytest.raises(CloudError) as reused:
        sessions.terminate(made.cloud, row, found["mover"].pid, later)
    assert reused.value.code == "InvalidProcessId.NotFound"
    assert child.poll() is None
    sessions.terminate(made.cloud, row, found["mover"].pid, found["mover"].begun)
    assert child.wait(10) == 2


def test_a_long_log_is_searched_by_time_not_read(tmp_path: Path) -> None:
    cloud = Cloud.open(tmp_path)
    instance = DBInstance(id="pgm-long", number=1)
    cluster = Homes.of(cloud).found(instance.id, instance.number)
    cluster.log.parent.mkdir(parents=True)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with cluster.log.open("w") as log:
        log.write("started\n")
        for second in range(20_000):
            at = begin + timedelta(seconds=second)
            log.write(f"{at:%Y-%m-%d %H:%M:%S}.000 GMT [7] a@b my app ERROR:  no {second}\n\tx\n")
            if second == 5000:
                log.write(f"\t{'long' * 100_000}\n")
            log.write(f"{at:%Y-%m-%d %H:%M:%S}.500 GMT [7] a@b my app STATEMENT:  s\n")
            log.write(f"{at:%Y-%m-%d %H:%M:%S}.600 GMT [8] LOG:  in {tmp_path}/x\n")
    assert cluster.log.stat().st_size < logs.MOST
    for first, last in ((0, 3), (4999, 5003), (12_345, 12_346), (19_990, 30_000)):
        page = logs.search(
            cloud,
            instance,
            begin + timedelta(seconds=first),
            begin + timedelta(seconds=last),
            1,
            50,
        )
        seconds = range(first, min(last, 20_000))
        assert page.total == 2 * len(seconds)
        assert [e.text.split()[4] for e in page.rows[1::2]] == [str(s) for s in seconds][::-1]
        assert page.rows[0].text == "LOG:  in x"
    assert page.rows[1].text == "my app ERROR:  no 19999\nx\nmy app STATEMENT:  s"
    cluster.log.unlink()
    cluster.log.symlink_to("/etc/passwd")
    assert logs.search(cloud, instance, begin, datetime.now(UTC), 1, 30).total == 0
    cloud.close()


def test_a_log_is_cut_to_what_is_newest_while_its_server_writes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST", 100_000)
    monkeypatch.setattr(logs, "MOST", 1_000)
    folder = Homes.of(cloud).folder / "pgm-x" / "data.landbridge"
    folder.mkdir(parents=True)
    log, elsewhere = folder / "server.log", folder / "elsewhere"
    with log.open("ab", buffering=0) as server:
        for n in range(9_000):
            server.write(b"line %d\n" % n)
        small = log.read_bytes()
        logs.trim(folder.parent)
        assert log.read_bytes() == small
        for n in range(9_000, 20_000):
            server.write(b"line %d\n" % n)
        with logs.running(cloud):
            assert wait_until(lambda: log.stat().st_size <= 1_000, 10)
        server.write(b"the end\n")
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["line 19999", "the end"] and lines[0].startswith("line 199")
    log.rename(elsewhere)
    log.symlink_to(elsewhere)
    with pytest.raises(OSError):
        logs.trim(folder.parent)
    elsewhere.replace(log)
    folder.rename(folder.with_name("moved")).joinpath("server.log").write_bytes(b"x\n" * 60_000)
    folder.symlink_to(folder.with_name("moved"))
    with pytest.raises(OSError):
        logs.trim(folder.parent)
    assert log.stat().st_size == 120_000
