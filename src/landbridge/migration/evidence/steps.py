"""Steps with begin, end and outcome, paired from the entries of a journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any

Entry = dict[str, Any]


class Outcome(Enum):
    """How a step ended."""

    DONE = "done"
    """It reached its end."""
    FAILED = "failed"
    """It raised an error; its undo follows, or another attempt."""
    UNDONE = "undone"
    """It was put back."""
    INTERRUPTED = "interrupted"
    """The tool ended in the middle; the step was begun again later."""
    UNFINISHED = "unfinished"
    """It has neither ended nor been put back."""


_ENDS = {"end": Outcome.DONE, "failed": Outcome.FAILED, "undone": Outcome.UNDONE}
_OWN = {"at", "kind", "name", "phase"}


def steps(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """All steps in the order they began: name, begin, end, seconds, outcome, lsn, facts.

    `begin` or `end` is None where the journal has only the other. `facts` are those of
    both entries. A step that was undone after its end counts as undone, and keeps its end.
    """
    found: list[dict[str, Any]] = []
    for entry in entries:
        if entry.get("kind") != "step":
            continue
        name, phase = str(entry["name"]), entry["phase"]
        current = next((s for s in reversed(found) if s["name"] == name), None)
        is_open = current is not None and current["outcome"] is Outcome.UNFINISHED
        if phase == "begin":
            if current is not None and is_open:
                current["outcome"] = Outcome.INTERRUPTED
            found.append(_new(name, entry["at"], entry))
            continue
        if current is None or not (is_open or phase == "undone"):
            current = _new(name, None, entry)
            found.append(current)
        current["end"] = current["end"] or entry["at"]
        current["outcome"] = _ENDS[phase]
        current["facts"] |= _facts(entry)
    for step in found:
        step["outcome"] = step["outcome"].value
        step["seconds"] = between(step["begin"], step["end"])
        step["lsn"] = _lsn(step["facts"])
    return found


def between(begin: str | None, end: str | None) -> float | None:
    """Seconds from one time of the journal to another."""
    if begin is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 6)


def _new(name: str, begin: str | None, entry: Entry) -> dict[str, Any]:
    return {
        "name": name, "begin": begin, "end": None, "seconds": None,
        "outcome": Outcome.UNFINISHED, "lsn": None, "facts": _facts(entry),
    }  # fmt: skip


def _facts(entry: Entry) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k not in _OWN}


def _lsn(facts: dict[str, Any]) -> str | None:
    """The position that belongs to a step: `lsn`, or the first fact named so."""
    names = ["lsn", *(k for k in facts if k.endswith("_lsn"))]
    return next((str(facts[k]) for k in names if facts.get(k)), None)
