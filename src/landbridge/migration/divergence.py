"""Commits that the source made after the destination went its own way.

Read from the source's WAL, streamed from the fork on to the migration account, so that
neither a superuser nor a file of the source is needed. The list is exact: a commit is on
the destination if and only if its record lies before the fork.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from ..errors import ServerFailed
from ..postgres import careful
from ..postgres.cluster import Cluster
from ..postgres.lsn import Lsn
from ..postgres.positions import Connection, flush_lsn
from ..postgres.replication import ReplicationConnection
from ..postgres.walrecords import Layout, Record, records
from .task import Task

#: Bytes of WAL that are read at once.
_PIECE = 16 * 2**20
#: Bytes of a history file: a line for each timeline.
_HISTORY = 1 << 20


def diverged(task: Task, source: Connection, fork: Lsn, timeline: int) -> list[dict[str, Any]]:
    """Commits of the source at or after `fork` on `timeline`: xid, lsn, at (UTC, ISO 8601).

    The xid is 0 where a prepared transaction was committed.
    Raises ReplicationFailed or ServerUnreachable when the source's WAL cannot be read.
    """
    end = flush_lsn(source)
    if end <= fork:
        return []
    row = source.execute(
        "SELECT wal_block_size, bytes_per_wal_segment FROM pg_control_init()"
    ).fetchone()
    assert row is not None
    return [
        {"xid": record.xid, "lsn": str(record.lsn), "at": record.committed_at.isoformat()}
        for record in _commits(task, fork, end, timeline, Layout(*row))
    ]


def fork_of(cluster: Cluster, timeline: int) -> Lsn:
    """Where the server's current timeline branched off, from its history file."""
    return branch_of(cluster, timeline)[1]


def branch_of(cluster: Cluster, timeline: int) -> tuple[int, Lsn]:
    """The timeline that `timeline` branched off, and where, from its history file.

    Lines of `parent<TAB>position<TAB>reason`, the last being the latest. Raises ServerFailed
    (server.no_history) where there is no such file.
    """
    name = f"pg_wal/{timeline:08X}.history"
    try:
        text = careful.read(cluster.data, name, _HISTORY).decode()
        lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
        return int(lines[-1][0]), Lsn.parse(lines[-1][1])
    except (OSError, ValueError, IndexError) as problem:
        raise ServerFailed(
            f"{cluster.data / name} does not say where its timeline begins: {problem}",
            id="server.no_history",
        ) from None


def _commits(task: Task, start: Lsn, end: Lsn, timeline: int, layout: Layout) -> list[Record]:
    """The commit records from `start` to `end`; WAL is held a piece at a time."""
    found: list[Record] = []
    wal, wanted = bytearray(), _PIECE
    last: Lsn | None = None
    with (
        ReplicationConnection.connect(task.conninfo()) as conn,
        closing(conn.stream_wal(start, timeline)) as stream,
    ):
        for _, piece in stream:
            wal += piece
            is_all = len(wal) >= end - start
            if len(wal) < wanted and not is_all:
                continue
            seen = last
            for record in records(bytes(wal), start, layout):
                if record.lsn != seen and record.is_commit:
                    found.append(record)
                last = record.lsn
            if is_all:
                break
            if last is not None:
                # The last record is read again next time: only its begin is known.
                del wal[: last - start]
                start = last
            wanted = len(wal) + _PIECE
    return found
