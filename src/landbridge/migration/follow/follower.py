"""The loop of the incremental synchronization."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ...errors import LandbridgeError
from ..standby.lifecycle import dbname
from ..states import Replication
from ..task import Task
from .local import LocalView, LocalWatch
from .sample import LagClock, Rate, Sample
from .source import SourceView, SourceWatch

#: Seconds between two samples, while caught up and while not.
_EVERY, _EVERY_BEHIND = 0.5, 0.25
#: The walreceiver asks for a sign of life after half of its timeout of 5 s.
_QUIET = 4.0
#: A view of the source older than this says nothing about now.
_STALE = 2.0
#: Behind by no more than this is "streaming".
_CLOSE_SECONDS = 1.0


class Follower:
    """Watches one migration while the destination follows its source."""

    def __init__(self, task: Task) -> None:
        self.task = task
        request = task.request
        self._budget = request.wal_budget
        self._source = SourceWatch(task.conninfo(), task.slot)
        self._local = LocalWatch(task.cluster(), dbname(task))
        self._clock, self._rate = LagClock(), Rate()
        self._view: SourceView | None = None
        self._source_error: LandbridgeError | None = None
        self._last_message: datetime | None = None

    def sample(self) -> Sample:
        """Look at both sides now. Never raises for a side that does not answer."""
        self._ask_source()
        return self._combine(self._local.read())

    def run(
        self, stop: threading.Event, on_sample: Callable[[Sample], None] = lambda sample: None
    ) -> None:
        """Sample until `stop`, write each sample to `live.json`."""
        try:
            while not stop.is_set():
                sample = self.sample()
                self.task.write_live(phase="synchronizing", **sample.as_dict())
                on_sample(sample)
                stop.wait(_EVERY if sample.caught_up else _EVERY_BEHIND)
        finally:
            self.close()

    def close(self) -> None:
        self._source.close()
        self._local.close()

    def _ask_source(self) -> None:
        try:
            self._view = view = self._source.read()
        except LandbridgeError as error:
            self._source_error = error
            return
        self._source_error = None
        self._clock.source_at(view.moment, view.lsn)
        self._rate.add(view.moment, view.lsn)

    def _combine(self, local: LocalView | None) -> Sample:
        view, now = self._view, time.monotonic()
        fresh = view is not None and now - view.moment < _STALE
        replayed = local.replayed if local else None
        connected = self._connected(local)
        lag_bytes = lag_seconds = None
        if view and replayed is not None:
            lag_bytes = max(0, view.lsn - replayed)
            lag_seconds = self._clock.lag(now, replayed)
        caught_up = connected and fresh and lag_bytes == 0
        kept = None
        if view and view.slot and view.slot.restart_lsn is not None:
            kept = max(0, view.lsn - view.slot.restart_lsn)
        rate = self._rate.per_second if view else 0.0
        return Sample(
            state=_state(connected, caught_up, lag_seconds),
            lag_bytes=lag_bytes,
            lag_seconds=lag_seconds,
            caught_up=caught_up,
            disconnected_since=None if connected else self._since(),
            replay_paused="paused" if local and local.paused else None,
            standby_up=local is not None,
            source_reachable=self._source_error is None,
            wal_kept_bytes=kept,
            wal_budget_bytes=self._budget,
            wal_rate=rate,
            wal_hours_left=(self._budget - (kept or 0)) / rate / 3600 if rate else None,
            long_transactions=view.long_transactions if view else [],
            prepared_transactions=view.prepared_transactions if view else [],
            sessions=view.sessions if view else None,
            source_lsn=view.lsn if view else None,
            received_lsn=local.received if local else None,
            replayed_lsn=replayed,
        )

    def _connected(self, local: LocalView | None) -> bool:
        if local is None or local.receiver is None or local.quiet_seconds is None:
            return False
        self._last_message = datetime.now(UTC) - timedelta(seconds=local.quiet_seconds)
        return local.receiver == "streaming" and local.quiet_seconds < _QUIET

    def _since(self) -> str:
        if self._last_message is None:
            self._last_message = datetime.now(UTC)
        return self._last_message.isoformat(timespec="milliseconds")


def _state(connected: bool, caught_up: bool, lag_seconds: float | None) -> Replication:
    if not connected:
        return Replication.DISCONNECT
    if caught_up or (lag_seconds is not None and lag_seconds <= _CLOSE_SECONDS):
        return Replication.STREAMING
    return Replication.CATCHUP
