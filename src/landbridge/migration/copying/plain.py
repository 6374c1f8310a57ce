"""The plain engine: one BASE_BACKUP, taken apart as it arrives, WAL streamed alongside."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...errors import CopyFailed, LandbridgeError, ReplicationFailed
from ...postgres.basebackup import (
    ArchiveStart,
    BackupEnd,
    BackupEvent,
    BackupOptions,
    BackupStart,
    Tablespace,
)
from ...postgres.lsn import Lsn
from ...postgres.replication import ReplicationConnection
from . import manifest
from .choice import candidates
from .compression import Compression, Method
from .destination import Destination
from .failures import corrupt_page
from .files import Archive, FileWriter, Sums
from .flusher import Flusher
from .meter import Meter
from .model import CopyResult, CopySpec, Phase, Report
from .wal import WalReceiver


class PlainEngine:
    """Copies over one connection for files and one for WAL."""

    name = "plain"

    def run(self, spec: CopySpec, report: Report) -> CopyResult:
        """See `CopyEngine.run`; raises LandbridgeError or OSError."""
        meter = Meter(report)
        destination = Destination(spec.path, spec.task, Path(spec.folder), spec.os_account)
        meter.enter(Phase.PREPARING)
        destination.prepare()
        connect = ReplicationConnection.connect
        with (
            connect(spec.conninfo, application_name=f"{spec.slot}_copy") as conn,
            connect(spec.conninfo, application_name=f"{spec.slot}_copy_wal") as wal_conn,
        ):
            identifier, _, _ = conn.identify_system()
            if identifier != spec.system_identifier:
                raise CopyFailed(
                    f"{spec.conninfo} is not the cluster that was assessed (system identifier"
                    f" {identifier}, not {spec.system_identifier})",
                    id="copy.other_cluster",
                )
            meter.enter(Phase.MEASURING)
            *others, last = candidates(spec, conn.version)
            for compression in others:
                with suppress(_CompressionRefused):
                    return _Copy(spec, conn, wal_conn, meter, destination).run(compression)
            return _Copy(spec, conn, wal_conn, meter, destination).run(last)


class _CompressionRefused(CopyFailed):
    """The source does not compress like that; nothing was copied yet."""

    id = "copy.compression_unsupported"


class _Copy:
    """One copy under way."""

    def __init__(
        self,
        spec: CopySpec,
        conn: ReplicationConnection,
        wal_conn: ReplicationConnection,
        meter: Meter,
        destination: Destination,
    ) -> None:
        self._spec = spec
        self._conn = conn
        self._wal_conn = wal_conn
        self._meter = meter
        self._destination = destination
        self._sums: Sums = {}
        self._tablespaces: dict[str, str] = {}
        self._manifest = bytearray()
        self._flusher = Flusher() if spec.sync else None

    def run(self, compression: Compression) -> CopyResult:
        """Copy everything and check it; raises _CompressionRefused before the first byte."""
        begun = time.monotonic()
        self._meter.compression = str(compression)
        self._meter.enter(Phase.CHECKPOINT)
        events = self._conn.base_backup(self._options(compression))
        start = self._first(events, compression)
        self._meter.total = start.size
        self._claim(start.tablespaces)
        wal, end = self._transfer(events, start, compression.method)
        self._verify(wal)
        if self._flusher is not None:
            self._meter.enter(Phase.SYNCING)
            self._flusher.finish()
            self._destination.sync()
        return CopyResult(
            bytes=sum(size for size, _ in self._sums.values()),
            wire_bytes=self._meter.wire,
            seconds=round(time.monotonic() - begun, 3),
            compression=str(compression),
            start_lsn=str(start.lsn),
            end_lsn=str(end.lsn),
            timeline=start.timeline,
            manifest="verified" if self._conn.version >= 130000 else "none before 13",
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

    def _first(self, events: Iterator[BackupEvent], compression: Compression) -> BackupStart:
        try:
            start = next(events)
        except ReplicationFailed as error:
            # 42601, 0A000, 22023: the options were understood as far as the compression.
            refused = error.sqlstate in ("42601", "0A000", "22023")
            if not refused or compression.method is Method.NONE:
                raise
            while self._conn.next_result(None) is not None:
                pass
            raise _CompressionRefused(
                f"the source does not compress with {compression}: {error.message}",
                remedy="Use --compression auto or none.",
            ) from None
        assert isinstance(start, BackupStart)
        return start

    def _claim(self, tablespaces: tuple[Tablespace, ...]) -> None:
        """Take a folder for each tablespace, before the first byte arrives."""
        for tablespace in tablespaces:
            if tablespace.oid is None:
                continue
            # One without an absolute location lies in the data directory itself (16+).
            if not Path(tablespace.location).is_absolute():
                inside = self._destination.data / "pg_tblspc" / str(tablespace.oid)
                self._destination.account.make_dir(inside)
                continue
            target = self._spec.tablespaces.get(tablespace.location, tablespace.location)
            if target in self._tablespaces.values():
                raise CopyFailed(
                    f"two tablespaces would lie in {target}", id="copy.tablespace_conflict"
                )
            self._destination.claim(Path(target))
            self._destination.link(tablespace.oid, Path(target))
            self._tablespaces[tablespace.location] = target

    def _transfer(
        self, events: Iterator[BackupEvent], start: BackupStart, method: Method
    ) -> tuple[WalReceiver, BackupEnd]:
        """Receive files here and WAL in a thread; the first error of the two is raised."""
        wal = WalReceiver(
            self._wal_conn, self._spec.slot, start.lsn, start.timeline,
            self._destination.data / "pg_wal",
            account=self._destination.account, sync=self._spec.sync,
            on_failure=self._conn.abort,
        )  # fmt: skip
        wal.fetch_history()
        wal.start()
        try:
            end = self._receive(events, wal, method)
            self._meter.enter(Phase.WAL)
            wal.finish(end.lsn)
        except (LandbridgeError, OSError) as error:
            first = wal.error or error
            wal.stop()
            raise first from None
        return wal, end

    def _receive(
        self, events: Iterator[BackupEvent], wal: WalReceiver, method: Method
    ) -> BackupEnd:
        """Take every event up to the end of the backup."""
        meter, notices = self._meter, self._conn.notices
        meter.enter(Phase.COPYING)
        archive: Archive | None = None
        for event in events:
            if isinstance(event, memoryview):
                meter.wire += len(event)
                if archive is not None:
                    meter.copied += archive.feed(event)
                    meter.wal_received = wal.received - wal.start_lsn
                    meter.tick()
                else:
                    self._manifest += event
                if notices:
                    _heed(notices)
                continue
            if archive is not None:
                archive.close()
                archive = None
            if isinstance(event, ArchiveStart):
                archive = Archive(self._writer(event.tablespace), method)
            elif isinstance(event, BackupEnd):
                return event
        raise CopyFailed("the base backup has no end", id="copy.bad_stream")

    def _writer(self, tablespace: Tablespace) -> FileWriter:
        data, account = self._destination.data, self._destination.account
        if tablespace.oid is None:
            return FileWriter(data, "", self._sums, account, self._flusher)
        prefix = f"pg_tblspc/{tablespace.oid}/"
        target = self._tablespaces.get(tablespace.location, data / prefix)
        return FileWriter(Path(target), prefix, self._sums, account, self._flusher)

    def _verify(self, wal: WalReceiver) -> None:
        """Hold files and WAL against the manifest, and keep it; there is none before 13."""
        if self._conn.version < 130000:
            return
        for needed in manifest.verify(bytes(self._manifest), self._sums):
            covered = wal.start_lsn <= needed.start and needed.end <= wal.received
            if needed.timeline != wal.timeline or not covered:
                raise CopyFailed(
                    f"WAL {needed.start} to {needed.end} of timeline {needed.timeline} is needed,"
                    f" {wal.start_lsn} to {Lsn(wal.received)} of {wal.timeline} arrived",
                    id="copy.wal_missing",
                )
        self._destination.write_manifest(bytes(self._manifest))


def _heed(notices: list[str]) -> None:
    """Take the source's warnings: a damaged page ends the copy at once, others are logged."""
    while notices:
        notice = notices.pop(0)
        print(f"warning of the source: {notice}", flush=True)
        if re.search("checksum verification failed", notice):
            raise corrupt_page(notice)
