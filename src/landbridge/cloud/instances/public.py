"""Public endpoints: a port of this machine that leads to an instance's server.

A client there comes from the instance's own private address, and needs that on the whitelist,
where the network's isolation is the kernel's.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...beside import beside
from ...errors import LandbridgeError
from ...network.fabric import Fabric
from ...store import Base
from ..control import Cloud
from ..errors import CloudError
from .lifecycle import require_kept
from .tables import DBInstance

#: Seconds between two looks at the rows, and at whether what stands still listens.
POLL = 0.5
#: Where public endpoints listen.
HOST = "127.0.0.1"

_log = logging.getLogger(__name__)


class PublicEndpoint(Base):
    """An instance that is to be reached from this machine."""

    __tablename__ = "db_public_endpoint"

    instance_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    port: Mapped[int] = mapped_column(default=0)
    """Where it listens; 0 until it does for the first time."""
    is_wanted: Mapped[bool] = mapped_column(default=True)


def allocate(session: Session, instance: DBInstance) -> None:
    """Order a public endpoint. CloudError IncorrectDBInstanceState,
    InvalidOperation.NetTypeExists.
    """
    require_kept(instance)
    row = session.get(PublicEndpoint, instance.id)
    if row is not None and row.is_wanted:
        raise CloudError("InvalidOperation.NetTypeExists")
    if row is None:
        session.add(PublicEndpoint(instance_id=instance.id))
    else:
        row.is_wanted = True


def release(session: Session, instance: DBInstance, host: str) -> None:
    """Order that the public endpoint at `host` goes.

    CloudError InvalidCurrentConnectionString.NotFound.
    """
    row = session.get(PublicEndpoint, instance.id)
    if row is None or not row.is_wanted or host != HOST:
        raise CloudError("InvalidCurrentConnectionString.NotFound")
    row.is_wanted = False


def endpoint(session: Session, instance: DBInstance) -> tuple[str, int] | None:
    """Host and port, once it listens."""
    row = session.get(PublicEndpoint, instance.id)
    return (HOST, row.port) if row is not None and row.is_wanted and row.port else None


class Publisher:
    """Makes the rows so, and so again when the network was built anew."""

    def __init__(self, cloud: Cloud, connect: Callable[[], Fabric]) -> None:
        self._cloud = cloud
        self._connect = connect

    def turn(self) -> None:
        """Publish what should be and does not listen; withdraw the rest."""
        with self._cloud.database.read() as session:
            rows = session.scalars(select(PublicEndpoint)).all()
            there = set(session.scalars(select(DBInstance.id)))
        for row in rows:
            with contextlib.suppress(LandbridgeError):
                if not row.is_wanted or row.instance_id not in there:
                    self._withdraw(row.instance_id)
                elif not row.port or not _listens(row.port):
                    self._publish(row)

    def _publish(self, row: PublicEndpoint) -> None:
        _, port = self._connect().publish(row.instance_id, HOST, row.port)
        with self._cloud.database.write() as session:
            found = session.get(PublicEndpoint, row.instance_id)
            if found is not None:
                found.port = port

    def _withdraw(self, id: str) -> None:
        self._connect().unpublish(id)
        with self._cloud.database.write() as session:
            found = session.get(PublicEndpoint, id)
            if found is not None:
                session.delete(found)


def _listens(port: int) -> bool:
    """Whether somebody listens there; told without a connection, which a server would log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[None]:
    """A publisher at work in a thread of its own."""
    publisher = Publisher(cloud, connect)

    def work(stop: threading.Event) -> None:
        while not stop.wait(POLL):
            try:
                publisher.turn()
            except LandbridgeError as problem:  # the store is busy
                _log.warning("public endpoints wait: %s", problem)
            except Exception:
                _log.exception("public endpoints were not looked after")

    with beside("public", work):
        yield
