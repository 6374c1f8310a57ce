"""Which compression suits the line and the source."""

from __future__ import annotations

from typing import Any

import psycopg

from ...errors import CopyFailed
from ...postgres.conninfo import unreachable
from ...postgres.facts.line import measure_line
from .compression import NONE, Compression, Method
from .model import CopySpec

# Measured on 4 cores, loopback, 4 GB of mixed data: zstd with two workers passes 6.8 Gbit/s
# of data and costs the source twice the CPU, so from this speed on nothing is to be won.
_FAST = 5e9
# Below this line speed (bit/s) level 3 wins over level 1 (measured at 1 Gbit/s: 703 against
# 766 MB on the line); above, its CPU time shows.
_LEVEL_3_BELOW = 2e9
# gzip:1 passes about 1.6 Gbit/s of data on one core of the source.
_GZIP_BELOW = 1.2e9
# Seconds for the measurement: the ranges above are wide, and every copy pays for it.
_BUDGET = 0.08


def candidates(spec: CopySpec, version: int) -> list[Compression]:
    """What to ask of a source of that version, best first; the last is never refused.

    An explicit choice stands alone. Raises CopyFailed when it asks for what the source's
    version does not have.
    """
    if spec.compression != "auto":
        return [_explicit(spec.compression, version)]
    if version < 150000:
        return [NONE]
    try:
        with spec.conninfo.connect() as conn:
            return choose(_speed(conn, spec.max_rate), _methods(conn))
    except psycopg.Error as error:
        raise unreachable(spec.conninfo, str(error)) from None


def choose(speed: float, methods: set[Method]) -> list[Compression]:
    """Compressions for a line of `speed` bytes per second, best first.

    >>> [str(c) for c in choose(12.5e6, {Method.GZIP, Method.ZSTD})]
    ['zstd:3:2', 'zstd:3', 'gzip:1', 'none']
    >>> [str(c) for c in choose(1e9, {Method.GZIP, Method.LZ4, Method.ZSTD})]
    ['none']
    """
    bits = speed * 8
    wanted: list[Compression] = []
    if bits < _FAST:
        level = 3 if bits < _LEVEL_3_BELOW else 1
        # A library built without threads refuses workers.
        wanted += [Compression(Method.ZSTD, level, 2), Compression(Method.ZSTD, level)]
        wanted.append(Compression(Method.LZ4))
    if bits < _GZIP_BELOW:
        wanted.append(Compression(Method.GZIP, 1))
    return [c for c in wanted if c.method in methods] + [NONE]


def _speed(conn: psycopg.Connection[Any], max_rate: int | None) -> float:
    """Bytes per second the copy can have, measured unless the limit settles it."""
    if max_rate is not None and max_rate * 8 < _LEVEL_3_BELOW:
        return max_rate
    line = measure_line(conn, enough=_FAST / 8, budget=_BUDGET)
    if line.rate is None:
        raise CopyFailed(
            f"the line to the source carried {line.bytes} bytes and then nothing",
            id="copy.wire_dead",
            remedy="Look at the line to the source.",
            retryable=True,
        )
    return min(line.rate, max_rate or float("inf"))


def _methods(conn: psycopg.Connection[Any]) -> set[Method]:
    """What the source's build knows: the values it would take for wal_compression."""
    row = conn.execute("SELECT enumvals FROM pg_settings WHERE name = 'wal_compression'").fetchone()
    known = set(row[0]) if row else set()
    return {Method.GZIP} | {m for m in (Method.LZ4, Method.ZSTD) if m.value in known}


def _explicit(text: str, version: int) -> Compression:
    wanted = Compression.parse(text)
    if version < 150000 and wanted.method is not Method.NONE:
        raise CopyFailed(
            f"compression by the source begins with PostgreSQL 15, it is {version // 10000}",
            id="copy.compression_unsupported",
            remedy="Use --compression auto or none.",
        )
    return wanted
