"""Positions in the write-ahead log."""

from __future__ import annotations

from typing import Self


class Lsn(int):
    """A byte position in the WAL; prints as PostgreSQL does.

    >>> Lsn.parse("16/B374D848")
    Lsn('16/B374D848')
    >>> Lsn.parse("0/10") - Lsn.parse("0/8")
    8
    >>> Lsn(0x16B374D848).segment(16 * 1024 * 1024)
    5811
    """

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read PostgreSQL's `X/Y` notation; ValueError if it is none."""
        high, slash, low = text.strip().partition("/")
        if not slash:
            raise ValueError(f"not a WAL position: {text!r}")
        return cls((int(high, 16) << 32) | int(low, 16))

    def segment(self, segment_size: int) -> int:
        """Number of the WAL segment (of `segment_size` bytes) that holds this position."""
        return int(self) // segment_size

    def __str__(self) -> str:
        return f"{int(self) >> 32:X}/{int(self) & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn('{self}')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def wal_file_name(timeline: int, segment: int, segment_size: int) -> str:
    """Name of a WAL segment file.

    >>> wal_file_name(1, 5811, 16 * 1024 * 1024)
    '0000000100000016000000B3'
    """
    per_id = 0x100000000 // segment_size
    return f"{timeline:08X}{segment // per_id:08X}{segment % per_id:08X}"
