"""What holds a migration up now, and since when: by its journal and its latest figures.

Figures come several times a second, so that old ones are told as old, and nothing in them as
how things are now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...migration.notes import UNDO_BEGUN, UNDO_GIVEN_UP, UNDO_WAITING
from ...migration.orders import is_cancel
from ...migration.procedure import HELD
from ...migration.states import Replication, State

Entry = dict[str, Any]

#: Seconds after which figures that come twice a second are no longer those of now.
_STALE = 10.0
#: Seconds without a byte of the copy.
_STALLED = 4.0
_TRYING = (State.ASSESSING, State.COPYING, State.STARTING)
_STEPS = {"assess": "The checks", "copy": "The copy", "start": "The destination's start"}
_UNKNOWN = "Whether it could switch over now is not known until"


@dataclass(frozen=True)
class Hold:
    """What holds it up, in sentences for its owner, and since when (UTC, ISO 8601)."""

    text: str
    since: str


@dataclass(frozen=True)
class Undoing:
    """Everything is being put back."""

    is_cancel: bool
    """Because somebody asked for that, not because something failed."""
    waits: Hold | None = None
    """What that waits for."""


def hold(state: State, entries: Sequence[Entry], live: dict[str, Any]) -> Hold | None:
    """Why it does not get on; None where it does. `live` are figures as `fresh` tells them."""
    if state is State.SYNCHRONIZING:
        return _lost(live)
    if state in _TRYING:
        return _failing(entries, live) or _stalled(live)
    return None


def undoing(entries: Sequence[Entry]) -> Undoing | None:
    """How it is being put back; None while nobody does that."""
    cancelled = any(map(is_cancel, entries))
    begun = [n for n, e in enumerate(entries) if e.get("id") == UNDO_BEGUN]
    if not begun:
        return Undoing(True) if cancelled else None
    waits = None
    for entry in entries[begun[0] :]:
        if entry.get("id") == UNDO_WAITING:
            since = waits.since if waits else entry["at"]
            text = f"{entry['waiting']}. It is tried again by itself as soon as the source answers."
            waits = Hold(text, since)
        elif entry.get(HELD) == "undo":
            waits = Hold(f"{entry['message']}.", entry["at"])
        elif entry.get("id") == UNDO_GIVEN_UP:
            waits = None
    return Undoing(cancelled, waits)


def fresh(state: State, live: dict[str, Any]) -> dict[str, Any]:
    """The latest figures; of old ones what is true of them still, and their age."""
    if "at" not in live or state not in (State.SYNCHRONIZING, State.COPYING):
        return live
    age = (datetime.now(UTC) - datetime.fromisoformat(live["at"])).total_seconds()
    if state is State.COPYING:
        still = {"rate": 0.0, "eta": None, "age_seconds": round(age)}
        return live | still if age > _STALLED and "copied" in live else live
    if age < _STALE:
        return live
    kept = {name: live[name] for name in ("at", "phase") if name in live}
    return kept | {"state": Replication.DISCONNECT.value, "age_seconds": round(age)}


def _lost(live: dict[str, Any]) -> Hold | None:
    """While it follows: figures that do not come, a source or a stream that is away."""
    if "age_seconds" in live:
        text = f"The latest figures are those of {_clock(live['at'])}. {_UNKNOWN} they come again."
        return Hold(text, live["at"])
    if live.get("source_reachable") is False:
        since = live.get("source_seen") or live["at"]
        text = f"The source has not answered since {_clock(since)}. {_UNKNOWN} it does."
        return Hold(text, since)
    if live.get("state") == Replication.DISCONNECT.value:
        since = live.get("disconnected_since") or live["at"]
        text = f"The destination has lost its stream from the source at {_clock(since)}."
        return Hold(f"{text} {_UNKNOWN} it is back, which is tried all the time.", since)
    return None


def _failing(entries: Sequence[Entry], live: dict[str, Any]) -> Hold | None:
    """A step that failed, and of which nothing has been seen since."""
    since, last = "", None
    for entry in entries:
        if entry["kind"] != "step":
            continue
        if entry["phase"] == "failed":
            since, last = since or entry["at"], entry
        elif entry["phase"] != "begin":
            since, last = "", None
    if last is None or live.get("at", "") > last["at"]:
        return None
    what = _STEPS.get(last["name"], "It")
    text = f"{what} failed: {last['error']['message']}. It is tried again by itself."
    return Hold(text, since)


def _stalled(live: dict[str, Any]) -> Hold | None:
    """A copy of which no byte has arrived for some time."""
    if "age_seconds" not in live or live.get("part") != "copying":
        return None
    return Hold(f"No byte of the copy has arrived since {_clock(live['at'])}.", live["at"])


def _clock(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
