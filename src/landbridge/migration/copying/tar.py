"""A tar stream taken apart as it arrives, wherever it is cut.

Only what BASE_BACKUP sends: plain ustar entries for files, folders and links, names of
up to 100 bytes, sizes in octal or, from 8 GiB on, in base 256. `tarfile` wants to pull
from a file object and costs a copy and a call per block.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ...errors import CopyFailed

_BLOCK = 512


class Kind(Enum):
    """What an entry is."""

    FILE = "0"
    """A regular file; its content follows."""
    FOLDER = "5"
    """A folder."""
    LINK = "2"
    """A symbolic link."""


@dataclass(frozen=True)
class Entry:
    """The header of one entry."""

    name: str
    kind: Kind
    size: int
    """Bytes of content, 0 unless it is a file."""


class Sink(Protocol):
    """Receives the entries: `begin`, any number of `data`, `end`."""

    def begin(self, entry: Entry) -> None: ...

    def data(self, piece: memoryview) -> None: ...

    def end(self) -> None: ...


class TarReader:
    """Feeds the entries of one tar stream to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._header = bytearray()
        self._content = 0
        self._padding = 0
        self._inside = False

    def feed(self, piece: memoryview) -> None:
        """Take the next piece of the stream; CopyFailed if it is no tar stream."""
        while len(piece):
            if self._content:
                taken = piece[: self._content]
                self._content -= len(taken)
                self._sink.data(taken)
                piece = piece[len(taken) :]
                self._finish_if_complete()
            elif self._padding:
                skipped = min(self._padding, len(piece))
                self._padding -= skipped
                piece = piece[skipped:]
            else:
                missing = _BLOCK - len(self._header)
                self._header += piece[:missing]
                piece = piece[missing:]
                if len(self._header) == _BLOCK:
                    self._begin(bytes(self._header))
                    self._header.clear()

    def close(self) -> None:
        """The stream has ended; CopyFailed if it did so in the middle of an entry."""
        if self._inside or self._header:
            raise CopyFailed("the source's tar stream ended too early", id="copy.bad_stream")

    def _begin(self, block: bytes) -> None:
        if not any(block):
            return
        entry = parse_header(block)
        self._content = entry.size
        self._padding = -entry.size % _BLOCK
        self._inside = True
        self._sink.begin(entry)
        self._finish_if_complete()

    def _finish_if_complete(self) -> None:
        if not self._content:
            self._inside = False
            self._sink.end()


def parse_header(block: bytes) -> Entry:
    """The entry a 512-byte header describes; CopyFailed if it describes none."""
    try:
        if int(block[148:156].rstrip(b"\0 "), 8) != sum(block) - sum(block[148:156]) + 8 * 32:
            raise ValueError("checksum")
        kind = Kind(chr(block[156]) if block[156] else "0")
        name = block[:100].rstrip(b"\0").decode(errors="surrogateescape")
        size = _number(block[124:136]) if kind is Kind.FILE else 0
    except ValueError as error:
        raise CopyFailed(
            f"the source sent something that is no tar header ({error})", id="copy.bad_stream"
        ) from None
    return Entry(name, kind, size)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.rstrip(b"\0 ") or b"0", 8)
