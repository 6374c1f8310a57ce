"""What an owner sees of a server's inside, where clients come by other addresses than theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fix_instances import Managed, a_managed_cloud
from fix_network import Mode
from landbridge.cloud import CloudError
from landbridge.cloud.instances import sessions
from landbridge.cloud.instances.sessions import Session
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
