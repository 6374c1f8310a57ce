"""Watching the destination follow while the body waits; never part of the record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..engine import Context, facts_of
from ..errors import FollowFailed, LandbridgeError
from .orders import FOLLOW_FAILED, ORDERS, SWITCHOVER, order
from .states import State
from .stepping import foreign_errors
from .task import Task

if TYPE_CHECKING:
    from .follow import Sample

#: Runs until the event is set, hands out each sample.
Watch = Callable[[Task, threading.Event, "Callable[[Sample], None]"], None]
#: Seconds before watching again after it broke off.
_AGAIN = 5.0


class Watcher:
    """Runs a `Watch` beside the waiting body, and tells the body what it must know."""

    def __init__(self, task: Task, watch: Watch) -> None:
        self.task = task
        self._watch = watch
        self._asked = False

    @contextmanager
    def watching(self, ctx: Context) -> Iterator[None]:
        """Watch meanwhile; not while the record is replayed past this point."""
        if self.task.state is not State.SYNCHRONIZING:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(ctx, stop), name="watch")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _run(self, ctx: Context, stop: threading.Event) -> None:
        """Watch until `stop`; only a FollowFailed ends the migration."""
        journal, told = self.task.journal, False
        while not stop.is_set():
            try:
                with foreign_errors("follow"):
                    self._watch(self.task, stop, lambda sample: self._look(ctx, sample))
                return
            except FollowFailed as error:
                ctx.signal(ORDERS, order(FOLLOW_FAILED, error=facts_of(error)))
                return
            except LandbridgeError as error:
                if not told:
                    journal.note("follow.interrupted", error.message, level="alarm")
            except Exception:
                logging.getLogger("dbos").exception("the watching failed")
                if not told:
                    text = "The watching failed by a defect of ours and is begun again."
                    journal.note("follow.defect", text, level="alarm")
            told = True
            stop.wait(_AGAIN)

    def _look(self, ctx: Context, sample: Sample) -> None:
        """Ask for the switchover as soon as the request wants it, once per process."""
        if sample.caught_up and self.task.request.switchover == "auto" and not self._asked:
            self._asked = True
            entry = self.task.journal.append("signal", name=SWITCHOVER, by="auto")
            ctx.signal(ORDERS, order(SWITCHOVER, at=entry["at"]))
