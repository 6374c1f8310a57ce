"""The document as one self-contained page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...postgres.units import count, duration, size
from ..fence.proof import Proof
from ..fence.reopen import DIVERGE
from ..states import State
from .chart import chart

#: Tables listed openly; more are folded.
_LISTED = 15
#: Steps of the switchover, drawn again on an axis of their own.
_SWITCHOVER = ("fence", "drain", "promote", "release")


def render(document: dict[str, Any]) -> str:
    """HTML with inline style: no request leaves the page, and it has no script."""
    # Imported here: it takes 0.1 s, and every command imports this module.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("landbridge.migration", "templates"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "clock": clock, "moment": moment, "duration": duration, "size": size, "number": number,
        "shown": shown, "count": count, "sentence": lambda name: Proof(name).sentence,
        "words": lambda name: name.replace("_", " ").capitalize(),
    }  # fmt: skip
    ended = document["task"]["ended"]
    return environment.get_template("evidence.html").render(
        d=document,
        verdict=verdict(document),
        diverge=DIVERGE,
        chart=chart(_with_synchronization(document), ended),
        switch_chart=chart(_last_switchover(document["steps"]), ended),
        listed=_LISTED,
        facts=[brief(step, document) for step in document["steps"]],
    )


def _with_synchronization(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps, and the times in which the destination followed its source."""
    states = document["states"]
    ends = [state["at"] for state in states[1:]] + [None]
    following = [
        {"name": "synchronize", "begin": state["at"], "end": end, "outcome": "done"}
        for state, end in zip(states, ends, strict=True)
        if state["state"] == State.SYNCHRONIZING.value
    ]
    steps = [s for s in document["steps"] if s["begin"] and s["name"] != "synchronize"]
    return sorted(steps + following, key=lambda step: str(step["begin"]))


def _last_switchover(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of the last attempt: from its fence on."""
    begins = [i for i, step in enumerate(steps) if step["name"] == _SWITCHOVER[0]]
    last = steps[begins[-1] :] if begins else []
    return [step for step in last if step["name"] in _SWITCHOVER]


def verdict(document: dict[str, Any]) -> tuple[str, str, str]:
    """Tone (good, bad, warn, calm), headline and sentence at the top of the page."""
    task, verification = document["task"], document["verification"]
    differences = (verification or {}).get("differences", 0)
    if document["diverged"]:
        return ("bad", "Commits diverged",
                "The source committed transactions after the fence that the destination does not"
                " have. They are listed below.")  # fmt: skip
    if differences:
        return "bad", "Differences found", "Source and destination do not hold the same."
    if task["state"] in ("failed", "cancelled"):
        alarms = "There are alarms, see below."
        return "warn", task["label"], alarms if document["alarms"] else task["guarantee"]
    if task["state"] in ("promoted", "finished"):
        if document["switchover"] and document["diverged"] is None:
            return ("warn", "Migrated, source not looked at",
                    "The destination accepts writes. The source did not answer, so it was not"
                    " searched for commits that the destination does not have.")  # fmt: skip
        proof = "The contents were not compared table by table."
        if verification:
            count = len(verification["tables"])
            when = verification["when"]
            proof = f"{count} tables were compared {when} the switchover: no difference."
        if document["alarms"]:
            return "warn", "Migrated, with alarms", "The destination accepts writes. See below."
        return "good", "Migrated", f"The destination accepts writes. {proof}"
    return "calm", task["label"], task["guarantee"]


def brief(step: dict[str, Any], document: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a step that the page does not show elsewhere, in few words."""
    told = {**(document["switchover"] or {}), **(document["full_copy"] or {}), "lsn": step["lsn"]}
    flat: dict[str, Any] = {}
    for name, value in step["facts"].items():
        if told.get(name) != value:
            flat |= value if isinstance(value, dict) else {name: value}
    return [
        (name.replace("_", " "), size(value) if name.endswith("bytes") else shown(value))
        for name, value in flat.items()
        if value not in (None, [], {}, "")
    ]


def moment(text: str | None) -> str:
    """A time of the journal for reading: UTC, seconds."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S") if text else "–"


def clock(text: str | None) -> str:
    """Time of day with milliseconds."""
    return datetime.fromisoformat(text).strftime("%H:%M:%S.%f")[:-3] if text else "–"


def number(value: object) -> str:
    """A whole number with thin spaces between thousands; anything else as it is."""
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else shown(value)


def shown(value: object) -> str:
    """A value of a setting or fact in few words."""
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    return str(value)
