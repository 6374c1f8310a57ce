"""START_REPLICATION on a physical slot: WAL as it is written, with heartbeats.

(PostgreSQL documentation, "Streaming Replication Protocol": XLogData `w`, primary
keepalive `k`, standby status update `r`.)
"""

from __future__ import annotations

import contextlib
import select
import struct
import time
from collections.abc import Callable, Generator

import psycopg
from psycopg import pq, sql

from ..errors import ReplicationFailed
from .lsn import Lsn
from .walsender import Walsender

#: Seconds without a word from the source before the line is given up.
SILENCE = 10.0
#: Seconds between our status messages; each asks for an answer, so a live line is never silent.
HEARTBEAT = 2.0

_EPOCH = 946684800  # 2000-01-01, where PostgreSQL's clock begins, in seconds since 1970
_WAL_HEADER = struct.Struct("!cQQq")
_WAL = ord("w")
_STATUS = struct.Struct("!cQQQqB")


def stream_wal(
    conn: Walsender,
    start: Lsn,
    timeline: int,
    slot: str | None = None,
    *,
    flushed: Callable[[], Lsn] = lambda: Lsn(0),
    wake: int | None = None,
) -> Generator[tuple[Lsn, memoryview]]:
    """Stream WAL of `timeline` from `start` on; yields (position, bytes).

    `flushed` says up to where the receiver has made WAL durable: the slot keeps WAL from
    there on. Once per heartbeat, and whenever the file descriptor `wake` becomes readable,
    an empty piece is yielded, so that the receiver can decide to stop; closing the
    generator ends the stream. Raises ReplicationFailed
    (replication.silent after `SILENCE` seconds without any word).
    """
    clause = sql.SQL("SLOT {} ").format(sql.Identifier(slot)) if slot else sql.SQL("")
    conn.send(
        sql.SQL("START_REPLICATION {}PHYSICAL {} TIMELINE {}")
        .format(clause, sql.SQL(str(start)), sql.SQL(str(int(timeline))))
        .as_bytes(None)
    )
    result = conn.next_result(SILENCE)
    if result is None or result.status != pq.ExecStatus.COPY_BOTH:
        raise ReplicationFailed(
            f"the source holds no more WAL of timeline {timeline}", id="replication.timeline_ended"
        )
    try:
        yield from _messages(conn, start, flushed, wake)
    finally:
        with contextlib.suppress(psycopg.Error):
            conn.pgconn.put_copy_end()
            conn.flush()


def _messages(
    conn: Walsender, received: Lsn, flushed: Callable[[], Lsn], wake: int | None
) -> Generator[tuple[Lsn, memoryview]]:
    ears = [conn.pgconn.socket, *([] if wake is None else [wake])]
    silent_since: float | None = None
    due = 0.0
    while True:
        try:
            size, data = conn.pgconn.get_copy_data(1)
        except psycopg.Error as error:
            raise conn.lost(error) from None
        if size > 0:
            silent_since = None
            if data[0] == _WAL:
                _, position, _, _ = _WAL_HEADER.unpack_from(data)
                piece = data[_WAL_HEADER.size :]
                received = Lsn(position + len(piece))
                yield Lsn(position), piece
        elif size < 0:
            conn.next_result(SILENCE)
            raise ReplicationFailed(
                "the source ended the stream of WAL", id="replication.closed", retryable=True
            )
        now = time.monotonic()
        if now >= due:
            _report(conn, received, flushed())
            due = now + HEARTBEAT
        if size == 0:
            silent_since = silent_since or now
            ready, _, _ = select.select(ears, [], [], due - now)
            if conn.pgconn.socket in ready:
                conn.receive(0)
                continue
            if time.monotonic() - silent_since >= SILENCE:
                raise conn.silent(SILENCE)
            yield received, memoryview(b"")


def _report(conn: Walsender, received: Lsn, flushed: Lsn) -> None:
    microseconds = int((time.time() - _EPOCH) * 1_000_000)
    message = _STATUS.pack(b"r", received, flushed, 0, microseconds, 1)
    try:
        conn.pgconn.put_copy_data(message)
        conn.flush()
    except psycopg.Error as error:
        raise conn.lost(error) from None
