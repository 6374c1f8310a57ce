"""Records of write-ahead log, taken from the bytes that a server streams.

(PostgreSQL sources, xlogrecord.h, xlog_internal.h, xact.h; the same for majors 10-18.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .lsn import Lsn

_PAGE_HEADER, _FIRST_PAGE_HEADER = 24, 40
_RECORD = struct.Struct("<IIQBBxxI")
_XLOG, _XACT = 0, 1
_SWITCH = 0x40
_COMMITS = (0x00, 0x30)
"""COMMIT and COMMIT PREPARED."""
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOPLEVEL_XID = 255, 254, 253, 252
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    """One WAL record: where it begins, and its parts."""

    lsn: Lsn
    xid: int
    """Of the transaction; 0 in the commit of a prepared one."""
    manager: int
    info: int
    body: bytes

    @property
    def is_commit(self) -> bool:
        """Whether a transaction, prepared or not, is committed by it."""
        return self.manager == _XACT and self.info & 0x70 in _COMMITS

    @property
    def committed_at(self) -> datetime:
        """Of a commit: when, by the server's clock, in UTC."""
        position = 0
        while (kind := self.body[position]) not in (_SHORT_DATA, _LONG_DATA):
            position += {_ORIGIN: 3, _TOPLEVEL_XID: 5}[kind]
        position += 2 if kind == _SHORT_DATA else 5
        (microseconds,) = struct.unpack_from("<q", self.body, position)
        return _EPOCH + timedelta(microseconds=microseconds)


@dataclass(frozen=True)
class Layout:
    """Sizes, in bytes, that the cluster was created with."""

    page: int
    segment: int


def records(wal: bytes, start: Lsn, layout: Layout) -> Iterator[Record]:
    """The complete records in `wal`, which begins at `start`, the beginning of a record."""
    at, end = int(start), int(start) + len(wal)

    def take(position: int, count: int) -> tuple[bytes, int]:
        """`count` bytes of content from `position` on, and the position after them."""
        found = bytearray()
        while count:
            position = _past_header(position, layout)
            piece = min(count, layout.page - position % layout.page)
            found += wal[position - start : position - start + piece]
            position, count = position + piece, count - piece
        return bytes(found), position

    while at + _RECORD.size <= end:
        begin = _past_header(at, layout)
        head, _ = take(begin, _RECORD.size)
        if len(head) < _RECORD.size:
            return
        length, xid, _, info, manager, _ = _RECORD.unpack(head)
        if length < _RECORD.size:
            return
        content, after = take(begin, length)
        if len(content) < length:
            return
        yield Record(Lsn(begin), xid, manager, info, content[_RECORD.size :])
        at = -(-after // 8) * 8
        if (manager, info & 0xF0) == (_XLOG, _SWITCH):
            at = -(-at // layout.segment) * layout.segment


def _past_header(position: int, layout: Layout) -> int:
    if position % layout.page:
        return position
    first = position % layout.segment == 0
    return position + (_FIRST_PAGE_HEADER if first else _PAGE_HEADER)
