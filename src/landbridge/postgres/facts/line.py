"""The line to a server, measured over a real connection: throughput, packet size, latency."""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import pq, sql

#: Seconds that the measurement may load the line, and until silence counts as a stall.
BUDGET = 0.3
STALL = 5.0
#: Seconds for one block. 64 kB in more than that is a trickle over which nobody can work.
_LONGEST = 10.0
_BLOCK = 256 * 1024
_FIRST = 64 * 1024
# Bytes that no buffer on the way swallows at once.
_SURE = 16 * 1024**2
#: Bytes that do not compress, made once and sent again and again: a compressor on the way
#: would have to remember 256 kB to profit.
_QUERY: LiteralString = (
    "COPY (SELECT substr(b, 1, {size}) FROM (SELECT decode(string_agg(md5(random()::text), ''),"
    " 'hex') AS b FROM generate_series(1, {hashes})) r, generate_series(1, {rows}))"
    " TO STDOUT (FORMAT binary)"
)
_TCP_INFO = struct.Struct("8B24I")


@dataclass(frozen=True)
class Line:
    """What one connection carries from the server to us."""

    rate: float | None
    """Bytes per second, or None if a transfer stalled or was no more than a trickle."""
    bytes: int
    """Bytes of the transfer that was measured, or that arrived before the stall."""
    mtu: int | None = None
    """Largest packet the path is known to take (Linux TCP_INFO)."""
    segment: int | None = None
    """Largest TCP segment that arrived."""
    round_trip: float | None = None
    """Smoothed round trip of the kernel, in seconds."""


def measure_line(
    conn: psycopg.Connection[Any], enough: float = float("inf"), budget: float = BUDGET
) -> Line:
    """Send growing blocks until one takes a fifth of a second; at most about `budget` in all.

    The time counts from the first byte of a block that arrives to its last, so that neither
    latency nor making the block is part of it. Whoever only asks whether the line is faster
    than `enough` bytes per second gets an answer sooner. Raises psycopg.Error if the server
    refuses.
    """
    size, spent, rate = _FIRST, 0.0, 0.0
    while True:
        count, seconds, stalled = _transfer(conn, size)
        if stalled:
            return Line(None, count, **_tcp(conn))
        spent += seconds
        rate = count / seconds if seconds else rate
        sure = rate > enough and count >= _SURE
        if seconds > budget / 2 or spent > budget or sure or not rate:
            return Line(rate or None, count, **_tcp(conn))
        size = max(size * 2, int(min(size * 16, rate * (budget - spent))))


def _transfer(conn: psycopg.Connection[Any], size: int) -> tuple[int, float, bool]:
    """(bytes after the first arrival, seconds they took, whether it stalled)."""
    link = conn.pgconn
    # Several rows, because the first one that arrives only starts the clock.
    block = min(size // 8, _BLOCK)
    query = sql.SQL(_QUERY).format(
        size=sql.Literal(block), hashes=sql.Literal(block // 16), rows=sql.Literal(size // block)
    )
    link.send_query(query.as_bytes(conn))
    if not _answers(link):
        return 0, STALL, True
    result = link.get_result()
    if result is None or result.status != pq.ExecStatus.COPY_OUT:
        message = result.get_error_message() if result else "no answer"
        _drain(link)
        raise psycopg.OperationalError(message)
    first, total, begin = 0, 0, time.monotonic()
    until = begin + _LONGEST
    while True:
        length, _ = link.get_copy_data(1)
        if length > 0:
            total += length
            if not first:
                first, begin = length, time.monotonic()
        elif length == 0:
            silent = not select.select([link.socket], [], [], STALL)[0]
            if silent or time.monotonic() > until:
                return total, time.monotonic() - begin, True
            link.consume_input()
        else:
            break
    seconds = time.monotonic() - begin
    _drain(link)
    return total - first, seconds, False


def _answers(link: pq.abc.PGconn) -> bool:
    """Wait for the begin of an answer; False if the line is silent."""
    while link.is_busy():
        if not select.select([link.socket], [], [], STALL)[0]:
            return False
        link.consume_input()
    return True


def _drain(link: pq.abc.PGconn) -> None:
    while link.get_result() is not None:
        pass


def _tcp(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    """MTU, segment size and round trip that Linux keeps for this connection."""
    copy = socket.socket(fileno=socket.dup(conn.pgconn.socket))
    try:
        raw = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        values = _TCP_INFO.unpack(raw)
    except (OSError, AttributeError, struct.error):
        return {}
    finally:
        copy.close()
    # struct tcp_info of linux/tcp.h: eight bytes, then 32-bit words in this order.
    words = values[8:]
    return {"segment": words[3], "mtu": words[13], "round_trip": words[15] / 1e6}
