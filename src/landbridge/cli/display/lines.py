"""The same picture as lines for a log: one for each thing that happened."""

from __future__ import annotations

from typing import Any

from ...migration.notes import FENCE_BY_HAND, WORKER_STARTED
from ...migration.states import ROW, State
from .. import units
from . import details
from .view import View

#: Seconds between two lines of figures while nothing else happens.
EVERY = 10.0
#: Step -> the phase of which there is something to say once it has ended.
_STEPS = {
    "assess": State.ASSESSING,
    "copy": State.COPYING,
    "fence": State.FENCING,
    "release": State.PROMOTED,
}


def entry_line(view: View, entry: dict[str, Any]) -> str | None:
    """One journal entry as a line, or None if it says nothing new to a person."""
    text = _text(view, entry)
    return f"{details.clock(entry['at'])}  {text}" if text else None


def _text(view: View, entry: dict[str, Any]) -> str | None:
    kind = entry["kind"]
    if kind == "state":
        state = State(entry["state"])
        if state is State.PROMOTED:
            return "POINT OF NO RETURN: the destination accepts writes, nothing is undone"
        return ROW[state].label
    if kind == "note" and entry.get("id") == FENCE_BY_HAND:
        return _statements(view, entry)
    if kind == "note" and entry.get("id") != WORKER_STARTED:
        level = entry.get("level", "info")
        sign = "" if level == "info" else f"{level}: "
        return f"  {sign}{units.plain(str(entry.get('text', '')))} [{entry.get('id')}]"
    if kind == "error":
        return f"  error: {units.plain(str(entry.get('message', '')))} [{entry.get('id')}]"
    if kind == "step" and entry.get("phase") == "end":
        return _step_text(view, entry)
    if kind == "signal":
        return f"  asked for: {entry.get('signal') or entry.get('name') or entry.get('topic')}"
    return None


def _statements(view: View, entry: dict[str, Any]) -> str:
    """Of a manual fence: statements to be run by hand, one a line."""
    lines = ["run these statements on the source:"]
    lines += [str(statement) for statement in entry["statements"]]
    lines.append(f"then say so with: {details.say_fenced(view)}")
    return "  " + "\n    ".join(lines)


def _step_text(view: View, entry: dict[str, Any]) -> str | None:
    """What a step that has just ended achieved."""
    name = str(entry["name"])
    if name == "verify":
        tables = units.count(int(entry.get("tables", 0)), "table")
        differences = units.count(int(entry.get("differences", 0)), "difference")
        return f"  {tables} compared at {entry.get('lsn')}: {differences}"
    detail = details.phase_detail(view, _STEPS[name]) if name in _STEPS else ""
    if name == "assess":
        detail = "\n    warning: ".join((detail, *details.assessment_warnings(view)))
    return f"  {detail}" if detail else None


def figures_line(view: View) -> str | None:
    """The figures of this moment as a line, or None if there are none."""
    detail = details.phase_detail(view, view.state)
    moves = view.state in (State.COPYING, State.SYNCHRONIZING) or view.waiting is not None
    if not detail or not moves:
        return None
    if (
        view.state is State.SYNCHRONIZING
        and view.waiting is None
        and (wal := details.wal_kept(view.live))
    ):
        # While nothing lags, the milliseconds of it are no news.
        detail = "caught up" if view.live.get("caught_up") else detail
        detail += f"; WAL kept on the source: {wal}"
    if view.waiting is not None:
        # How often it asked is no news each time.
        detail = details.waiting(view.waiting, {})
    at = view.live.get("at")
    return f"{details.clock(at)}    {detail}" if at else None
