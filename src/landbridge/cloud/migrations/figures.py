"""How the migrations of all accounts are, in figures that name nobody: for the operator."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select

from ..control import Cloud
from . import mover
from .progress import Progress, status
from .tables import Migration

#: What `status` says, in the order of a migration's life.
STATUSES = (
    "Running", "Interrupted", "ReadyToSwitch", "ReadinessUnknown", "Switching", "Cancelling",
    "PuttingBack", "Finishing", "Finished", "Failed", "Cancelled",
)  # fmt: skip
#: Seconds for which figures are told again: anybody may ask, and records are read for them.
_FRESH = 5.0


@dataclass(frozen=True)
class Figures:
    """Of the migrations that are on record."""

    count: dict[str, int]
    """How many, by status; every one of STATUSES."""
    lag: dict[str, float]
    """Seconds that the one lags which lags most, by status; of those of which it is known."""


class Summary:
    """Makes figures, at most every few seconds. Not thread-safe."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._over: dict[str, str] = {}
        """The status of each that is over, which stays."""
        self._latest: tuple[float, Figures] | None = None

    def now(self) -> Figures:
        """The figures of now, or of a moment ago. StoreFailed."""
        if self._latest is None or time.monotonic() - self._latest[0] >= _FRESH:
            self._latest = time.monotonic(), self._made()
        return self._latest[1]

    def _made(self) -> Figures:
        with self._cloud.database.read() as session:
            rows = session.scalars(select(Migration)).all()
        tasks = mover.tasks_of(self._cloud)
        count, lag = dict.fromkeys(STATUSES, 0), dict[str, float]()
        known, self._over = self._over, {}
        for row in rows:
            if (which := known.get(row.id)) is None:
                progress = Progress.of(tasks, row)
                which = status(row, progress)
                if (seconds := progress.live.get("lag_seconds")) is not None and row.is_active:
                    lag[which] = max(lag.get(which, 0.0), seconds)
            if not row.is_active:
                self._over[row.id] = which
            count[which] += 1
        return Figures(count, lag)
