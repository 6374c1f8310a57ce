"""BASE_BACKUP: the command in both its syntaxes, and its answer as a stream of events.

From 15 on there is one COPY whose messages carry a type byte; before, one COPY
per tablespace and, from 13 on, one more for the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import pq, sql

from ..errors import ReplicationFailed
from .lsn import Lsn
from .walsender import Walsender, rows_of

#: Seconds of silence in the middle of the data. Long, because a source may stall on its
#: disk, and because long runs of zeros compress to nothing; a dead line is noticed sooner
#: by whoever streams WAL beside the backup.
DATA_SILENCE = 60.0


@dataclass(frozen=True)
class BackupOptions:
    """What to ask of BASE_BACKUP.

    Links to tablespaces arrive as such: with TABLESPACE_MAP instead, 15 leaves tablespaces
    inside the data directory out of the stream without a word (measured on 15.18).
    """

    label: str
    compression: str | None = None
    """Server-side compression (15+): gzip, lz4 or zstd; None for none."""
    compression_detail: str | None = None
    """As the server takes it, e.g. `level=3,workers=2`."""
    max_rate: int | None = None
    """Upper bound in kB/s, 32 to 1048576."""

    def command(self, version: int) -> bytes:
        """The command for a server of that version number."""
        literals: list[sql.Composable] = [sql.SQL("LABEL {}").format(sql.Literal(self.label))]
        new = version >= 150000
        if new:
            literals += map(
                sql.SQL,
                ("PROGRESS true", "CHECKPOINT 'fast'", "WAIT false",
                 "MANIFEST 'yes'", "MANIFEST_CHECKSUMS 'CRC32C'"),
            )  # fmt: skip
        else:
            literals += map(sql.SQL, ("PROGRESS", "FAST", "NOWAIT"))
            if version >= 130000:
                literals.append(sql.SQL("MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"))
        if self.max_rate is not None:
            literals.append(sql.SQL("MAX_RATE {}").format(sql.Literal(self.max_rate)))
        if self.compression is not None:
            literals.append(sql.SQL("COMPRESSION {}").format(sql.Literal(self.compression)))
        if self.compression_detail is not None:
            detail = sql.Literal(self.compression_detail)
            literals.append(sql.SQL("COMPRESSION_DETAIL {}").format(detail))
        template = "BASE_BACKUP ({})" if new else "BASE_BACKUP {}"
        joined = sql.SQL(", " if new else " ").join(literals)
        return sql.SQL(template).format(joined).as_bytes(None)


@dataclass(frozen=True)
class Tablespace:
    """A tablespace of the source; the main data directory has oid None."""

    oid: int | None
    location: str
    size: int
    """Bytes, as estimated by the source when the backup began."""


@dataclass(frozen=True)
class BackupStart:
    """The checkpoint is done; data follows."""

    lsn: Lsn
    timeline: int
    tablespaces: tuple[Tablespace, ...]

    @property
    def size(self) -> int:
        """Bytes to come, as estimated by the source."""
        return sum(t.size for t in self.tablespaces)


@dataclass(frozen=True)
class ArchiveStart:
    """A tar stream of this tablespace follows, as memoryviews."""

    tablespace: Tablespace


@dataclass(frozen=True)
class ManifestStart:
    """The manifest follows, as memoryviews."""


@dataclass(frozen=True)
class BackupEnd:
    """All is sent; WAL up to `lsn` is needed to make the copy consistent."""

    lsn: Lsn
    timeline: int


BackupEvent = BackupStart | ArchiveStart | ManifestStart | BackupEnd | memoryview


def base_backup(conn: Walsender, options: BackupOptions) -> Iterator[BackupEvent]:
    """Run BASE_BACKUP and yield what arrives, in the order of the stream.

    First BackupStart; then, per tablespace, ArchiveStart and its tar stream in pieces
    (the main data directory comes last); from 13 on ManifestStart and its pieces; at the
    end BackupEnd. The wait for the first event is the source's checkpoint: only
    keepalives bound it. Raises ReplicationFailed.
    """
    conn.send(options.command(conn.version))
    (position,) = rows_of(_expect(conn, pq.ExecStatus.TUPLES_OK))
    tablespaces = tuple(_tablespaces(rows_of(_expect(conn, pq.ExecStatus.TUPLES_OK))))
    yield BackupStart(*_position(position), tablespaces)
    if conn.version >= 150000:
        _expect(conn, pq.ExecStatus.COPY_OUT)
        yield from _typed(conn, tablespaces)
    else:
        yield from _plain(conn, tablespaces)
    (position,) = rows_of(_expect(conn, pq.ExecStatus.TUPLES_OK))
    while conn.next_result(DATA_SILENCE) is not None:
        pass
    yield BackupEnd(*_position(position))


def copy_data(conn: Walsender) -> Iterator[memoryview]:
    """The messages of one COPY OUT; each view is valid for as long as it is kept."""
    get, receive = conn.pgconn.get_copy_data, conn.receive
    while True:
        try:
            size, data = get(1)
        except psycopg.Error as error:
            raise conn.lost(error) from None
        if size > 0:
            yield data
        elif size == 0:
            receive(DATA_SILENCE)
        else:
            return


def _typed(conn: Walsender, tablespaces: tuple[Tablespace, ...]) -> Iterator[BackupEvent]:
    by_location = {t.location: t for t in tablespaces}
    for message in copy_data(conn):
        kind = message[0]
        if kind == 0x64:  # d: data
            yield message[1:]
        elif kind == 0x6E:  # n: a new archive, its file name and the tablespace's location
            _, location, _ = bytes(message[1:]).decode().split("\0")
            yield ArchiveStart(by_location[location])
        elif kind == 0x6D:  # m: the manifest
            yield ManifestStart()
        elif kind != 0x70:  # p: progress, which we count ourselves
            raise ReplicationFailed(f"BASE_BACKUP sent a message of unknown type {kind}")


def _plain(conn: Walsender, tablespaces: tuple[Tablespace, ...]) -> Iterator[BackupEvent]:
    for tablespace in tablespaces:
        _expect(conn, pq.ExecStatus.COPY_OUT)
        yield ArchiveStart(tablespace)
        yield from copy_data(conn)
    if conn.version >= 130000:
        _expect(conn, pq.ExecStatus.COPY_OUT)
        yield ManifestStart()
        yield from copy_data(conn)


def _expect(conn: Walsender, status: pq.ExecStatus) -> pq.abc.PGresult:
    result = conn.next_result(None)
    if result is None or result.status != status:
        got = "nothing" if result is None else pq.ExecStatus(result.status).name
        raise ReplicationFailed(f"BASE_BACKUP answered {got} where {status.name} was due")
    return result


def _position(row: list[bytes | None]) -> tuple[Lsn, int]:
    lsn, timeline = row
    return Lsn.parse((lsn or b"").decode()), int(timeline or b"0")


def _tablespaces(rows: list[list[bytes | None]]) -> Iterator[Tablespace]:
    for oid, location, kilobytes in rows:
        yield Tablespace(
            int(oid) if oid else None, (location or b"").decode(), int(kilobytes or 0) * 1024
        )
