"""A line of the relay: a token bucket and a byte counter for each direction."""

from __future__ import annotations

import hashlib
import mmap
import struct
import threading
from collections.abc import Collection
from pathlib import Path

from ..bucket import Bucket
from ..fabric import Meter
from ..things import Line

_COUNTER = struct.Struct("=Q")


class Lane:
    """One direction of a line."""

    def __init__(self, bits_per_second: int, counters: mmap.mmap, offset: int) -> None:
        self.bucket = Bucket(bits_per_second)
        self._counters, self._offset = counters, offset
        self._lock = threading.Lock()

    @property
    def piece(self) -> int:
        return self.bucket.burst

    def take(self, count: int) -> bool:
        """Wait until `count` bytes may pass; False when the line is gone."""
        return self.bucket.take(count)

    def carried(self, count: int) -> None:
        """Count bytes that pass."""
        with self._lock:
            _COUNTER.pack_into(self._counters, self._offset, self.total + count)

    @property
    def total(self) -> int:
        """Payload bytes since the line was made."""
        (total,) = _COUNTER.unpack_from(self._counters, self._offset)
        return int(total)


def counters_of(line: str) -> str:
    """The name of the file that holds a line's counters."""
    return f"meter-{hashlib.sha256(line.encode()).hexdigest()[:16]}"


def sweep(folder: Path, valid: Collection[str]) -> None:
    """Remove the counters of lines that are not among `valid`."""
    kept = {counters_of(line) for line in valid}
    for path in folder.glob("meter-*"):
        if path.name not in kept:
            path.unlink()


class RelayLine:
    """Both directions. The counters lie in a mapped file: they outlive a killed process."""

    def __init__(self, line: Line, folder: Path) -> None:
        self.ends = (line.a, line.b)
        self._path = folder / counters_of(line.id)
        folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            file.truncate(2 * _COUNTER.size)
            counters = mmap.mmap(file.fileno(), 2 * _COUNTER.size)
        self.a_to_b = Lane(line.rate, counters, 0)
        self.b_to_a = Lane(line.rate, counters, _COUNTER.size)

    def lanes(self, origin: str) -> tuple[Lane, Lane]:
        """The way there and the way back, as seen from transit router `origin`."""
        there, back = self.a_to_b, self.b_to_a
        return (there, back) if origin == self.ends[0] else (back, there)

    def set_rate(self, bits_per_second: int) -> None:
        """Change both directions; what runs goes on at the new rate."""
        for lane in (self.a_to_b, self.b_to_a):
            lane.bucket.set_rate(bits_per_second)

    @property
    def meter(self) -> Meter:
        return Meter(self.a_to_b.total, self.b_to_a.total)

    def close(self) -> None:
        """Nothing passes any more."""
        for lane in (self.a_to_b, self.b_to_a):
            lane.bucket.close()

    def forget(self) -> None:
        """Remove the counters."""
        self._path.unlink(missing_ok=True)
