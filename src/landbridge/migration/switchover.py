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
the guard (guard.py). What happened is then decided by looking at the destination.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from ..errors import LandbridgeError, SwitchoverUndone
from ..postgres.positions import identity
from . import guard
from .fence import Fence
from .fence.attempt import Attempt, Deadline, folder, switch_lock
from .fence.promotion import Destination, promoted
from .fence.source import FencePoint, Patience, SourceSide
from .fence.undo import account_of, drop_notice, make_fence, settle_attempt, take_notice, undo
from .journal import now
from .states import State
from .task import Task, read_json, write_json

#: Seconds within which the source must be released after a promotion.
_RELEASE_WITHIN = 30.0


@dataclass(frozen=True)
class SwitchoverResult:
    """What a completed switchover did; times in UTC, ISO 8601."""

    fence: str
    fence_lsn: str
    """Everything that the source ever acknowledged lies before it."""
    fence_next_xid: int
    promote_next_xid: int
    """Next transaction id of the source immediately before the promotion: the same."""
    system_identifier: str
    timeline_before: int
    timeline_after: int
    started: str
    fenced: str
    drained: str
    promoted: str
    released: str | None
    """None: something of the fence had to stay; the journal says what and why."""
    write_outage_ms: float
    """From just before the source was told to refuse writes until the destination was seen
    to accept them; an upper bound when the process died in between."""
    sessions_terminated: int
    undo_possible_until: str
    """The point of no return."""
    diverged: list[dict[str, Any]] = field(default_factory=list)
    """Transactions that the source committed and the destination does not have."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def switch_over(task: Task) -> SwitchoverResult:
    """Switch over within the task's time limit, or put everything back.

    The same call made again after a crash continues the attempt, undoes it when its time
    is over, or completes what follows a promotion. Raises SwitchoverRefused (nothing was
    changed), SwitchoverUndone (the source is writable as before), or LandbridgeError
    (switchover.undo_pending: the source does not answer, the guard keeps trying).
    """
    with switch_lock(task):
        if (done := read_json(folder(task) / "result.json")) is not None:
            return SwitchoverResult(**done)
        attempt = Attempt.load(task)
        if attempt and attempt.intent(task) and promoted(task.cluster()):
            return _complete(task, attempt)
        if attempt is None:
            if notice := take_notice(task):
                raise SwitchoverUndone(
                    f"{notice['reason']}; put back by the {notice['by']}",
                    id="switchover.time_limit",
                )
            attempt = Attempt.begin(task)
        else:
            attempt.adopt(task)
        try:
            _run(task, attempt)
        except BaseException as error:
            if not (attempt.intent(task) and promoted(task.cluster())):
                undo(task, attempt, by="worker", reason=_words(error))
                raise _as_undone(error) from None
        return _complete(task, attempt)


def lift_leftovers(task: Task) -> None:
    """Put back whatever a crashed attempt left on the source.

    Raises LandbridgeError: switchover.undo_pending when the source does not answer,
    switchover.promoted when the destination is promoted and nothing can be put back.
    """
    with switch_lock(task):
        drop_notice(task)
        if settle_attempt(task, by="cancellation"):
            raise LandbridgeError(
                "the destination is promoted: the switchover cannot be put back",
                id="switchover.promoted",
                remedy="Continue with `landbridge resume`.",
            )


def _run(task: Task, attempt: Attempt) -> None:
    """Everything up to the promotion; returns when the destination accepts writes."""
    task.journal.enter(State.FENCING)
    deadline = Deadline(attempt.deadline)
    destination = Destination(task.cluster())
    try:
        deadline.check()
        source = SourceSide(task, account_of(task), deadline)
        try:
            _Attempt(task, attempt, source, destination, deadline).run()
        finally:
            source.close()
    finally:
        deadline.disarm()
        destination.close()


class _Attempt:
    """The steps of one attempt with its open sessions."""

    def __init__(
        self,
        task: Task,
        attempt: Attempt,
        source: SourceSide,
        destination: Destination,
        deadline: Deadline,
    ) -> None:
        self.task, self.attempt, self.deadline = task, attempt, deadline
        self.source, self.destination = source, destination
        self.fence: Fence = make_fence(task, attempt, source)
        self.terminated = 0

    def run(self) -> None:
        guard.start(self.task)
        self._log("fence", "begin", fence=self.attempt.fence)
        self.fence.prepare()
        closing = now()
        self.fence.close_writes()
        fenced = now()
        point = self._stand_still()
        self._log("fence", "end", lsn=str(point.lsn), next_xid=point.next_xid)
        facts = self._prove(point)
        self.task.journal.enter(State.DRAINED, durable=False)
        self.task.journal.append(
            "step", name="promote", phase="begin", closing=closing, fenced=fenced,
            drained=now(), terminated=self.terminated, **facts,
        )  # fmt: skip
        self.destination.promote()
        self._log("promote", "end")

    def _stand_still(self) -> FencePoint:
        """End sessions and drain, again and again, until nothing has moved meanwhile."""
        patience = Patience()
        while True:
            self.terminated += self.source.terminate()
            still = self.source.stillness()
            if still.writers:
                patience.spend(still)
                continue
            point = self.source.settle()
            self.destination.drain(point.lsn, self.deadline)
            still = self.source.stillness()
            if still.next_xid == point.next_xid and not still.writers:
                return point
            patience.spend(still)

    def _prove(self, point: FencePoint) -> dict[str, Any]:
        """Same cluster, same timeline, and still nothing has moved; the facts for the record."""
        before = identity(self.source.control)
        after = identity(self.destination.conn)
        if before != after:
            raise SwitchoverUndone(
                f"the destination follows {after}, the source is {before}",
                id="switchover.other_cluster",
                retryable=False,
            )
        self.fence.check()
        still = self.source.stillness()
        if still.prepared:
            raise SwitchoverUndone(
                f"{still.prepared} prepared transactions appeared on the source",
                id="switchover.prepared_transactions",
            )
        if still.next_xid != point.next_xid or still.writers:
            raise SwitchoverUndone(
                f"the source was written to after it was fenced, by {still.who()}",
                id="switchover.still_writing",
            )
        self.deadline.check()
        return {
            "lsn": str(point.lsn), "next_xid": point.next_xid, "promote_xid": still.next_xid,
            "system_identifier": before.system_identifier, "timeline": before.timeline,
        }  # fmt: skip

    def _log(self, name: str, phase: str, **facts: Any) -> None:
        self.task.journal.append("step", durable=False, name=name, phase=phase, **facts)


def _complete(task: Task, attempt: Attempt) -> SwitchoverResult:
    """What follows a promotion, once: release the source, look for divergence, the result."""
    intent = attempt.intent(task)
    assert intent is not None
    ended = _promote_end(task, attempt) or task.journal.append("step", name="promote", phase="end")
    task.journal.enter(State.PROMOTED)
    destination = Destination(task.cluster())
    timeline = identity(destination.conn).timeline
    destination.close()
    released, diverged = _release(task, attempt, intent)
    result = SwitchoverResult(
        fence=attempt.fence,
        fence_lsn=intent["lsn"],
        fence_next_xid=intent["next_xid"],
        promote_next_xid=intent["promote_xid"],
        system_identifier=intent["system_identifier"],
        timeline_before=intent["timeline"],
        timeline_after=timeline,
        started=attempt.started,
        fenced=intent["fenced"],
        drained=intent["drained"],
        promoted=ended["at"],
        released=released,
        write_outage_ms=_milliseconds(intent["closing"], ended["at"]),
        sessions_terminated=intent["terminated"],
        undo_possible_until=intent["at"],
        diverged=diverged,
    )
    write_json(folder(task) / "result.json", result.as_dict())
    attempt.close(task)
    return result


def _release(
    task: Task, attempt: Attempt, intent: dict[str, Any]
) -> tuple[str | None, list[dict[str, Any]]]:
    """Release the source; never fails, because the destination is in charge already."""
    journal = task.journal
    deadline = Deadline(time.time() + _RELEASE_WITHIN)
    try:
        source = SourceSide(task, account_of(task), deadline)
        try:
            complete = make_fence(task, attempt, source).release()
            grown = source.stillness().next_xid - intent["promote_xid"]
        finally:
            source.close()
    except (LandbridgeError, psycopg.Error) as error:
        journal.note(
            "switchover.source_not_released",
            f"The source could not be released from its fence: {_words(error)}",
            level="alarm",
        )
        return None, []
    finally:
        deadline.disarm()
    return (now() if complete else None), [{"grown": grown}] if grown else []


def _promote_end(task: Task, attempt: Attempt) -> dict[str, Any] | None:
    entries = (e for e in task.journal.entries() if e["at"] >= attempt.started)
    ends = (e for e in entries if (e.get("name"), e.get("phase")) == ("promote", "end"))
    return next(ends, None)


def _milliseconds(begin: str, end: str) -> float:
    spent = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    return round(spent.total_seconds() * 1000, 1)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _as_undone(error: BaseException) -> BaseException:
    """What the caller sees for whatever ended an attempt that was put back."""
    if isinstance(error, psycopg.Error | OSError | LandbridgeError) and not isinstance(
        error, SwitchoverUndone
    ):
        return SwitchoverUndone(
            f"the switchover was put back: {_words(error)}", id="switchover.failed"
        )
    return error
