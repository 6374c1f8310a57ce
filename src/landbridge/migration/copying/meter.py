"""Progress of a copy: counted as bytes pass, reported a few times a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .model import CopyProgress, Phase, Report

#: Seconds between two reports.
INTERVAL = 0.2
# Seconds over which the rate is smoothed.
_MEMORY = 5.0


class Meter:
    """Counts bytes; `tick` reports when it is time."""

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._due = 0.0
        self._last: tuple[float, int] | None = None
        self._rate = 0.0
        self.phase = Phase.PREPARING
        self.compression = "none"
        self.copied = 0
        self.wire = 0
        self.total = 0
        self.wal_received = 0

    def enter(self, phase: Phase) -> None:
        """A new phase begins; reported at once."""
        self.phase = phase
        self._due = 0.0
        self.tick()

    def tick(self) -> None:
        """Report if the last report is old enough."""
        now = self._clock()
        if now >= self._due:
            self._due = now + INTERVAL
            self._smooth(now)
            self._report(self.progress())

    def progress(self) -> CopyProgress:
        """The figures of this moment."""
        left = max(0, self.total - self.copied)
        eta = left / self._rate if self._rate > 0 and self.phase is Phase.COPYING else None
        return CopyProgress(
            self.phase, self.copied, max(self.total, self.copied), self._rate, eta,
            self.wire, self.wal_received, self.compression,
        )  # fmt: skip

    def _smooth(self, now: float) -> None:
        if self._last is not None and self.copied > 0:
            seconds, size = now - self._last[0], self.copied - self._last[1]
            if seconds > 0:
                weight = math.exp(-seconds / _MEMORY) if self._rate else 0.0
                self._rate = weight * self._rate + (1 - weight) * size / seconds
        self._last = now, self.copied
