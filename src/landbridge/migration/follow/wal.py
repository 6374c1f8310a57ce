"""The budget of WAL that our slot may keep on the source, watched as long as there is a slot.

The source's disk is in danger whatever we are doing: a copy over a slow line, a comparison
or a task that waits for a person hold WAL back as well as a cut line does. So one watcher
runs beside all of it, from the copy to the promotion, for as long as a worker lives.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg

from ...errors import FollowFailed, LandbridgeError
from ...postgres.slots import drop_slot
from ..fence.attempt import Attempt
from ..journal import Journal
from ..states import State
from ..task import Task
from .sample import Rate
from .source import SlotView, SourceWatch

#: Shares of the budget that are worth an alarm, once each.
_THRESHOLDS = (0.5, 0.8, 1.0)
#: What the source may still write until we have dropped the slot, in seconds of its pace.
_AHEAD = 3.0
#: Seconds between two looks.
_EVERY = 0.5
#: Id of the note that precedes the drop; with it in the journal nobody makes the slot again.
_SPENT = "follow.wal_budget_spent"
_NEEDS_NO_SLOT = (State.DRAINED, State.PROMOTED, State.FINISHED)


def guard_slot(task: Task, stop: threading.Event) -> None:
    """Watch until `stop` what our slot keeps on the source; alarms go to the journal.

    Raises FollowFailed (follow.wal_budget_exceeded) when, to protect the source, the slot
    was dropped: now, or by a worker before. A source that does not answer is asked again;
    meanwhile nobody can drop anything there.
    """
    request = task.request
    guard = WalGuard(
        request.wal_budget,
        protect_source=request.wal_policy == "protect-source",
        journal=task.journal,
    )
    source = SourceWatch(task.conninfo(), task.slot, request.system_identifier, sessions=False)
    long, short = Rate(), Rate(5.0)
    try:
        while not stop.is_set():
            refuse_spent(task)
            if not _is_at_stake(task):
                source.close()
                stop.wait(_EVERY)
                continue
            try:
                view = source.read()
                for rate in (long, short):
                    rate.add(view.moment, view.lsn)
                pace = max(long.per_second, short.per_second)
                kept = view.kept
                is_spent = view.slot and kept is not None and guard.must_drop(kept, pace, view.slot)
                # A switchover may have begun since.
                if is_spent and kept is not None and _is_at_stake(task):
                    _spend(task, source, kept)
            except FollowFailed:
                raise
            except (LandbridgeError, psycopg.Error):
                source.close()
            stop.wait(_EVERY)
    finally:
        source.close()


def _is_at_stake(task: Task) -> bool:
    """Whether there is a slot, and a source that may be written: no switchover has begun, or
    it waits for a person to fence the source."""
    state = task.state
    if state is State.FENCING:
        return task.request.fence == "manual" and Attempt.load(task) is None
    return state in (State.COPYING, State.STARTING, State.SYNCHRONIZING)


def refuse_spent(task: Task) -> None:
    """Raise FollowFailed (follow.wal_budget_exceeded) if the slot was dropped for the source.

    Not once the destination has every write: it needs the slot no more.
    """
    if task.state in _NEEDS_NO_SLOT:
        return
    for entry in task.journal.entries():
        if entry.get("id") == _SPENT:
            raise FollowFailed(
                f"the source kept {entry['kept'] // 2**20} MB of WAL for the destination; the"
                " slot was dropped to protect the source",
                id="follow.wal_budget_exceeded",
                remedy="Begin another migration when the line is better, with a larger"
                " --wal-budget or --wal-policy protect-migration.",
            )


def _spend(task: Task, source: SourceWatch, kept: int) -> None:
    try:
        task.journal.note(
            _SPENT,
            f"The source keeps {kept // 2**20} MB of WAL, all that it may: the slot {task.slot} is"
            " dropped, and with it this migration ends.",
            level="alarm",
            kept=kept,
        )
    finally:  # the source's disk counts, also where ours is full and takes no note
        # Should this fail, the undo that follows drops it.
        drop_slot(source.connection(), task.slot)
    refuse_spent(task)


def allowed(budget: int, kept: int, slot: SlotView) -> int:
    """Bytes that may be kept: ours, or less if the source breaks the slot earlier (13+)."""
    if slot.safe_bytes is None:
        return budget
    return max(0, min(budget, kept + slot.safe_bytes))


class WalGuard:
    """Alarms as the budget is used up; says when the slot has to go to protect the source."""

    def __init__(self, budget: int, *, protect_source: bool, journal: Journal) -> None:
        self._budget = budget
        self._protect_source = protect_source
        self._journal = journal
        self._alarmed = 0.0

    def must_drop(self, kept: int, rate: float, slot: SlotView) -> bool:
        """Raise the alarm for each threshold passed; whether the slot has to be dropped now.

        `kept` in bytes, `rate` in bytes per second. The source's own limit is no reason to
        drop: there the source protects itself.
        """
        budget = allowed(self._budget, kept, slot)
        share = kept / budget if budget else 1.0
        passed = [t for t in _THRESHOLDS if self._alarmed < t <= share]
        if passed:
            with suppress(OSError):  # a full disk of ours; said once it takes the note
                self._journal.repeat(
                    "follow.wal_budget",
                    f"The source keeps {kept // 2**20} MB of WAL for the destination:"
                    f" {share:.0%} of what it may.",
                    level="alarm" if passed[-1] > _THRESHOLDS[0] else "warning",
                    kept=kept,
                    budget=budget,
                )
                self._alarmed = passed[-1]
        elif share < _THRESHOLDS[0] / 2:
            self._alarmed = 0.0
        return self._protect_source and kept + rate * _AHEAD >= self._budget
