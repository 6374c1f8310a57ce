"""WAL streamed beside the copy, in a thread and a connection of its own.

The slot lets go of WAL only when a segment of ours is durable, so that the source
keeps no more than it must, and nothing that we might still lose.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from ...errors import CopyFailed
from ...postgres.lsn import Lsn, wal_file_name
from ...postgres.osaccount import OsAccount
from ...postgres.replication import ReplicationConnection

#: Sizes as SHOW wal_segment_size prints them.
_UNITS = {"kB": 1024, "MB": 1024**2, "GB": 1024**3}


def segment_size(shown: str) -> int:
    """Bytes of a WAL segment, from the setting as it is shown.

    >>> segment_size("16MB")
    16777216
    """
    return int(shown[:-2]) * _UNITS[shown[-2:]]


class WalReceiver(threading.Thread):
    """Writes WAL from `start` on into `folder` until `finish` is satisfied or it fails."""

    def __init__(
        self,
        conn: ReplicationConnection,
        slot: str,
        start: Lsn,
        timeline: int,
        folder: Path,
        *,
        account: OsAccount,
        sync: bool,
        on_failure: Callable[[], None],
    ) -> None:
        super().__init__(name="wal", daemon=True)
        self._conn = conn
        self._slot = slot
        self._segment_size = segment_size(conn.show("wal_segment_size"))
        self.start_lsn = Lsn(start - start % self._segment_size)
        self.timeline = timeline
        self._folder = folder
        self._sync = sync
        self._on_failure = on_failure
        self._account = account
        self._wake = os.eventfd(0)
        self._fd: int | None = None
        self._durable = self.start_lsn
        self.received = self.start_lsn
        self._until: Lsn | None = None
        self.error: Exception | None = None

    def fetch_history(self) -> None:
        """Write the history file of a timeline after the first; call before `start`."""
        if self.timeline == 1:
            return
        name, content = self._conn.timeline_history(self.timeline)
        path = self._folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        self._account.own(path)
        self._mark_done(name)

    def run(self) -> None:
        try:
            stream = self._conn.stream_wal(
                self.start_lsn, self.timeline, self._slot,
                flushed=lambda: self._durable, wake=self._wake,
            )  # fmt: skip
            for position, piece in stream:
                self._write(position, piece)
                if self._until is not None and self.received >= self._until:
                    stream.close()
                    break
            self._close_segment()
        except Exception as error:
            self.error = error
            self._on_failure()

    def finish(self, until: Lsn) -> None:
        """Wait until WAL up to `until` has arrived; raises what went wrong."""
        self._until = until
        os.eventfd_write(self._wake, 1)
        self.join()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End it at once, after an error elsewhere."""
        self._conn.abort()
        if self.is_alive():
            self.join()

    def _write(self, position: Lsn, piece: memoryview) -> None:
        if position != self.received and len(piece):
            raise CopyFailed(
                f"the stream of WAL jumped from {self.received} to {position}",
                id="copy.bad_stream",
            )
        while len(piece):
            offset = self.received % self._segment_size
            if self._fd is None:
                self._open_segment()
            assert self._fd is not None
            written = os.pwrite(self._fd, piece[: self._segment_size - offset], offset)
            self.received = Lsn(self.received + written)
            piece = piece[written:]
            if self.received % self._segment_size == 0:
                self._close_segment()

    def _segment_name(self, position: Lsn) -> str:
        segment = position.segment(self._segment_size)
        return wal_file_name(self.timeline, segment, self._segment_size)

    def _open_segment(self) -> None:
        path = self._folder / self._segment_name(self.received)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._account.own_fd(self._fd)
        # The rest of the last segment stays zero, as the server's own would be.
        os.posix_fallocate(self._fd, 0, self._segment_size)

    def _close_segment(self) -> None:
        if self._fd is None:
            return
        if self._sync:
            os.fsync(self._fd)
        os.close(self._fd)
        self._fd = None
        if self.received % self._segment_size == 0:
            self._durable = self.received
            self._mark_done(self._segment_name(Lsn(self.received - 1)))

    def _mark_done(self, name: str) -> None:
        """Tell the archiver of the copy that the source takes care of this file."""
        path = self._folder / "archive_status" / f"{name}.done"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._account.own(path)
