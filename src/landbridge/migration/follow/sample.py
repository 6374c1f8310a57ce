"""What the synchronization looks like at one moment."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from ...postgres.lsn import Lsn
from ..states import Replication


@dataclass(frozen=True)
class Sample:
    """One look at both sides. Positions are WAL positions; None where a side did not answer."""

    state: Replication
    lag_bytes: int | None
    """Flushed on the source and not yet replayed."""
    lag_seconds: float | None
    """How long ago the source was where the destination is now."""
    caught_up: bool
    """Everything the source had flushed when it was asked has been replayed."""
    disconnected_since: str | None
    """UTC, ISO 8601; None while the stream flows."""
    replay_paused: str | None
    """Why the destination does not replay."""
    standby_up: bool
    source_reachable: bool
    """Whether our own connection to the source works (the stream has another)."""
    source_seen: str | None
    """When it last answered there: UTC, ISO 8601. What is told of it is younger than 3 s."""
    wal_kept_bytes: int | None
    """WAL that the source keeps for our slot."""
    wal_budget_bytes: int
    """How much it may be: the request's budget, or less when the source keeps less."""
    wal_rate: float
    """Bytes of WAL per second that the source writes, over the last minute."""
    wal_hours_left: float | None
    """Until the budget is spent if the line were cut now; None while nothing is written."""
    long_transactions: list[dict[str, Any]] = field(default_factory=list)
    """pid, user, database, application, age_seconds, state, started, query_start, writes."""
    prepared_transactions: list[dict[str, Any]] = field(default_factory=list)
    """gid, database, age_seconds."""
    sessions: int | None = None
    """Client sessions on the source other than ours."""
    source_lsn: Lsn | None = None
    received_lsn: Lsn | None = None
    replayed_lsn: Lsn | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `live.json` and `--json`: positions as text, the state by its value."""
        found = asdict(self)
        for name in ("source_lsn", "received_lsn", "replayed_lsn"):
            found[name] = None if found[name] is None else str(found[name])
        return {**found, "state": self.state.value}


class LagClock:
    """Turns positions into seconds: when was the source where the destination is now?

    The source's own replay_lag is empty when nothing is written and unknown while the
    line is cut; this needs only the positions seen.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def source_at(self, moment: float, lsn: int) -> None:
        """The source was at `lsn` at `moment` (seconds of one monotonic clock)."""
        if len(self._seen) > 1 and self._seen[-2][1] == lsn == self._seen[-1][1]:
            self._seen.pop()
        self._seen.append((moment, lsn))
        if len(self._seen) > 20_000:
            # Hours behind: every second sighting is enough.
            self._seen = deque(list(self._seen)[::2])

    def lag(self, now: float, replayed: int) -> float | None:
        """Seconds that a destination at `replayed` is behind; None before the first sighting.

        >>> clock = LagClock()
        >>> clock.source_at(100.0, 1000); clock.source_at(102.0, 3000)
        >>> clock.lag(110.0, 1000), clock.lag(102.5, 2000), clock.lag(102.5, 3000)
        (10.0, 1.5, 0.0)
        """
        if not self._seen:
            return None
        while len(self._seen) > 1 and self._seen[1][1] <= replayed:
            self._seen.popleft()
        (before, low) = self._seen[0]
        if replayed < low:
            return now - before
        if len(self._seen) == 1:
            return 0.0
        (after, high) = self._seen[1]
        share = (replayed - low) / (high - low)
        return now - (before + share * (after - before))


class Rate:
    """Bytes per second over the last minute."""

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, moment: float, position: int) -> None:
        self._seen.append((moment, position))
        while moment - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """
        >>> rate = Rate()
        >>> rate.add(0.0, 0); rate.add(2.0, 5000)
        >>> rate.per_second
        2500.0
        """
        if not self._seen:
            return 0.0
        (begin, low), (end, high) = self._seen[0], self._seen[-1]
        return max(0.0, (high - low) / (end - begin)) if end > begin else 0.0
