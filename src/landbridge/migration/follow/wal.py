"""The budget of WAL that our slot may keep on the source."""

from __future__ import annotations

from ..journal import Journal
from .source import SlotView

#: Shares of the budget that are worth an alarm, once each.
_THRESHOLDS = (0.5, 0.8, 1.0)
#: What the source may still write until we have dropped the slot, in seconds of its pace.
_AHEAD = 3.0


class WalGuard:
    """Alarms as the budget is used up; says when the slot has to go to protect the source."""

    def __init__(self, budget: int, *, protect_source: bool, journal: Journal) -> None:
        self._budget = budget
        self._protect_source = protect_source
        self._journal = journal
        self._alarmed = 0.0

    def budget(self, kept: int, slot: SlotView) -> int:
        """Bytes that may be kept: ours, or less if the source breaks the slot earlier (13+)."""
        if slot.safe_bytes is None:
            return self._budget
        return max(0, min(self._budget, kept + slot.safe_bytes))

    def must_drop(self, kept: int, rate: float, slot: SlotView) -> bool:
        """Raise the alarm for each threshold passed; whether the slot has to be dropped now.

        `kept` in bytes, `rate` in bytes per second. The source's own limit is no reason to
        drop: there the source protects itself.
        """
        budget = self.budget(kept, slot)
        share = kept / budget if budget else 1.0
        passed = [t for t in _THRESHOLDS if self._alarmed < t <= share]
        if passed:
            self._alarmed = passed[-1]
            self._journal.note(
                "follow.wal_budget",
                f"The source keeps {kept // 2**20} MB of WAL for the destination:"
                f" {share:.0%} of what it may.",
                level="alarm" if passed[-1] > _THRESHOLDS[0] else "warning",
                kept=kept,
                budget=budget,
            )
        elif share < _THRESHOLDS[0] / 2:
            self._alarmed = 0.0
        return self._protect_source and kept + rate * _AHEAD >= self._budget
