"""What runs beside the waiting body, and tells it what it must know; never part of the record."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..beside import beside
from ..engine import Context, facts_of
from ..errors import FollowFailed, LandbridgeError
from .journal import now
from .notes import UNDO_BEGUN
from .orders import FOLLOW_FAILED, ORDERS, RESUME, SWITCHOVER, order
from .states import State
from .stepping import foreign_errors, source_answers
from .task import Task

if TYPE_CHECKING:
    from .follow import Sample

#: Runs until the event is set, hands out each sample.
Watch = Callable[[Task, threading.Event, "Callable[[Sample], None]"], None]
#: Runs until the event is set.
Guard = Callable[[Task, threading.Event], None]
#: Seconds before watching again after it broke off.
_AGAIN = 5.0
#: States in which the destination is on its own.
_PAST = (State.PROMOTED, State.FINISHED)
#: Seconds between two knocks at a source that is away: the first, and the longest; the
#: longest before an undo is tried again at a source that answers, and does not let us.
_KNOCK, _LONGEST_KNOCK, _LONGEST_REFUSAL = 0.5, 5.0, 60.0


class Watcher:
    """Runs a `Watch` and a `Guard` beside the body."""

    def __init__(self, task: Task, watch: Watch, guard: Guard) -> None:
        self.task = task
        self._watch = watch
        self._guard = guard
        self._asked = False

    @contextmanager
    def guarding(self, ctx: Context) -> Iterator[None]:
        """See to it meanwhile that our slot does not fill the source's disk."""
        if self.task.state in _PAST or _is_undone(self.task):
            yield
            return

        def guard(stop: threading.Event) -> None:
            self._guard(self.task, stop)

        with beside("guard", lambda stop: self._run(ctx, stop, guard)):
            yield

    @contextmanager
    def watching(self, ctx: Context) -> Iterator[None]:
        """Watch meanwhile; not while the record is replayed past this point."""
        if self.task.state is not State.SYNCHRONIZING or _is_undone(self.task):
            yield
            return

        def watch(stop: threading.Event) -> None:
            self._watch(self.task, stop, lambda sample: self._look(ctx, sample))

        with beside("watch", lambda stop: self._run(ctx, stop, watch)):
            yield

    def _run(
        self, ctx: Context, stop: threading.Event, work: Callable[[threading.Event], None]
    ) -> None:
        """Work until `stop`; only a FollowFailed ends the migration."""
        told = False
        while not stop.is_set():
            try:
                try:
                    with foreign_errors("follow"):
                        work(stop)
                except FollowFailed as error:
                    ctx.signal(ORDERS, order(FOLLOW_FAILED, error=facts_of(error)))
                return
            except Exception as problem:
                if not isinstance(problem, LandbridgeError):
                    logging.getLogger("dbos").exception("the watching failed")
                told = told or self._tell(problem)
            stop.wait(_AGAIN)

    def _tell(self, problem: Exception) -> bool:
        """Note why the watching broke off; False where a full disk does not take the note."""
        id, text = "follow.interrupted", str(problem)
        if not isinstance(problem, LandbridgeError):
            id = "follow.defect"
            text = "The watching failed by a defect of ours and is begun again."
        with suppress(OSError):
            self.task.journal.note(id, text, level="alarm")
            return True
        return False

    def _look(self, ctx: Context, sample: Sample) -> None:
        """Ask for the switchover as soon as the request wants it, once per process."""
        if sample.caught_up and self.task.request.switchover == "auto" and not self._asked:
            entry = self.task.journal.append("signal", name=SWITCHOVER, by="auto")
            ctx.signal(ORDERS, order(SWITCHOVER, at=entry["at"]))
            self._asked = True


def _is_undone(task: Task) -> bool:
    """Whether an undo has begun: what is there no more shall not be repaired in a replay."""
    return any(e["kind"] == "note" and e["id"] == UNDO_BEGUN for e in task.journal.entries())


@contextmanager
def source_awaited(task: Task, ctx: Context, waiting: str, refusals: int) -> Iterator[None]:
    """Knock at the source meanwhile, and tell the body to go on as soon as it answers.

    `waiting` says for what, in the live figures; `refusals` is how often the source has
    answered already and the work failed all the same: each makes the next attempt later.
    """
    since, begun = now(), time.monotonic()

    def knock(stop: threading.Event) -> None:
        pause, knocks = _KNOCK, 0
        # Bounded: a source may refuse for weeks.
        earliest = begun + min(_LONGEST_REFUSAL, _KNOCK * 2 ** min(refusals, 7))
        while True:
            try:
                task.write_live(phase="undoing", waiting=waiting, since=since, knocks=knocks)
                if stop.wait(max(pause, earliest - time.monotonic())):
                    return
                if source_answers(task):
                    ctx.signal(ORDERS, order(RESUME))
                    return
            except Exception:  # a full disk, say: nobody else would knock
                logging.getLogger("dbos").exception("knocking at the source failed")
                if stop.wait(pause):
                    return
            pause, knocks = min(1.5 * pause, _LONGEST_KNOCK), knocks + 1

    with beside("knock", knock):
        yield
