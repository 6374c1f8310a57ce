"""Connections over a private socket: nothing is said before it is known who listens.

Whoever owns the folder of a socket can put another one, or a link to another server's, in
its place. The kernel keeps who has called listen() (documentation, unix(7), SO_PEERCRED).
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from ..errors import ServerFailed
from .process import ProcessId

T = TypeVar("T")

_CREDENTIALS = struct.Struct("iII")


def connect(uid: int, process: ProcessId | None, **parameters: Any) -> psycopg.Connection[Any]:
    """Connect to a server of account `uid`; nothing is said to anybody else.

    With `process` the server is guarded: it must be that very process, and no answer is
    endless. Raises ServerFailed (server.not_ours) and psycopg.Error.
    """
    kind = psycopg.Connection[Any] if process is None else BoundedConnection
    # A password is neither asked for nor given: our own line of pg_hba.conf trusts. What the
    # environment wants of other servers (PGTARGETSESSIONATTRS, PGOPTIONS) is not wanted here.
    silent = {"require_auth": "none", "gssencmode": "disable", "sslmode": "disable"}
    plain = {"channel_binding": "disable", "target_session_attrs": "any", "options": ""}
    conn = kind.connect(**silent | plain | parameters)
    found = _listener(conn)
    if found.uid != uid or (process is not None and not found.is_process(process)):
        conn.close()
        raise ServerFailed(
            "somebody else listens on the private socket of the server", id="server.not_ours"
        )
    return conn


@dataclass(frozen=True)
class _Listener:
    """Who has called listen() at the other end."""

    pid: int
    uid: int

    def is_process(self, process: ProcessId) -> bool:
        return self.pid == process.pid and process.alive()


def _listener(conn: psycopg.Connection[Any]) -> _Listener:
    with socket.socket(fileno=os.dup(conn.fileno())) as other:
        raw = other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return _Listener(pid, uid)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection to a server that may answer anything: no answer is endless.

    psycopg.OperationalError ends a statement whose answer is longer than `MOST` bytes or
    takes more than `patience` seconds; the connection is closed then.
    """

    MOST = 32 << 20
    patience = 20.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Drive one exchange with the server; psycopg calls it."""
        end = time.monotonic() + (self.patience if timeout is None else timeout)
        fd = self.pgconn.socket
        received = 0
        poll = select.poll()
        try:
            wants = next(gen)
            while True:
                poll.register(fd, _events(wants))
                events = dict(poll.poll(int(interval * 1000)))
                received += _waiting(fd)
                if received > self.MOST or time.monotonic() > end:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server's answer does not end")
                wants = gen.send(_ready(events.get(fd, 0)))
        except StopIteration as done:
            value: T = done.value
            return value


def _events(wants: Wait) -> int:
    events = select.POLLIN if wants & Wait.R else 0
    return events | (select.POLLOUT if wants & Wait.W else 0)


def _ready(events: int) -> Ready:
    may_read = events & ~select.POLLOUT  # also what is broken: libpq finds that out
    if events & select.POLLOUT:
        return Ready.RW if may_read else Ready.W
    return Ready.R if may_read else Ready.NONE


def _waiting(fd: int) -> int:
    """Bytes that have come and were not read."""
    answer: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    return answer
