"""The loop of the incremental synchronization."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ...errors import FollowFailed, LandbridgeError
from ..standby.hold import is_held
from ..standby.lifecycle import dbname
from ..states import State
from ..task import Task
from .disturbance import notice
from .local import LocalView, LocalWatch, is_gone
from .measure import Measure
from .sample import Sample
from .slot import recreate_slot, slot_lost, wal_is_there
from .source import SourceView, SourceWatch
from .supervisor import Supervisor
from .wal import refuse_spent

#: Seconds between two looks, while caught up and while not.
_EVERY, _EVERY_BEHIND = 0.5, 0.25
#: A stream down, or up again, for so long is worth a note.
_WORTH_A_NOTE = timedelta(seconds=3)
#: For so long the source may hold the slot for a stream that the standby has lost.
_STALE_HOLDER = 3.0


class Follower:
    """Watches one migration while the destination follows its source, and repairs what it can.

    `sample` looks once. `run` looks about twice a second until it is told to stop; the
    source is asked by a thread of its own, because a dead wire can keep it waiting for ten
    seconds. Neither ever holds a transaction open, on either side.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        request = task.request
        self._source = SourceWatch(task.conninfo(), task.slot, request.system_identifier)
        self._local = LocalWatch(task.cluster(), dbname(task))
        self._local_lock = threading.Lock()
        self._measure = Measure(request.wal_budget)
        self._noticed: psycopg.Connection[Any] | None = None
        self._pair: tuple[SourceView, LocalView | None] | None = None
        self._used: SourceView | None = None
        self._failure: Exception | None = None
        self._reachable = True
        self._down_since: float | None = None
        self._up_since: datetime | None = None
        self._told_up = True
        self._told_loss = True

    def sample(self) -> Sample:
        """Look at both sides now. Never raises for a side that does not answer."""
        try:
            self._look()
        except LandbridgeError:
            self._reachable = False
        return self._combine(paused=None)[0]

    def run(
        self, stop: threading.Event, on_sample: Callable[[Sample], None] = lambda sample: None
    ) -> None:
        """Follow until `stop`: every sample goes to `live.json` and to `on_sample`.

        The standby is restarted when it dies, its parameters are raised with the source's,
        a slot that was lost is made again. Returns within milliseconds of `stop` unless a
        repair is under way. Raises FollowFailed when following is over: follow.slot_lost,
        follow.wal_budget_exceeded, follow.destination_promoted.
        """
        halt = threading.Event()
        supervisor = Supervisor(self.task)
        watcher = threading.Thread(target=self._watch, args=(halt,), name="source", daemon=True)
        watcher.start()
        try:
            while not stop.is_set():
                if self._failure is not None:
                    raise self._failure
                sample, local = self._combine(paused=supervisor.paused)
                self._refuse_promoted(local)
                supervisor.look(local)
                self._tell(sample)
                stream = local.stream if local else None
                self.task.write_live(phase="synchronizing", stream=stream, **sample.as_dict())
                on_sample(sample)
                stop.wait(_EVERY if sample.caught_up else _EVERY_BEHIND)
        finally:
            halt.set()
            self._source.interrupt()
            supervisor.close()
            watcher.join(1.0)
            self._local.close()

    def close(self) -> None:
        """Close what sample() has opened; run() closes its own."""
        self._source.close()
        self._local.close()

    def _watch(self, halt: threading.Event) -> None:
        """The source's thread: look, act on the slot, until `halt` or the end of following."""
        try:
            while not halt.is_set():
                try:
                    self._look()
                    self._keep_slot()
                except FollowFailed:
                    raise
                except (LandbridgeError, psycopg.Error):
                    self._reachable = False
                    self._source.close()
                halt.wait(_EVERY if self._measure.caught_up else _EVERY_BEHIND)
        except Exception as error:
            # run() raises it where somebody can catch it.
            self._failure = error
        finally:
            self._source.close()

    def _look(self) -> None:
        view = self._source.read()
        if (conn := self._source.connection()) is not self._noticed:
            notice(self.task, conn)
            self._noticed = conn
        # The standby is asked at once, so that the two positions belong together.
        with self._local_lock:
            local = self._local.read()
        self._measure.source_at(view)
        self._reachable = True
        self._pair = (view, local)

    def _combine(self, *, paused: str | None) -> tuple[Sample, LocalView | None]:
        pair = self._pair
        if pair is not None and pair[0] is not self._used:
            self._used, local = pair
        else:
            with self._local_lock:
                local = self._local.read()
        view = pair[0] if pair else None
        sample = self._measure.sample(view, local, reachable=self._reachable)
        if paused or (local and local.paused):
            sample = replace(sample, replay_paused=paused or "replay is paused")
        return sample, local

    def _keep_slot(self) -> None:
        """See that there is a slot, and a stream from it, from the side of the source."""
        assert self._pair is not None
        view, local = self._pair
        conn, slot = self._source.connection(), self.task.slot
        position = self._measure.position
        if view.slot is None or view.slot.wal_status == "lost":
            refuse_spent(self.task)
            if position is None:
                self._refuse_gone()
                return
            recreate_slot(conn, slot, position)
            self.task.journal.repeat(
                "follow.slot_recreated",
                "The replication slot was gone from the source. Its WAL is still there, so"
                " the slot was made again.",
                level="warning",
            )
            return
        if local is not None and not self._measure.connected(local):
            self._help_to_reconnect(view, conn)
        else:
            self._down_since = None

    def _refuse_gone(self) -> None:
        """Raise FollowFailed when there is neither a slot nor a destination to make one for."""
        if is_gone(self.task.cluster()):
            raise FollowFailed(
                f"the slot {self.task.slot} is gone from the source, and the data directory"
                f" {self.task.request.data} from here: nothing is left that could follow",
                id="follow.destination_gone",
                remedy="Begin another migration.",
            )

    def _help_to_reconnect(self, view: SourceView, conn: psycopg.Connection[tuple[bool]]) -> None:
        """The standby is up and has no stream although we reach the source."""
        self._down_since = self._down_since or view.moment
        if view.moment - self._down_since < _STALE_HOLDER:
            return
        self._down_since = view.moment
        position = self._measure.position
        if position is not None and not wal_is_there(conn, position):
            raise slot_lost(self.task.slot, position)
        if view.slot and view.slot.active_pid:
            # Until its timeout (60 s before 12) a walsender holds the slot for a dead line.
            conn.execute("SELECT pg_terminate_backend(%s)", [view.slot.active_pid])

    def _refuse_promoted(self, local: LocalView | None) -> None:
        if local is None or local.in_recovery or self.task.state is not State.SYNCHRONIZING:
            return
        raise FollowFailed(
            "somebody promoted the destination; it no longer follows the source",
            id="follow.destination_promoted",
            remedy="Its data directory is left as it is. Begin another migration elsewhere.",
        )

    def _tell(self, sample: Sample) -> None:
        """Note when the stream is gone, and when it is back; not every flicker of it."""
        since, now = sample.disconnected_since, datetime.now(UTC)
        if is_held(self.task):
            return
        if since is not None:
            self._up_since = None
            if self._told_up and now - datetime.fromisoformat(since) > _WORTH_A_NOTE:
                self._told_up = False
                self._told_loss = self.task.journal.repeat(
                    "follow.disconnected",
                    "The destination has lost the source; it goes on by itself when the line"
                    " is back.",
                    level="warning",
                    since=since,
                )
            return
        self._up_since = self._up_since or now
        if not self._told_up and now - self._up_since > _WORTH_A_NOTE:
            self._told_up = True
            if self._told_loss:
                self.task.journal.note("follow.reconnected", "The destination follows again.")
