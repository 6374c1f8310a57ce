"""The plain engine: one BASE_BACKUP, taken apart as it arrives, WAL streamed alongside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ...errors import CopyFailed, LandbridgeError
from ...postgres.basebackup import (
    ArchiveStart,
    BackupEnd,
    BackupEvent,
    BackupOptions,
    BackupStart,
    Tablespace,
)  # fmt: skip
from ...postgres.lsn import Lsn
from ...postgres.replication import ReplicationConnection
from . import manifest
from .compression import NONE, Compression, Method, decompressor
from .destination import Destination
from .files import FileWriter, Sums
from .meter import Meter
from .model import CopyResult, CopySpec, Phase, Report
from .tar import TarReader
from .wal import WalReceiver


class PlainEngine:
    """Copies over one connection for files and one for WAL."""

    name = "plain"

    def run(self, spec: CopySpec, report: Report) -> CopyResult:
        """See `CopyEngine.run`; raises LandbridgeError or OSError."""
        meter = Meter(report)
        destination = Destination(spec.path, spec.task, Path(spec.folder))
        meter.enter(Phase.PREPARING)
        destination.prepare()
        with ReplicationConnection.connect(
            spec.conninfo, application_name=f"{spec.slot}_copy"
        ) as conn:
            identifier, _, _ = conn.identify_system()
            if identifier != spec.system_identifier:
                raise CopyFailed(
                    f"{spec.conninfo} is not the cluster that was assessed (system identifier"
                    f" {identifier}, not {spec.system_identifier})",
                    id="copy.other_cluster",
                )
            return _Copy(spec, conn, meter, destination).run(NONE)


class _Copy:
    """One copy under way."""

    def __init__(
        self, spec: CopySpec, conn: ReplicationConnection, meter: Meter, destination: Destination
    ) -> None:
        self._spec = spec
        self._conn = conn
        self._meter = meter
        self._destination = destination
        self._sums: Sums = {}
        self._tablespaces: dict[str, str] = {}
        self._manifest = b""

    def run(self, compression: Compression) -> CopyResult:
        begun = time.monotonic()
        self._meter.compression = str(compression)
        self._meter.enter(Phase.CHECKPOINT)
        events = self._conn.base_backup(self._options(compression))
        start = next(events)
        assert isinstance(start, BackupStart)
        self._meter.total = start.size
        with ReplicationConnection.connect(
            self._spec.conninfo, application_name=f"{self._spec.slot}_copy_wal"
        ) as wal_conn:
            wal = self._receive_wal(wal_conn, start)
            try:
                end = self._receive(events, wal, compression.method)
                self._meter.enter(Phase.WAL)
                wal.finish(end.lsn)
            except (LandbridgeError, OSError) as error:
                first = wal.error or error
                wal.stop()
                raise first from None
        self._verify(wal)
        if self._spec.sync:
            self._meter.enter(Phase.SYNCING)
            self._destination.sync()
        return CopyResult(
            bytes=sum(size for size, _ in self._sums.values()),
            wire_bytes=self._meter.wire,
            seconds=round(time.monotonic() - begun, 3),
            compression=str(compression),
            start_lsn=str(start.lsn),
            end_lsn=str(end.lsn),
            timeline=start.timeline,
            manifest="verified" if self._manifest else "none before 13",
            files=len(self._sums),
            wal_bytes=wal.received - wal.start_lsn,
            tablespaces=self._tablespaces,
        )

    def _options(self, compression: Compression) -> BackupOptions:
        rate = self._spec.max_rate
        compressed = compression.method is not Method.NONE
        return BackupOptions(
            label=f"landbridge {self._spec.task}",
            compression=compression.method.value if compressed else None,
            compression_detail=compression.detail,
            max_rate=None if rate is None else min(max(rate // 1024, 32), 1048576),
        )

    def _receive_wal(self, conn: ReplicationConnection, start: BackupStart) -> WalReceiver:
        wal = WalReceiver(
            conn, self._spec.slot, start.lsn, start.timeline, self._destination.data / "pg_wal",
            sync=self._spec.sync, on_failure=self._conn.abort,
        )  # fmt: skip
        wal.fetch_history()
        wal.start()
        return wal

    def _receive(
        self, events: Iterator[BackupEvent], wal: WalReceiver, method: Method
    ) -> BackupEnd:
        """Take everything up to the end of the backup."""
        meter = self._meter
        meter.enter(Phase.COPYING)
        manifest_pieces: list[bytes] = []
        archive: _Archive | None = None
        for event in events:
            if isinstance(event, memoryview):
                meter.wire += len(event)
                if archive is not None:
                    meter.copied += archive.feed(event)
                    meter.wal_received = wal.received - wal.start_lsn
                    meter.tick()
                else:
                    manifest_pieces.append(bytes(event))
                continue
            if archive is not None:
                archive.close()
                archive = None
            if isinstance(event, ArchiveStart):
                archive = _Archive(self._writer(event.tablespace), method)
            elif isinstance(event, BackupEnd):
                self._manifest = b"".join(manifest_pieces)
                return event
        raise CopyFailed("the base backup ended without an end", id="copy.bad_stream")

    def _writer(self, tablespace: Tablespace) -> FileWriter:
        data, account = self._destination.data, self._destination.account
        if tablespace.oid is None:
            return FileWriter(data, "", self._sums, account)
        prefix = f"pg_tblspc/{tablespace.oid}/"
        target = Path(self._spec.tablespaces.get(tablespace.location, tablespace.location))
        self._destination.claim(target)
        self._destination.link(tablespace.oid, target)
        self._tablespaces[tablespace.location] = str(target)
        return FileWriter(target, prefix, self._sums, account)

    def _verify(self, wal: WalReceiver) -> None:
        if not self._manifest:
            return
        for needed in manifest.verify(self._manifest, self._sums):
            covered = wal.start_lsn <= needed.start and needed.end <= wal.received
            if needed.timeline != wal.timeline or not covered:
                raise CopyFailed(
                    f"WAL {needed.start} to {needed.end} of timeline {needed.timeline} is needed,"
                    f" {wal.start_lsn} to {Lsn(wal.received)} of {wal.timeline} arrived",
                    id="copy.wal_missing",
                )
        self._destination.write_manifest(self._manifest)


class _Archive:
    """One tar stream on its way into files."""

    def __init__(self, writer: FileWriter, method: Method) -> None:
        self._tar = TarReader(writer)
        self._unpack = None if method is Method.NONE else decompressor(method)

    def feed(self, piece: memoryview) -> int:
        """Take the next piece; the number of uncompressed bytes in it."""
        if self._unpack is not None:
            piece = memoryview(self._unpack.decompress(piece))
        self._tar.feed(piece)
        return len(piece)

    def close(self) -> None:
        self._tar.close()
        if self._unpack is not None and not self._unpack.eof:
            raise CopyFailed("the compressed stream ended too early", id="copy.bad_stream")
