"""The switchover: fence the source, drain, prove, promote - or put everything back.

::

    prepare    the fence's part that clients do not notice
    close      new transactions cannot write any more      <- the write outage begins
    end        sessions that may still write are ended, until nothing moves
    drain      the destination replays up to exactly there
    prove      same cluster, same timeline, nothing moved since
    intent     one durable line in the journal: from here on only forward
    promote    the destination accepts writes              <- the write outage ends
    release    what the fence need not keep; the source stays read-only

Whoever dies on the way is replaced: by the same call made again, or at the deadline by
the guard (fence/guard.py). What happened is then decided by looking at the destination.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from ..beside import beside
from ..errors import FollowFailed, LandbridgeError, SwitchoverRefused
from .fence.attempt import Attempt
from .fence.guardrails import preflight
from .fence.manual import forget_word, wait_for_person, word_given
from .fence.orders import SwitchOrders
from .fence.outcome import complete
from .fence.rail import Guardrail
from .fence.result import SwitchoverResult
from .fence.run import run
from .fence.undo import (
    UNDO_PENDING,
    already_promoted,
    as_undone,
    drop_notice,
    settle_attempt,
    settle_destination,
    take_notice,
    undo,
)
from .locks import switch_lock
from .states import State
from .task import Task

__all__ = ["Guardrail", "SwitchoverResult", "lift_leftovers", "preflight", "switch_over"]

#: Seconds before following again after it broke off.
_AGAIN = 5.0


def switch_over(task: Task, check_stop: Callable[[], None] = lambda: None) -> SwitchoverResult:
    """Switch over within the task's time limit, or put everything back.

    The same call made again after a crash continues the attempt, undoes it when its time
    is over, or completes what follows a promotion. `check_stop` may raise to end the wait
    for a person's fence. Raises SwitchoverRefused (nothing was changed), SwitchoverUndone or
    MigrationCancelled (the source is as before), or LandbridgeError (switchover.undo_pending:
    the source does not answer, the guard keeps trying).
    """
    with switch_lock(task):
        if (done := SwitchoverResult.load(task)) is not None:
            return done
        attempt = Attempt.load(task)
        if attempt and settle_destination(task, attempt):
            return complete(task, attempt)
        if attempt:
            attempt.adopt(task)
        else:
            attempt = _begin(task, check_stop)
        try:
            run(task, attempt)
        except BaseException as error:
            if Attempt.load(task) is None:
                raise as_undone(error) from None
            if isinstance(error, LandbridgeError) and error.id == UNDO_PENDING:
                raise
            if not settle_destination(task, attempt):
                undo(task, attempt, error, by="worker")
                raise as_undone(error) from None
        return complete(task, attempt)


def lift_leftovers(task: Task) -> None:
    """Put back whatever a crashed attempt left on the source.

    Raises LandbridgeError: switchover.undo_pending when the source does not answer,
    switchover.promoted when the destination is promoted and nothing can be put back.
    """
    with switch_lock(task):
        drop_notice(task)
        forget_word(task)
        if settle_attempt(task, by="cancellation"):
            raise already_promoted()


def _begin(task: Task, check_stop: Callable[[], None]) -> Attempt:
    """A new attempt, unless the one that the caller was working on was put back meanwhile."""
    if (told := take_notice(task)) is not None:
        raise told
    orders = SwitchOrders(task)
    orders.check()
    for rail in preflight(task):
        if rail.blocks:
            raise SwitchoverRefused(rail.text, id=rail.id, remedy=rail.remedy)
    if task.request.fence == "manual":
        task.journal.enter(State.FENCING)
        with _followed(task) as check_followed:

            def check() -> None:
                check_stop()
                orders.check()
                check_followed()

            wait_for_person(task, check)
        return Attempt.begin(task, since=word_given(task))
    return Attempt.begin(task)


@contextmanager
def _followed(task: Task) -> Iterator[Callable[[], None]]:
    """Go on following meanwhile: a person may take hours, and the source keeps WAL for us.

    Yields what raises FollowFailed once the destination cannot follow any more.
    """
    from .follow import Follower

    failures: list[FollowFailed] = []

    def follow(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                Follower(task).run(stop)
            except FollowFailed as error:
                failures.append(error)
                return
            except (LandbridgeError, psycopg.Error, OSError):
                stop.wait(_AGAIN)

    def check() -> None:
        if failures:
            raise failures[0]

    with beside("follow", follow):
        yield check
