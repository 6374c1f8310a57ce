"""What inter-region connections carry at the moment: the network's counters, looked at often.

Kept in the memory of the service, for curves; what is paid for is in the ledger (`metering`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from ..network.fabric import Meter

#: Samples that are kept of a line, seconds between two of them, and lines.
POINTS, APART, LINES = 180, 1.0, 1000


@dataclass(frozen=True)
class Rate:
    """What a line carried on average from the sample before up to `at`, in bit/s."""

    at: datetime
    out: float
    """From the router to its peer."""
    back: float


class Recent:
    """The latest samples of every line; from any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: OrderedDict[str, deque[tuple[float, Meter]]] = OrderedDict()

    def add(self, line: str, meter: Meter) -> None:
        """Keep what the counters of a line say now, unless that was done a moment ago."""
        now = self._clock()
        with self._lock:
            samples = self._samples.setdefault(line, deque(maxlen=POINTS))
            self._samples.move_to_end(line)
            if len(self._samples) > LINES:
                self._samples.popitem(last=False)
            if samples and not _goes_on(samples[-1], now, meter):
                samples.clear()
            if not samples or now - samples[-1][0] >= APART:
                samples.append((now, meter))

    def rates(self, line: str) -> list[Rate]:
        """What a line has carried, oldest first; empty before the second sample."""
        with self._lock:
            samples = list(self._samples.get(line, ()))
        return [_rate(before, after) for before, after in pairwise(samples)]


def _goes_on(last: tuple[float, Meter], now: float, meter: Meter) -> bool:
    """Whether counters and clock went on; a line that was made anew begins at 0."""
    before, old = last
    return now >= before and meter.a_to_b >= old.a_to_b and meter.b_to_a >= old.b_to_a


def _rate(before: tuple[float, Meter], after: tuple[float, Meter]) -> Rate:
    (begin, old), (end, new) = before, after
    seconds = end - begin
    return Rate(
        datetime.fromtimestamp(end, UTC),
        (new.a_to_b - old.a_to_b) * 8 / seconds,
        (new.b_to_a - old.b_to_a) * 8 / seconds,
    )


#: Of this process: the network's reconciler adds to it, and every call that asks.
RECENT = Recent()
