"""Figures put into words: one short sentence for each phase, from the facts there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ...migration.states import State
from .. import units
from .view import View

#: Bytes per second below which a source is as good as idle; hours of a year.
_WORTH_SAYING, _YEAR = 1024, 365 * 24.0
#: Seconds without new figures of a copy after which that is said.
_QUIET = 20.0


def phase_detail(view: View, state: State) -> str:
    """What there is to say about one phase; empty before it begins."""
    if state not in view.entered:
        return ""
    live = view.live if view.state is state else {}
    if view.waiting is not None and view.state is state:
        return waiting(view.waiting, live)
    return _DETAILS[state](view, live)


def waiting(note: dict[str, Any], live: dict[str, Any]) -> str:
    """What an undo waits for, how long, and how often the source was asked."""
    knocks = int(live.get("knocks") or 0)
    asked = f", asked {units.count(knocks, 'time')}" if knocks else ""
    return f"{note['waiting']}, since {clock(note['at'])}{asked}"


def unwatched(view: View) -> str:
    """What nobody sees to while no worker lives; empty while our slot is not on the source."""
    if view.state not in (State.COPYING, State.STARTING, State.SYNCHRONIZING):
        return ""
    limit = ", unless max_slot_wal_keep_size is set there" if view.request.major >= 13 else ""
    return f"Our slot keeps WAL on the source, and nobody watches how much{limit}."


def _assessing(view: View, _live: dict[str, Any]) -> str:
    report = view.attachment("assessment")
    if report is None:
        return ""
    findings = report.get("findings", ())
    levels = [finding.get("level") for finding in findings]
    checks = units.count(len({finding.get("id") for finding in findings}), "check")
    errors = units.count(levels.count("error"), "error")
    return f"{checks}: {errors}, {units.count(levels.count('warning'), 'warning')}"


def assessment_warnings(view: View) -> list[str]:
    """Each warning of the assessment: its id, and what was found."""
    findings = (view.attachment("assessment") or {}).get("findings", ())
    return [f"{f['id']}: {f['cause']}" for f in findings if f.get("level") == "warning"]


def _copying(view: View, live: dict[str, Any]) -> str:
    done = view.steps.get("copy")
    if done is None:
        cap = view.request.max_rate
        capped = [f"capped at {units.rate(cap)}"] if cap else []
        if (since := quiet_since(live)) is not None and not view.is_over:
            return f"{copy_progress(live)[0]}; nothing has arrived since {since}"
        return ", ".join((*copy_progress(live), *capped))
    parts = [units.size(done.get("bytes"))]
    if done.get("seconds"):
        parts.append(f"at {units.rate(done['bytes'] / done['seconds'])}")
    parts += compression_words(done)
    wire = done.get("wire_bytes")
    if wire and wire < 0.95 * (done.get("bytes") or 0):
        parts.append(f"{units.size(wire)} over the wire")
    return ", ".join(parts)


def quiet_since(live: dict[str, Any]) -> str | None:
    """The time of day since which a copy under way has brought nothing; None while it moves."""
    if live.get("copied") is None or live.get("at") is None:
        return None
    quiet = datetime.now(UTC) - datetime.fromisoformat(live["at"])
    return clock(live["at"]) if quiet.total_seconds() > _QUIET else None


def compression_words(facts: dict[str, Any]) -> list[str]:
    """How a copy was compressed, or that it was not; empty while unknown."""
    method = facts.get("compression")
    return [] if not method else ["not compressed" if method == "none" else str(method)]


def copy_progress(live: dict[str, Any]) -> list[str]:
    """The copy under way: how much, how fast, how long to go."""
    if live.get("copied") is None:
        return []
    parts = [units.size(live["copied"])]
    if live.get("total"):
        parts[0] += f" of {units.size(live['total'])}"
    if live.get("rate"):
        parts.append(units.rate(live["rate"]))
    if live.get("eta") is not None:
        parts.append(f"{units.duration(live['eta'])} left")
    return [*parts, *compression_words(live)]


def _starting(_view: View, _live: dict[str, Any]) -> str:
    return ""


def _synchronizing(view: View, live: dict[str, Any]) -> str:
    if live.get("disconnected_since"):
        return f"disconnected since {clock(live['disconnected_since'])}; connects again by itself"
    if live.get("replay_paused"):
        return f"replay is paused: {live['replay_paused']}"
    if "verify" in view.running:
        done = f", {live['tables_done']} of {live['tables_total']}" if "tables_done" in live else ""
        return f"tables are being compared{done}"
    return lag_words(live)


def lag_words(live: dict[str, Any]) -> str:
    """How far the destination is behind; empty while unknown."""
    if live.get("lag_bytes") is None:
        return ""
    lag = f"lag {units.size(live['lag_bytes'])}"
    if live.get("lag_seconds") is not None:
        lag += f", {units.duration(live['lag_seconds'])}"
    return lag + (", caught up" if live.get("caught_up") else "")


def _fencing(view: View, _live: dict[str, Any]) -> str:
    lsn = view.steps.get("fence", {}).get("fence_lsn")
    if view.awaited:
        return "by hand: waits for you, the source still accepts writes"
    if view.switchover.get("proved", {}).get("fence") is False:
        return f"on somebody's word; nothing was written after {lsn} until the promotion"
    return view.request.fence + (f", nothing acknowledged after {lsn}" if lsn else "")


def _drained(view: View, _live: dict[str, Any]) -> str:
    return "replayed to exactly there, same cluster, same timeline"


def _promoted(view: View, _live: dict[str, Any]) -> str:
    outage = view.switchover.get("write_outage_ms")
    if outage is None:
        return ""
    if is_by_hand(view):
        seen = view.switchover.get("proved", {}).get("fence")
        since = "the source was read-only" if seen else "nobody was seen to write"
        return f"writes stood still for at least {units.milliseconds(outage)}, since {since}"
    return f"writes stood still for {units.milliseconds(outage)}"


def is_by_hand(view: View) -> bool:
    """Whether a person fences the source."""
    return str(view.switchover.get("fence", view.request.fence)) == "manual"


def say_fenced(view: View) -> str:
    """The command by which a person says that the manual fence stands."""
    return f"landbridge switchover {view.task.id} --fenced"


def switchover_steps(view: View) -> list[tuple[str, float]]:
    """What the switchover did, each with its milliseconds after writes were closed."""
    found = view.switchover
    if (closing := found.get("closing")) is None:
        return []
    moments = {
        "read-only confirmed": found.get("fenced"),
        "drained and compared": found.get("drained"),
        "destination writable": found.get("promoted"),
    }
    return [(name, _ms(closing, at)) for name, at in moments.items() if at is not None]


def _ms(begin: str, end: str) -> float:
    spent = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    return spent.total_seconds() * 1000


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
    if (live.get("wal_rate") or 0) >= _WORTH_SAYING:
        text += f", source writes {units.rate(live['wal_rate'])}"
        if (hours := live.get("wal_hours_left")) is not None:
            left = "more than a year" if hours > _YEAR else units.duration(hours * 3600)
            text += f", which a cut line would fill in {left}"
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
    return f"{datetime.fromisoformat(iso).astimezone():%H:%M:%S}"
