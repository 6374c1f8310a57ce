"""Commits that the source made after the destination went its own way.

Read from the source's WAL, streamed from the fork on to the migration account, so that
neither a superuser nor a file of the source is needed. The list is exact: a commit is on
the destination if and only if its record lies before the fork.
(PostgreSQL sources, xlogrecord.h, xlog_internal.h, xact.h; the same for majors 10-18.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..postgres.cluster import Cluster
from ..postgres.lsn import Lsn
from ..postgres.positions import Connection, flush_lsn
from ..postgres.replication import ReplicationConnection
from .task import Task

_PAGE_HEADER, _FIRST_PAGE_HEADER = 24, 40
_RECORD = struct.Struct("<IIQBBxxI")
_XLOG, _XACT = 0, 1
_SWITCH = 0x40
_COMMITS = (0x00, 0x30)
"""COMMIT and COMMIT PREPARED."""
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOPLEVEL_XID = 255, 254, 253, 252
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    """One WAL record: where it begins, and its parts."""

    lsn: Lsn
    xid: int
    manager: int
    info: int
    body: bytes


@dataclass(frozen=True)
class Layout:
    """Sizes, in bytes, that the cluster was created with."""

    page: int
    segment: int


def diverged(task: Task, source: Connection, fork: Lsn, timeline: int) -> list[dict[str, Any]]:
    """Commits of the source at or after `fork` on `timeline`: xid, lsn, at (UTC, ISO 8601).

    Raises ReplicationFailed or ServerUnreachable when the source's WAL cannot be read.
    """
    end = flush_lsn(source)
    if end <= fork:
        return []
    row = source.execute(
        "SELECT wal_block_size, bytes_per_wal_segment FROM pg_control_init()"
    ).fetchone()
    assert row is not None
    wal = _fetch(task, fork, end, timeline)
    return [commit(r) for r in records(wal, fork, Layout(*row)) if is_commit(r)]


def fork_of(cluster: Cluster, timeline: int) -> Lsn:
    """Where the server's current timeline branched off, from its history file."""
    return branch_of(cluster, timeline)[1]


def branch_of(cluster: Cluster, timeline: int) -> tuple[int, Lsn]:
    """The timeline that `timeline` branched off, and where, from its history file.

    Lines of `parent<TAB>position<TAB>reason`, the last being the latest.
    """
    text = (cluster.data / "pg_wal" / f"{timeline:08X}.history").read_text()
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    return int(lines[-1][0]), Lsn.parse(lines[-1][1])


def records(wal: bytes, start: Lsn, layout: Layout) -> Iterator[Record]:
    """The complete records in `wal`, which begins at `start`, the beginning of a record."""
    at, end = int(start), int(start) + len(wal)

    def take(position: int, count: int) -> tuple[bytes, int]:
        """`count` bytes of content from `position` on, and the position after them."""
        found = bytearray()
        while count:
            position = _past_header(position, layout)
            piece = min(count, layout.page - position % layout.page)
            found += wal[position - start : position - start + piece]
            position, count = position + piece, count - piece
        return bytes(found), position

    while at + _RECORD.size <= end:
        begin = _past_header(at, layout)
        head, _ = take(begin, _RECORD.size)
        if len(head) < _RECORD.size:
            return
        length, xid, _, info, manager, _ = _RECORD.unpack(head)
        if length < _RECORD.size:
            return
        content, after = take(begin, length)
        if len(content) < length:
            return
        yield Record(Lsn(begin), xid, manager, info, content[_RECORD.size :])
        at = -(-after // 8) * 8
        if (manager, info & 0xF0) == (_XLOG, _SWITCH):
            at = -(-at // layout.segment) * layout.segment


def is_commit(record: Record) -> bool:
    return record.manager == _XACT and record.info & 0x70 in _COMMITS


def commit(record: Record) -> dict[str, Any]:
    """A commit in words that stand in the result: xid (0: of a prepared one), lsn, at."""
    position = 0
    while (kind := record.body[position]) not in (_SHORT_DATA, _LONG_DATA):
        position += {_ORIGIN: 3, _TOPLEVEL_XID: 5}[kind]
    position += 2 if kind == _SHORT_DATA else 5
    (microseconds,) = struct.unpack_from("<q", record.body, position)
    at = _EPOCH + timedelta(microseconds=microseconds)
    return {"xid": record.xid, "lsn": str(record.lsn), "at": at.isoformat()}


def _past_header(position: int, layout: Layout) -> int:
    if position % layout.page:
        return position
    first = position % layout.segment == 0
    return position + (_FIRST_PAGE_HEADER if first else _PAGE_HEADER)


def _fetch(task: Task, start: Lsn, end: Lsn, timeline: int) -> bytes:
    wal = bytearray()
    with (
        ReplicationConnection.connect(task.conninfo()) as conn,
        closing(conn.stream_wal(start, timeline)) as stream,
    ):
        for _, piece in stream:
            wal += piece
            if len(wal) >= end - start:
                break
    return bytes(wal)
