"""How a status of the API looks: calm, good, in need of attention, bad."""

from __future__ import annotations

from enum import Enum


class Tone(Enum):
    """The colour of a status; always beside its word, never instead of it."""

    GOOD = "good"
    CALM = "calm"
    """Under way: nothing is to be done."""
    WARN = "warn"
    BAD = "bad"
    SOFT = "soft"
    """Over or empty."""


_TONES = {
    Tone.GOOD: ("Active", "Available", "Attached", "InUse", "Running", "Successful", "Success",
                "Normal", "Finished", "ReadyToSwitch", "ok", "pass", "done"),
    Tone.WARN: ("Idle", "Stopped", "LockByDiskQuota", "Inactive", "Cancelled", "warning",
                "ReadinessUnknown", "refused", "timeout", "not-whitelisted", "unreachable",
                "undone", "interrupted"),
    Tone.BAD: ("Failed", "FinancialLocked", "Expired", "error", "alarm"),
    Tone.SOFT: ("info",),
}  # fmt: skip
_BY_WORD = {word.lower(): tone for tone, words in _TONES.items() for word in words}


_WORDS = {
    "ReadyToSwitch": "Ready to switch",
    "ReadinessUnknown": "Readiness unknown",
    "PuttingBack": "Putting back",
    "unfinished": "under way",
}


def words(status: str) -> str:
    """A status of the API as people write it."""
    return _WORDS.get(status, status)


def tone(status: str | None) -> str:
    """The tone of a status of the API: its class in the style sheet."""
    if not status:
        return Tone.SOFT.value
    return _BY_WORD.get(status.lower(), Tone.CALM).value
