"""Turns what both sides say into one sample, remembering what went before."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from ...postgres.lsn import Lsn
from .. import journal
from ..states import Replication
from .local import LocalView
from .sample import LagClock, Rate, Sample
from .source import SourceView
from .wal import allowed

#: The walreceiver asks for a sign of life after half of its timeout of 5 s.
_QUIET = 4.0
#: A view of the source older than this says nothing about now, in seconds.
_STALE = 3.0
#: Behind by no more than this many seconds is "streaming".
_CLOSE = 1.0


class Measure:
    """What must be remembered from one look to the next; both threads may use it."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._clock, self._rate = LagClock(), Rate()
        self._lock = threading.Lock()
        self._last_message: datetime | None = None
        self._source_seen: str | None = None
        self.position: Lsn | None = None
        """Up to where the standby has the WAL, as far as was ever seen."""
        self.caught_up = False

    def source_at(self, view: SourceView) -> None:
        """Remember where the source was."""
        with self._lock:
            self._source_seen = journal.now()
            self._clock.source_at(view.moment, view.lsn)
            self._rate.add(view.moment, view.lsn)

    def sample(
        self, view: SourceView | None, local: LocalView | None, *, reachable: bool
    ) -> Sample:
        """One sample of the latest views; `reachable`: the source answered last time."""
        now = time.monotonic()
        if view is not None and now - view.moment > _STALE:
            view, reachable = None, False
        up = self.connected(local)
        self._remember(local)
        lag_bytes = lag_seconds = kept = None
        replayed = local.replayed if local else None
        if view and replayed is not None:
            lag_bytes = max(0, view.lsn - replayed)
            with self._lock:
                lag_seconds = self._clock.lag(now, replayed)
        self.caught_up = up and lag_bytes == 0
        with self._lock:
            budget, rate = self._budget, self._rate.per_second
        if view and view.slot:
            kept = view.kept
            budget = allowed(budget, kept or 0, view.slot)
        return Sample(
            state=_state(up, self.caught_up, lag_seconds),
            lag_bytes=lag_bytes,
            lag_seconds=lag_seconds,
            caught_up=self.caught_up,
            disconnected_since=None if up else self._since(),
            replay_paused=None,
            standby_up=local is not None,
            source_reachable=reachable,
            source_seen=self._source_seen,
            wal_kept_bytes=kept,
            wal_budget_bytes=budget,
            wal_rate=rate,
            wal_hours_left=max(0, budget - kept) / rate / 3600
            if rate and kept is not None
            else None,
            long_transactions=view.long_transactions if view else [],
            prepared_transactions=view.prepared_transactions if view else [],
            sessions=view.sessions if view else None,
            source_lsn=view.lsn if view else None,
            received_lsn=local.received if local else None,
            replayed_lsn=replayed,
        )

    def connected(self, local: LocalView | None) -> bool:
        """Whether the standby's stream flows: a walreceiver that has heard of the source."""
        return (
            local is not None
            and local.receiver == "streaming"
            and local.quiet_seconds is not None
            and local.quiet_seconds < _QUIET
        )

    def _remember(self, local: LocalView | None) -> None:
        if local is None:
            return
        seen = [p for p in (local.received, local.replayed, self.position) if p is not None]
        self.position = max(seen, default=None)
        if local.receiver is not None and local.quiet_seconds is not None:
            self._last_message = datetime.now(UTC) - timedelta(seconds=local.quiet_seconds)

    def _since(self) -> str:
        if self._last_message is None:
            self._last_message = datetime.now(UTC)
        return self._last_message.isoformat(timespec="milliseconds")


def _state(up: bool, caught_up: bool, lag_seconds: float | None) -> Replication:
    if not up:
        return Replication.DISCONNECT
    if caught_up or (lag_seconds is not None and lag_seconds <= _CLOSE):
        return Replication.STREAMING
    return Replication.CATCHUP
