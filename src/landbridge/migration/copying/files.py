"""Files of the copy, written and summed up in one pass."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import google_crc32c

from ...errors import CopyFailed
from ...postgres.osaccount import OsAccount
from .compression import Method, decompressor
from .destination import CONTROL, PENDING_CONTROL
from .flusher import Flusher
from .tar import Entry, Kind, TarReader

#: Files of the source's own life, which must not rule the copy: read, checked, not kept.
#: Its configuration may hold passwords; the signal files would make the copy a standby of
#: the source's primary.
NOT_KEPT = frozenset({
    "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "standby.signal",
    "recovery.signal", "recovery.conf", "postmaster.pid", "postmaster.opts",
})  # fmt: skip

# Bytes gathered before they are summed and written: few calls, still in the CPU's cache.
_BATCH = 256 * 1024

# Bytes after which a file under way is flushed, and after which the rest of one at its end:
# small files are left for the end, where one commit of the filesystem serves many.
_FLUSH = 16 * 1024**2
_FLUSH_REST = 256 * 1024

#: Size and CRC-32C of each file, by its name in the manifest.
Sums = dict[str, tuple[int, int]]


class FileWriter:
    """Writes one archive's entries below `root`; a sink of TarReader.

    `prefix` stands before the names in the manifest (`pg_tblspc/OID/` for a tablespace).
    With a flusher, what is written is made durable in the background.
    """

    def __init__(
        self, root: Path, prefix: str, sums: Sums, account: OsAccount, flusher: Flusher | None
    ) -> None:
        self._root = root
        self._prefix = prefix
        self._sums = sums
        self._account = account
        self._flusher = flusher
        self._unflushed = 0
        self._name = ""
        self._fd: int | None = None
        self._pending: list[memoryview] = []
        self._gathered = 0
        self._size = 0
        self._crc = 0

    def begin(self, entry: Entry) -> None:
        name = _checked(entry.name)
        self._name = self._prefix + name
        self._fd = None
        if entry.kind is Kind.LINK:
            self._name = ""
            # The only links a cluster has are those to tablespaces; ours are made already.
            if not (self._root / name).is_symlink():
                raise CopyFailed(f"unexpected link {name} in the stream", id="copy.bad_stream")
        elif entry.kind is Kind.FOLDER:
            self._name = ""
            self._make_folder(self._root / name)
        elif self._name not in NOT_KEPT:
            target = PENDING_CONTROL if self._name == CONTROL else name
            self._fd = os.open(
                self._root / target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
            )  # fmt: skip
            self._account.own_fd(self._fd)

    def data(self, piece: memoryview) -> None:
        self._pending.append(piece)
        self._gathered += len(piece)
        if self._gathered >= _BATCH:
            self._drain()

    def end(self) -> None:
        self._drain()
        if self._fd is not None:
            self._flush(_FLUSH_REST)
            os.close(self._fd)
            self._fd = None
        if self._name:
            self._sums[self._name] = self._size, self._crc
        self._size = self._crc = self._unflushed = 0

    def _drain(self) -> None:
        if not self._pending:
            return
        blob = b"".join(self._pending)
        self._pending.clear()
        self._size += self._gathered
        self._gathered = 0
        self._crc = google_crc32c.extend(self._crc, blob)
        if self._fd is not None:
            write_all(self._fd, blob)
            self._unflushed += len(blob)
            self._flush(_FLUSH)

    def _flush(self, least: int) -> None:
        """Have what was written flushed, if it is worth it."""
        if self._flusher is not None and self._fd is not None and self._unflushed >= least:
            self._flusher.flush(self._fd)
            self._unflushed = 0

    def _make_folder(self, path: Path) -> None:
        if not path.exists():
            path.mkdir(0o700)
            self._account.own(path)


def write_all(fd: int, blob: bytes) -> None:
    """Write every byte; a full disk shows as a short write first."""
    written = os.write(fd, blob)
    while written < len(blob):
        written += os.write(fd, memoryview(blob)[written:])


def _checked(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise CopyFailed(f"the source sent a file named {name!r}", id="copy.bad_stream")
    return str(path)


class Archive:
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
        """The stream has ended; CopyFailed if it was cut short."""
        self._tar.close()
        if self._unpack is not None and not self._unpack.eof:
            raise CopyFailed("the compressed stream ended too early", id="copy.bad_stream")
