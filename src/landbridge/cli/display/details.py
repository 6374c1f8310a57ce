"""Figures put into words: one short sentence for each phase, from the facts there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...migration.states import State
from .. import units
from .view import View


def phase_detail(view: View, state: State) -> str:
    """What there is to say about one phase; empty before it begins."""
    if state not in view.entered:
        return ""
    live = view.live if view.state is state else {}
    return _DETAILS[state](view, live)


def _assessing(view: View, _live: dict[str, Any]) -> str:
    report = view.attachment("assessment")
    if report is None:
        return ""
    levels = [finding.get("level") for finding in report.get("findings", ())]
    parts = [units.count(levels.count("error"), "error")]
    parts.append(units.count(levels.count("warning"), "warning"))
    return ", ".join(parts)


def _copying(view: View, live: dict[str, Any]) -> str:
    done = view.steps.get("copy")
    if done is None:
        return copy_progress(live)
    parts = [units.size(done.get("bytes"))]
    if done.get("seconds"):
        parts.append(f"at {units.rate(done['bytes'] / done['seconds'])}")
    if done.get("compression"):
        parts.append(str(done["compression"]))
    wire = done.get("wire_bytes")
    if wire and wire < 0.95 * (done.get("bytes") or 0):
        parts.append(f"{units.size(wire)} over the wire")
    return ", ".join(parts)


def copy_progress(live: dict[str, Any]) -> str:
    """The copy under way: how much, how fast, how long to go."""
    if live.get("copied") is None:
        return ""
    parts = [units.size(live["copied"])]
    if live.get("total"):
        parts[0] += f" of {units.size(live['total'])}"
    if live.get("rate"):
        parts.append(units.rate(live["rate"]))
    if live.get("eta") is not None:
        parts.append(f"{units.duration(live['eta'])} left")
    if live.get("compression"):
        parts.append(str(live["compression"]))
    return ", ".join(parts)


def _starting(_view: View, _live: dict[str, Any]) -> str:
    return ""


def _synchronizing(view: View, live: dict[str, Any]) -> str:
    if live.get("disconnected_since"):
        return f"disconnected since {clock(live['disconnected_since'])}; connects again by itself"
    if live.get("replay_paused"):
        return f"replay is paused: {live['replay_paused']}"
    if live.get("lag_bytes") is None:
        return ""
    lag = f"lag {units.size(live['lag_bytes'])}"
    if live.get("lag_seconds") is not None:
        lag += f", {units.duration(live['lag_seconds'])}"
    return lag + (", caught up" if live.get("caught_up") else "")


def _fencing(view: View, live: dict[str, Any]) -> str:
    return f"fence {view.request.fence}" + (
        f", {units.count(live['sessions'], 'session')}" if live.get("sessions") else ""
    )


def _drained(view: View, _live: dict[str, Any]) -> str:
    done = view.steps.get("drain", {})
    return f"at {done['fence_lsn']}" if done.get("fence_lsn") else ""


def _promoted(view: View, _live: dict[str, Any]) -> str:
    done = view.steps.get("promote", {})
    if done.get("write_outage_ms") is None:
        return ""
    return f"no server took writes for {units.milliseconds(done['write_outage_ms'])}"


def _finished(_view: View, _live: dict[str, Any]) -> str:
    return ""


_DETAILS: dict[State, Callable[[View, dict[str, Any]], str]] = {
    State.ASSESSING: _assessing,
    State.COPYING: _copying,
    State.STARTING: _starting,
    State.SYNCHRONIZING: _synchronizing,
    State.FENCING: _fencing,
    State.DRAINED: _drained,
    State.PROMOTED: _promoted,
    State.FINISHED: _finished,
}


def wal_kept(live: dict[str, Any]) -> str:
    """WAL that our slot keeps on the source, and for how long that can go on."""
    if live.get("wal_kept_bytes") is None:
        return ""
    text = units.size(live["wal_kept_bytes"])
    if live.get("wal_budget_bytes"):
        text += f" of {units.size(live['wal_budget_bytes'])}"
    if live.get("wal_rate"):
        text += f", source writes {units.rate(live['wal_rate'])}"
    if live.get("wal_hours_left") is not None:
        text += f", {units.duration(live['wal_hours_left'] * 3600)} left without us"
    return text


def transactions(live: dict[str, Any]) -> list[str]:
    """What a switchover would end (long transactions) or be refused for (prepared ones)."""
    found = [
        f"transaction of {t.get('user')} in {t.get('database')}, pid {t.get('pid')}, open for"
        f" {units.duration(t.get('age_seconds'))}"
        for t in live.get("long_transactions") or ()
    ]
    found += [
        f"prepared transaction {t.get('gid')!r} in {t.get('database')}:"
        " the switchover is refused until it is decided"
        for t in live.get("prepared_transactions") or ()
    ]
    return found


def clock(iso: str) -> str:
    """The time of day, here, of a moment in the journal."""
    from datetime import datetime

    return f"{datetime.fromisoformat(iso).astimezone():%H:%M:%S}"
