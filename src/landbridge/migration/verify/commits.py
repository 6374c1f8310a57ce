"""The order in which transactions committed, read from the WAL that the standby has received."""

from __future__ import annotations

from pathlib import Path

from ...postgres import positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn, wal_file_name
from ..divergence import Layout, is_commit, records
from .snapshot import Snapshot


class CommitLog:
    """Commit records from where the standby's replay is paused, to what it has received.

    The log grows with each `has`.
    """

    def __init__(self, cluster: Cluster, dbname: str) -> None:
        self._standby = standby = cluster.connect(dbname)
        row = standby.execute(
            "SELECT wal_block_size, bytes_per_wal_segment FROM pg_control_init()"
        ).fetchone()
        assert row is not None
        self._layout = Layout(*row)
        self._timeline = positions.identity(standby).timeline
        self._folder = cluster.data / "pg_wal"
        start = positions.replay_lsn(standby)
        assert start is not None
        self._next = start
        self._seen = Lsn(0)
        self.received = start
        self.commits: list[tuple[Lsn, int]] = []
        """Where each commit record begins, and its transaction id (32 bits)."""

    def close(self) -> None:
        self._standby.close()

    def has(self, lsn: Lsn) -> bool:
        """Take in what has been received since; whether that reaches `lsn`."""
        self.received = max(self.received, positions.receive_lsn(self._standby) or Lsn(0))
        for record in records(self._bytes(), self._next, self._layout):
            if record.lsn > self._seen and is_commit(record):
                self.commits.append((record.lsn, record.xid))
            # The last record is read again next time: only its begin is known.
            self._next = self._seen = record.lsn
        return self.received >= lsn

    def boundary(self, snapshot: Snapshot) -> Lsn | None:
        """A position before which lie the commits that the snapshot shows, and no others.

        None if they are interleaved. The position is at or after the end of the log when
        the snapshot shows all of it.
        """
        hidden = [lsn for lsn, xid in self.commits if not snapshot.shows(xid)]
        if not hidden:
            return self.received
        shown = [lsn for lsn, xid in self.commits if snapshot.shows(xid)]
        return None if shown and max(shown) > min(hidden) else min(hidden)

    def _bytes(self) -> bytes:
        """WAL from the next record to what has been received."""
        found, position = bytearray(), int(self._next)
        while position < self.received:
            number, offset = divmod(position, self._layout.segment)
            count = min(self.received - position, self._layout.segment - offset)
            name = wal_file_name(self._timeline, number, self._layout.segment)
            found += _read(self._folder / name, offset, count)
            position += count
        return bytes(found)


def _read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)
