"""Compression by the source (15+): what to ask for, and how to undo it here."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, Self

import lz4.frame
import zstandard

from ...errors import UsageError


class Method(Enum):
    """A way of compressing that BASE_BACKUP knows."""

    NONE = "none"
    """The bytes as they are."""
    GZIP = "gzip"
    """zlib: in every build, but slow."""
    LZ4 = "lz4"
    """Little gain at little cost."""
    ZSTD = "zstd"
    """The best of both, and on several cores."""


@dataclass(frozen=True)
class Compression:
    """A method with its level and number of worker threads on the source.

    >>> str(Compression.parse("zstd:3:2")), str(Compression.parse("none"))
    ('zstd:3:2', 'none')
    >>> Compression.parse("zstd:3:2").detail
    'level=3,workers=2'
    """

    method: Method
    level: int | None = None
    workers: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read METHOD[:LEVEL[:WORKERS]]; UsageError if it is not that."""
        name, *numbers = text.split(":")
        try:
            level, workers, *_ = (*map(int, numbers), None, None)
            if len(numbers) > 2 or (workers is not None and name != "zstd"):
                raise ValueError
            return cls(Method(name), level, workers)
        except ValueError:
            raise UsageError(
                f"{text!r} is no compression",
                id="copy.compression_invalid",
                remedy="Use auto, none, or METHOD[:LEVEL[:WORKERS]] with gzip, lz4 or zstd"
                " (workers: zstd only).",
            ) from None

    @property
    def detail(self) -> str | None:
        """COMPRESSION_DETAIL for the server, or None."""
        parts = {"level": self.level, "workers": self.workers}
        return ",".join(f"{k}={v}" for k, v in parts.items() if v is not None) or None

    def __str__(self) -> str:
        numbers = [str(n) for n in (self.level, self.workers) if n is not None]
        return ":".join((self.method.value, *numbers))


NONE = Compression(Method.NONE)


class Decompressor(Protocol):
    """Undoes the compression of one stream, piece by piece."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes | memoryview, /) -> bytes: ...


def decompressor(method: Method) -> Decompressor:
    """A fresh decompressor for one stream of that method (not NONE)."""
    makers: dict[Method, Callable[[], Decompressor]] = {
        Method.ZSTD: lambda: zstandard.ZstdDecompressor().decompressobj(),
        Method.LZ4: lz4.frame.LZ4FrameDecompressor,
        Method.GZIP: lambda: zlib.decompressobj(wbits=31),
    }
    return makers[method]()
