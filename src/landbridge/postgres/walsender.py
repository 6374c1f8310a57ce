"""One connection to a walsender: commands, waits with a bound on silence, and errors.

Keepalives alone do not notice a wire that dies behind a proxy, so whoever waits here
says how long a silence may last.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
from typing import Any, Self

import psycopg
from psycopg import pq

from ..errors import ReplicationFailed, ServerUnreachable
from .conninfo import Conninfo

# Message of the server -> (id, remedy). At connect time there is no SQLSTATE (measured), and
# "no slot free" shares its SQLSTATE with other limits, so the message decides.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"pg_hba.conf", "replication.no_hba_line",
     "Add a line for database `replication` to pg_hba.conf of the source, and reload it."),
    (r"replication role to start walsender|permission denied to start WAL sender",
     "replication.no_privilege", "ALTER ROLE ... REPLICATION on the source."),
    (r"max_wal_senders", "replication.no_walsender",
     "Raise max_wal_senders on the source (restart), or end a replication connection there."),
    (r"all replication slots are in use|max_replication_slots", "replication.no_slot_free",
     "Raise max_replication_slots on the source (restart), or drop a slot nobody uses."),
    (r"wal_level", "replication.wal_level", "Set wal_level = replica on the source (restart)."),
    (r"replication slot .* does not exist", "replication.slot_missing", ""),
    (r"replication slot .* already exists", "replication.slot_exists", ""),
    (r"replication slot .* is active", "replication.slot_active",
     "Somebody uses this slot: wait, or end that replication connection."),
    (r"WAL segment .* has already been removed", "replication.wal_removed",
     "The copy must be made again."),
    (r"[Cc]onnection timed out", "replication.silent", "Look at the line to the source."),
)  # fmt: skip


class Walsender:
    """A replication connection; a context manager that closes it.

    Not thread-safe, apart from `abort`, which makes a wait in another thread fail.
    """

    def __init__(self, conninfo: Conninfo, connection: psycopg.Connection[Any]) -> None:
        self.conninfo = conninfo
        self._connection = connection
        self.pgconn = pgconn = connection.pgconn
        self.notices: list[str] = []
        """Warnings of the server, in order, primary message only."""
        pgconn.nonblocking = 1
        pgconn.notice_handler = self._notice
        self._poll = select.poll()
        self._poll.register(pgconn.socket, select.POLLIN)

    @classmethod
    def connect(cls, conninfo: Conninfo, **more: Any) -> Self:
        """Connect as walsender client (`replication=true`).

        Raises ReplicationFailed when replication is refused (no_hba_line, no_privilege,
        no_walsender) and ServerUnreachable for every other reason.
        """
        try:
            return cls(conninfo, conninfo.connect(replication="true", **more))
        except ServerUnreachable as error:
            raise _known(error.message) or error from None

    @property
    def version(self) -> int:
        """The server's version as a number: 150018 is 15.18."""
        return self.pgconn.server_version

    def send(self, command: bytes) -> None:
        """Begin a command whose results are fetched with `next_result`."""
        try:
            self.pgconn.send_query(command)
            self.flush()
        except psycopg.Error as error:
            raise self.lost(error) from None

    def flush(self) -> None:
        """Send what libpq holds back."""
        while self.pgconn.flush():
            select.select([], [self.pgconn.socket], [], 1.0)

    def next_result(self, silence: float | None) -> pq.abc.PGresult | None:
        """The next result of the command, None after the last; ReplicationFailed on an error."""
        while self.pgconn.is_busy():
            self.receive(silence)
        result = self.pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise _failed(result)
        return result

    def receive(self, silence: float | None) -> None:
        """Wait for bytes (at most `silence` seconds, None: for ever) and take them in.

        Raises ReplicationFailed: replication.silent, replication.closed, or what the
        server said last.
        """
        if not self.readable(silence):
            raise self.silent(silence or 0)
        try:
            self.pgconn.consume_input()
        except psycopg.Error as error:
            raise self.lost(error) from None

    def readable(self, seconds: float | None) -> bool:
        """Whether bytes (or the end of the connection) arrived within `seconds`."""
        return bool(self._poll.poll(None if seconds is None else seconds * 1000))

    def silent(self, seconds: float) -> ReplicationFailed:
        """The error for a line on which nothing was heard for so long."""
        return ReplicationFailed(
            f"nothing was heard from {self.conninfo} for {seconds:.0f} s",
            id="replication.silent",
            remedy="Look at the line to the source.",
            retryable=True,
        )

    def abort(self) -> None:
        """Make every wait on this connection fail at once; may be called from any thread."""
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as it,
        ):
            it.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _notice(self, result: pq.abc.PGresult) -> None:
        message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
        self.notices.append(message.decode(errors="replace"))

    def lost(self, error: psycopg.Error) -> ReplicationFailed:
        """The error for a broken connection: the server's last words if it left any."""
        with contextlib.suppress(psycopg.Error):
            while self.pgconn.get_copy_data(1)[0] > 0:
                pass
        with contextlib.suppress(psycopg.Error):
            for _ in range(3):
                result = self.pgconn.get_result()
                if result is not None and result.error_field(pq.DiagnosticField.SQLSTATE):
                    return _failed(result)
        text = f"the connection to {self.conninfo} broke: {' '.join(str(error).split())}"
        return _known(text) or ReplicationFailed(text, id="replication.closed", retryable=True)


def rows_of(result: pq.abc.PGresult) -> list[list[bytes | None]]:
    """The rows of one result."""
    return [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]


def _failed(result: pq.abc.PGresult) -> ReplicationFailed:
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    detail = result.error_field(pq.DiagnosticField.MESSAGE_DETAIL)
    text = " ".join(part.decode(errors="replace") for part in (message, detail) if part)
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    known = _known(text)
    if known is not None:
        known.sqlstate = state
        return known
    closed = state.startswith("57P")
    error = ReplicationFailed(
        text.strip(), id="replication.closed" if closed else "replication.failed", retryable=closed
    )
    error.sqlstate = state
    return error


def _known(message: str) -> ReplicationFailed | None:
    for pattern, id, remedy in _CAUSES:
        if re.search(pattern, message):
            return ReplicationFailed(
                message, id=id, remedy=remedy or None, retryable=id == "replication.silent"
            )
    return None
