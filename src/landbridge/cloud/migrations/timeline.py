"""When what happened in a migration: its steps, the moments of its switchover, its news."""

from __future__ import annotations

from typing import Any

from ...migration.evidence.steps import between, steps
from ...migration.fence.proof import Proof
from ...migration.fence.result import SwitchoverResult
from .progress import Progress, said

#: Step of the record -> what a person reads. The rest are parts of finishing.
_LABELS = {
    "assess": "Check prerequisites",
    "copy": "Copy everything",
    "start": "Start the destination",
    "drain": "Switch over",
    "fence": "Fence the source, drain, prove",
    "promote": "Promote the destination",
    "release": "Release the source",
    "finish": "Put the destination in order, write the evidence",
}
#: Between which moments of the switchover what is done, and what that is called.
_PHASES = (
    ("look", "ordered", "begun", "Look at the guardrails, prepare to put everything back"),
    ("prepare", "begun", "close", "Prepare the fence"),
    ("close", "close", "fenced", "See that the source refuses writes"),
    ("drain", "fenced", "arrived", "Let everything arrive, until nothing moves"),
    ("prove", "arrived", "drained", "Prove that both sides hold the same"),
    ("intent", "drained", "intent", "Write down that there is no way back"),
    ("promote", "intent", "promoted", "Promote: the destination accepts writes"),
    ("release", "promoted", "released", "Let the source rest, look for later commits"),
)
#: News that are told, the latest.
_NEWS = 500


def told_steps(progress: Progress) -> list[dict[str, Any]]:
    """Every step in the order they began; one that was tried again is there again."""
    return [
        {
            "Name": step["name"],
            "Label": _LABELS.get(step["name"], step["name"].replace("_", " ").capitalize()),
            "Begin": step["begin"],
            "End": step["end"],
            "Milliseconds": _milliseconds(step["begin"], step["end"]),
            "Outcome": step["outcome"],
        }
        for step in steps(progress.entries)
    ]


def switchover(progress: Progress) -> dict[str, Any] | None:
    """The latest switchover as far as it is; None before the first was ordered.

    Milliseconds are None of what has not ended. `PointOfNoReturn` is the moment from which
    nothing is put back.
    """
    moments = _moments(progress.entries)
    if not moments:
        return None
    result = SwitchoverResult.load(progress.record) if progress.record else None
    ended: dict[str, Any] = {}
    if result is not None:
        ended = {
            "Proved": result.proved,
            "Proofs": [
                {"Sentence": Proof(name).sentence, "Shown": shown}
                for name, shown in result.proved.items()
            ],
            "SessionsTerminated": result.sessions_terminated,
            "Diverged": result.diverged,
            "SourceLeft": progress.teller.text(result.source_left),
            "Reopen": [each["line"] for each in result.reopen if each["where"] == "sql"],
        }
    return {
        "Phases": [
            {
                "Name": name,
                "Label": label,
                "Begin": moments.get(begin),
                "End": moments.get(end),
                "Milliseconds": _milliseconds(moments.get(begin), moments.get(end)),
            }
            for name, begin, end, label in _PHASES
        ],
        "Undone": "undone" in moments,
        # A destination that did not promote itself was put back all the same.
        "PointOfNoReturn": None if "undone" in moments else moments.get("intent"),
        "WritesAccepted": moments.get("promoted"),
        "WriteOutageMilliseconds": moments.get("outage"),
        "WriteOutageFrom": result.write_outage_from if result else None,
        "ReadOnlySince": moments.get("closing"),
        **ended,
    }


def news(progress: Progress) -> list[dict[str, Any]]:
    """What happened, in words for the owner, oldest first."""
    found = [
        {"At": entry["at"], "Level": _level(entry), "Text": text}
        for entry in progress.entries
        if (text := said(entry, progress.teller))
    ]
    return found[-_NEWS:]


def _level(entry: dict[str, Any]) -> str:
    if entry["kind"] == "error":
        return "warning" if entry.get("held") else "error"
    return str(entry.get("level", "info"))


def _moments(entries: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The moments of the latest attempt, by name; none of an order that was refused."""
    found: dict[str, Any] = {}
    for entry in entries:
        match entry["kind"], entry.get("name"), entry.get("phase"):
            case "signal", "switchover", None:
                found = {"ordered": entry["at"]}
            case "error", None, None if "begun" not in found:
                found = {}
            case "step", "fence", "begin":
                ordered = {"ordered": found["ordered"]} if "ordered" in found else {}
                found = {**ordered, "begun": entry["at"]}
            case "moment", str(name), None:
                found[name] = entry["at"]
            case "step", "fence", "undone":
                found["undone"] = entry["at"]
            case "step", "promote", "begin":
                known = {n: entry[n] for n in ("closing", "fenced", "drained") if n in entry}
                found |= known | {"intent": entry["at"]}
            case "step", "promote", "end":
                found |= {"promoted": entry["at"], "outage": entry["write_outage_ms"]}
            case "step", "release", "end":
                found["released"] = entry["at"]
    # Where nothing but the record was written: by versions before, or of another's promotion.
    for name, instead in (("close", "closing"), ("arrived", "drained")):
        if name not in found and instead in found:
            found[name] = found[instead]
    return found


def _milliseconds(begin: str | None, end: str | None) -> float | None:
    seconds = between(begin, end)
    return None if seconds is None else round(seconds * 1000, 1)
