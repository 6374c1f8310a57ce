"""One attempt from the fence to the promotion, in this process."""

from __future__ import annotations

import contextlib
from typing import Any

from ...errors import SwitchoverUndone
from ...postgres.positions import identity
from ..journal import now
from ..states import State
from ..task import Task
from . import Fence, guard
from .attempt import Attempt, Deadline
from .orders import SwitchOrders
from .outcome import end_promotion
from .promotion import Destination
from .proof import before_promotion
from .rivals import claim
from .source import Patience, SourceSide, Stillness
from .undo import account_of, make_fence, undo


def run(task: Task, attempt: Attempt) -> None:
    """Everything up to the promotion; returns when the destination accepts writes.

    What fails on the source is put back before it is raised, over the session that is open.
    """
    deadline = Deadline(attempt.deadline, SwitchOrders(task).check)
    try:
        deadline.check()
        # A fence of a person's stands already, and the guard could not lift it.
        guard.start(task, wait=attempt.fence != "manual")
        # Not before: whoever dies in this state leaves a guard that puts an end to it.
        task.journal.enter(State.FENCING)
        with (
            contextlib.closing(Destination(task.cluster())) as destination,
            contextlib.closing(SourceSide(task, account_of(task, attempt), deadline)) as source,
        ):
            try:
                facts = _drain(task, attempt, source, destination)
            except BaseException as error:
                undo(task, attempt, error, by="worker", source=source)
                raise
            _promote(task, attempt, facts, destination, deadline)
    finally:
        deadline.disarm()


def _drain(
    task: Task, attempt: Attempt, source: SourceSide, destination: Destination
) -> dict[str, Any]:
    """Fence, and drain until the destination has everything; the facts for the record."""
    claim(source.control, task, source.deadline)
    fence = make_fence(task, attempt, source)
    task.journal.append("step", name="fence", phase="begin", fence=attempt.fence)
    fence.prepare()
    _reached(task, "close")
    closing = _close(task, attempt, fence)
    fenced = _reached(task, "fenced")
    still = _stand_still(source, destination)
    _reached(task, "arrived")
    facts = _prove(still, destination)
    fence.check()
    source.deadline.check()
    task.journal.append("step", durable=False, name="fence", phase="end", **facts)
    return {
        **facts,
        "closing": closing,
        "fenced": fenced,
        "drained": _reached(task, "drained"),
        "sessions_terminated": len(source.ended),
        "proved": before_promotion(fence=fence.is_proved, synchronous=fence.is_synchronous),
    }


def _reached(task: Task, name: str) -> str:
    """Say to whoever watches how far this is; returns the moment. Costs 0.05 ms."""
    return str(task.journal.append("moment", durable=False, name=name)["at"])


def _close(task: Task, attempt: Attempt, fence: Fence) -> str:
    """Close the fence; returns when that began, at the first try of this attempt."""
    before = attempt.closing
    if before is None:
        attempt.closing = now()
        attempt.save(task)
    begun = fence.close_writes()
    return min(begun, before or begun)


def _stand_still(source: SourceSide, destination: Destination) -> tuple[Stillness, Stillness]:
    """End sessions and drain, again and again, until nothing has moved meanwhile.

    The source at the fence, and again when the destination had replayed all up to there.
    Raises SwitchoverUndone: switchover.still_writing, switchover.prepared_transactions.
    """
    patience = Patience(source)
    while True:
        source.deadline.check()
        source.terminate()
        # Nobody may move before `settle`, or a commit of theirs could lie behind its position.
        before = source.stillness()
        if not before.movers:
            _refuse_prepared(before)
            point = source.settle()
            destination.drain(point.lsn, source.deadline)
            still = source.stillness()
            if still.next_xid == point.next_xid and not still.movers:
                return point, still
        patience.spend()


def _prove(source: tuple[Stillness, Stillness], destination: Destination) -> dict[str, Any]:
    """Same cluster, same timeline, and nothing that could still be committed on both sides.

    Raises SwitchoverUndone: switchover.other_cluster, switchover.prepared_transactions.
    """
    point, still = source
    there = identity(destination.conn)
    if still.identity != there:
        raise SwitchoverUndone(
            f"the destination follows {there}, the source is {still.identity}",
            id="switchover.other_cluster",
            retryable=False,
        )
    _refuse_prepared(still)
    return {
        "fence_lsn": str(point.lsn),
        "fence_next_xid": point.next_xid,
        "promote_next_xid": still.next_xid,
        "system_identifier": there.system_identifier,
        "timeline_before": there.timeline,
    }


def _refuse_prepared(seen: Stillness) -> None:
    """Raise SwitchoverUndone (switchover.prepared_transactions) if anything is prepared.

    Asked before the fence point too: COMMIT PREPARED takes no transaction id, and is allowed
    in read-only sessions (measured on 15), so that one during the drain would not be seen.
    """
    if seen.prepared:
        raise SwitchoverUndone(
            f"the source has {seen.prepared} prepared transactions, which could be committed"
            " on both sides",
            id="switchover.prepared_transactions",
            remedy="Commit them, or roll them back.",
        )


def _promote(
    task: Task,
    attempt: Attempt,
    facts: dict[str, Any],
    destination: Destination,
    deadline: Deadline,
) -> None:
    task.journal.enter(State.DRAINED, durable=False)
    intent = task.journal.append("step", name="promote", phase="begin", attempt=attempt.id, **facts)
    # The order of the lines decides: who asked to cancel before this one was accepted.
    deadline.check()
    destination.promote()
    end_promotion(task, intent)
