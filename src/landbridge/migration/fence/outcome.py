"""What follows a promotion: the source released, divergence looked for, the result kept."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from ...errors import LandbridgeError, ServerFailed
from ...postgres.lsn import Lsn
from ...postgres.positions import identity, in_recovery
from ...postgres.process import wait_until
from ...postgres.units import count
from ..divergence import branch_of, diverged
from ..journal import now
from ..locks import switch_lock
from ..states import State
from ..task import Task
from .attempt import Attempt, Deadline
from .proof import Proof, nothing_proved
from .reopen import left, reopening
from .result import OutageFrom, SwitchoverResult, milliseconds
from .source import SourceSide
from .undo import account_of, lift_statements, make_fence

#: Seconds within which the source must answer after a promotion.
_WITHIN = 30.0
#: Seconds before a source that did not answer is asked again.
_AGAIN = 2.0
#: Diverged commits that a message names; the result has them all.
_NAMED = 5


def complete(task: Task, attempt: Attempt) -> SwitchoverResult:
    """Write down that the destination is promoted, and put the source to rest.

    The source never makes this fail: the destination is in charge already. What could
    not be done there is tried again by `rest_late`, for which the attempt stays open.
    """
    cluster = task.cluster()
    with cluster.connect_warily() as conn:
        if not wait_until(lambda: not in_recovery(conn), _WITHIN):
            raise ServerFailed(f"the destination is still recovering: {cluster.last_words()}")
        timeline = identity(conn).timeline
    before, fork = branch_of(cluster, timeline)
    intent = attempt.intent(task) or _by_another(task, attempt, before, fork)
    ended = _promotion_end(task, attempt) or end_promotion(task, intent)
    task.journal.enter(State.PROMOTED)
    task.journal.append("step", name="release", phase="begin", fork_lsn=str(fork))
    rest = _put_to_rest(task, attempt, fork, intent["timeline_before"])
    task.journal.append("step", name="release", phase="end")
    result = SwitchoverResult(
        fence=attempt.fence,
        fence_lsn=intent["fence_lsn"],
        fence_next_xid=intent["fence_next_xid"],
        promote_next_xid=intent["promote_next_xid"],
        system_identifier=intent["system_identifier"],
        timeline_before=intent["timeline_before"],
        timeline_after=timeline,
        started=attempt.started,
        fenced=intent["fenced"],
        drained=intent["drained"],
        promoted=ended["at"],
        released=now(),
        write_outage_ms=ended["write_outage_ms"],
        sessions_terminated=intent["sessions_terminated"],
        undo_possible_until=intent["at"],
        write_outage_from=OutageFrom.of(
            attempt.fence, is_proved=intent["proved"][Proof.FENCE.value]
        ).value,
        proved=intent["proved"],
    )
    result = _with_rest(result, attempt, rest)
    result.save(task)
    if rest is not None:
        attempt.close(task)
    return result


def _with_rest(result: SwitchoverResult, attempt: Attempt, rest: Rest | None) -> SwitchoverResult:
    """The result with what is known of the source now."""
    fenced = result.proved[Proof.FENCE.value]
    return replace(
        result,
        released=now(),
        diverged=None if rest is None else rest.diverged,
        proved=result.proved | {Proof.LATER_COMMITS.value: rest is not None},
        source_left=left(attempt, fenced=fenced),
        reopen=reopening(attempt, fenced=fenced, released=rest is not None and rest.released),
    )


def rest_late(task: Task) -> list[str]:
    """Put the source to rest, and look for divergence, unless both were done already.

    Tries for half a minute. Returns the statements that remain to be run on the source when
    it still does not answer; that is said in the journal as an alarm.
    """
    with switch_lock(task):
        attempt, result = Attempt.load(task), SwitchoverResult.load(task)
        if attempt is None or result is None:
            return []
        before, fork = branch_of(task.cluster(), result.timeline_after)
        end = time.monotonic() + _WITHIN
        while (rest := _put_to_rest(task, attempt, fork, before)) is None:
            if time.monotonic() > end:
                break
            time.sleep(_AGAIN)
        wanted = lift_statements(task, attempt, to_rest=True) if rest is None else []
        if rest is None:
            task.journal.note(
                "switchover.source_not_looked_at",
                "The source has not answered since the promotion. It was not searched for later"
                f" commits, and its fence stands as it was. Run there: {' '.join(wanted)}",
                level="alarm",
                statements=wanted,
            )
        _with_rest(result, attempt, rest).save(task)
        attempt.close(task)
        return wanted


def _by_another(task: Task, attempt: Attempt, timeline: int, fork: Lsn) -> dict[str, Any]:
    """What stands for the line of intent when somebody else promoted the destination."""
    task.journal.note(
        "switchover.promoted_by_another",
        "Somebody else promoted the destination during the switchover, before it was proved to"
        " have every write. The source is not made writable again. Look whether it refuses"
        " writes; what it committed after the fork is listed as diverged.",
        level="alarm",
    )
    moment = now()
    return task.journal.append(
        "step",
        name="promote",
        phase="begin",
        attempt=attempt.id,
        by="another",
        fence_lsn=str(fork),
        fence_next_xid=0,
        promote_next_xid=0,
        system_identifier=task.request.system_identifier,
        timeline_before=timeline,
        closing=attempt.closing or moment,
        fenced=moment,
        drained=moment,
        sessions_terminated=0,
        proved=nothing_proved(),
    )


def end_promotion(task: Task, intent: dict[str, Any]) -> dict[str, Any]:
    """Journal that the destination was seen to accept writes; returns the entry."""
    return task.journal.append(
        "step",
        durable=False,
        name="promote",
        phase="end",
        write_outage_ms=milliseconds(intent["closing"], now()),
        attempt=intent["attempt"],
    )


def _promotion_end(task: Task, attempt: Attempt) -> dict[str, Any] | None:
    entries = (e for e in task.journal.entries() if e.get("attempt") == attempt.id)
    ends = (e for e in entries if (e.get("name"), e.get("phase")) == ("promote", "end"))
    return next(ends, None)


@dataclass(frozen=True)
class Rest:
    """The source after a promotion."""

    diverged: list[dict[str, Any]]
    released: bool
    """Whether all was taken back that need not stay."""


def _put_to_rest(task: Task, attempt: Attempt, fork: Lsn, timeline: int) -> Rest | None:
    """Release the fence and look for divergence; None when the source did not let us do so."""
    deadline = Deadline(time.time() + _WITHIN)
    try:
        with closing(SourceSide(task, account_of(task, attempt), deadline)) as source:
            kept = make_fence(task, attempt, source).release()
            source.wait_flushed()
            found = diverged(task, source.control, fork, timeline)
    except (LandbridgeError, psycopg.Error) as error:
        task.journal.note(
            "switchover.source_away",
            "After the promotion the source did not answer, so it was not yet released from its"
            f" fence, nor searched for later commits: {' '.join(str(error).split())}",
            level="warning",
        )
        return None
    finally:
        deadline.disarm()
    if kept:
        task.journal.note("switchover.fence_kept", f"{kept}.", level="warning")
    if found:
        task.journal.note(
            "switchover.diverged",
            f"The source committed {count(len(found), 'transaction')} after the fork at {fork} that"
            " the destination does not have; none that waited for the destination was"
            f" acknowledged: {_named(found)}.",
            level="alarm",
            diverged=found,
        )
    return Rest(found, released=not kept)


def _named(commits: list[dict[str, Any]]) -> str:
    named = [f"{c['xid']} at {c['lsn']} ({c['at']})" for c in commits[:_NAMED]]
    more = len(commits) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
