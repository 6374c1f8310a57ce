"""The order in which transactions committed, read from WAL files of the destination."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from ...postgres import careful, positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn, wal_file_name
from ...postgres.walrecords import Layout, records
from .sides import Connection
from .snapshot import Snapshot

#: Bytes of WAL taken into memory at a time.
_PIECE = 32 << 20


class CommitLog:
    """Commit records from `start`, the beginning of a record, on; it grows with each `read`."""

    def __init__(self, data: Path, layout: Layout, timeline: int, start: Lsn) -> None:
        self._data = data
        self._layout = layout
        self._timeline = timeline
        self._start = self._next = start
        self._last: Lsn | None = None
        self.end = start
        self.commits: list[tuple[Lsn, int]] = []
        """Where each commit record begins, and its transaction id (32 bits)."""

    @classmethod
    def of(cls, cluster: Cluster, conn: Connection, start: Lsn) -> Self:
        """The log of a server's current timeline."""
        row = conn.execute(
            "SELECT wal_block_size, bytes_per_wal_segment FROM pg_control_init()"
        ).fetchone()
        assert row is not None
        timeline = positions.identity(conn).timeline
        return cls(cluster.data, Layout(*row), timeline, start)

    def read(self, end: Lsn) -> None:
        """Take in the WAL up to `end`. FileNotFoundError if a part of it has been recycled."""
        self.end = max(self.end, end)
        size = _PIECE
        while self._next < self.end:
            upto = min(self.end, self._next + size)
            before = self._last
            for record in records(self._bytes(upto), self._next, self._layout):
                if record.lsn != self._last and record.is_commit:
                    self.commits.append((record.lsn, record.xid))
                # The last record is read again next time: only its begin is known.
                self._next = self._last = record.lsn
            if upto == self.end:
                return
            if self._last == before:
                size *= 2  # one record is longer than the piece

    def boundary(self, snapshot: Snapshot) -> Lsn | None:
        """A position before which lie the commits that the snapshot shows, and no others.

        None if they are interleaved. Where the snapshot shows all of them, a position just
        inside the last complete record: replay goes to its end, and waits for nothing more.
        """
        hidden = [lsn for lsn, xid in self.commits if not snapshot.shows(xid)]
        if not hidden:
            return self._start if self._last is None else Lsn(self._last + 8)
        shown = [lsn for lsn, xid in self.commits if snapshot.shows(xid)]
        return None if shown and max(shown) > min(hidden) else min(hidden)

    def _bytes(self, end: int) -> bytes:
        """WAL from the next record to `end`."""
        found, position = bytearray(), int(self._next)
        while position < end:
            number, offset = divmod(position, self._layout.segment)
            count = min(end - position, self._layout.segment - offset)
            name = wal_file_name(self._timeline, number, self._layout.segment)
            with careful.opened(self._data, f"pg_wal/{name}") as file:
                found += os.pread(file, count, offset)
            position += count
        return bytes(found)
