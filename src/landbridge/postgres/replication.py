"""A client of the replication protocol, on libpq through `psycopg.pq`.

(PostgreSQL documentation, "Streaming Replication Protocol".)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import LiteralString

from psycopg import sql

from .basebackup import BackupEvent, BackupOptions, base_backup
from .lsn import Lsn
from .walsender import Walsender, rows_of
from .walstream import stream_wal

#: Seconds without a byte after which an answer to a simple command is given up.
COMMAND_SILENCE = 30.0


class ReplicationConnection(Walsender):
    """A replication connection with the protocol's commands as methods."""

    def identify_system(self) -> tuple[str, int, Lsn]:
        """System identifier, current timeline, and up to where WAL has been flushed."""
        ((identifier, timeline, position, _),) = self._rows(b"IDENTIFY_SYSTEM")
        return _text(identifier), int(_text(timeline)), Lsn.parse(_text(position))

    def show(self, name: str) -> str:
        """A setting of the server, as SHOW prints it."""
        ((value,),) = self._rows(_sql("SHOW {}", sql.Identifier(name)))
        return _text(value)

    def create_physical_slot(self, name: str, reserve: bool = True) -> Lsn | None:
        """Create a physical slot; with `reserve` it holds WAL from this moment on.

        The server reports no position for a physical slot, so the answer is None unless
        it did. Raises ReplicationFailed (no_slot_free, slot_exists, wal_level).
        """
        tail = " RESERVE_WAL" if reserve else ""
        command = _sql("CREATE_REPLICATION_SLOT {} PHYSICAL" + tail, sql.Identifier(name))
        ((_, position, *_),) = self._rows(command)
        found = Lsn.parse(_text(position)) if position else Lsn(0)
        return found or None

    def timeline_history(self, timeline: int) -> tuple[str, bytes]:
        """Name and content of a timeline's history file; timeline 1 has none."""
        ((name, content),) = self._rows(f"TIMELINE_HISTORY {timeline:d}".encode())
        return _text(name), bytes(content or b"")

    def base_backup(self, options: BackupOptions) -> Iterator[BackupEvent]:
        """Run BASE_BACKUP; see `basebackup.base_backup`."""
        return base_backup(self, options)

    def stream_wal(
        self,
        start: Lsn,
        timeline: int,
        slot: str | None = None,
        *,
        flushed: Callable[[], Lsn] = lambda: Lsn(0),
        wake: int | None = None,
    ) -> Generator[tuple[Lsn, memoryview]]:
        """Run START_REPLICATION; see `walstream.stream_wal`."""
        return stream_wal(self, start, timeline, slot, flushed=flushed, wake=wake)

    def _rows(self, command: bytes, silence: float = COMMAND_SILENCE) -> list[list[bytes | None]]:
        self.send(command)
        rows: list[list[bytes | None]] = []
        while (result := self.next_result(silence)) is not None:
            rows += rows_of(result)
        return rows


def _sql(template: LiteralString, *parts: sql.Composable) -> bytes:
    return sql.SQL(template).format(*parts).as_bytes(None)


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
