"""From facts to a report: runs every check of the table."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import UTC, datetime
from typing import Any

from .facts import Facts
from .model import Finding, Group, Report, Skipped, Verdict, info, passed
from .registry import CHECKS, Check

_ORDER = {group: number for number, group in enumerate(Group)}


def assess(facts: Facts, only: Container[str] | None = None) -> Report:
    """Run every check, or those of the ids `only`. Pure but for the clock that stamps it."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for check in CHECKS:
        if only is not None and check.id not in only:
            continue
        missing = next((need for need in check.needs if _value(facts, need) is None), None)
        if missing is None:
            verdicts = list(check.run(facts)) or [passed("nothing found")]
        elif (why := _refused(facts, missing)) is not None:
            verdicts = [_could_not_see(facts, why)]
        else:
            why_not = _why_skipped(facts, missing)
            skipped.append(Skipped(check.id, check.title, check.group, why_not))
            continue
        findings.extend(_finding(check, verdict, facts.started) for verdict in verdicts)
    findings.sort(key=lambda f: _ORDER[f.group])
    return Report(
        tuple(findings),
        tuple(skipped),
        facts.started,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        _source(facts),
        _destination(facts),
    )


def _finding(check: Check, verdict: Verdict, checked: str) -> Finding:
    return Finding(
        check.id, verdict.level, check.title, verdict.cause, verdict.remedy, verdict.fixes,
        verdict.data, check.group, checked,
    )  # fmt: skip


def _value(facts: Facts, path: str) -> Any:
    """Follow a dotted path through attributes and mappings; None where it ends early."""
    value: Any = facts
    for name in path.split("."):
        if value is None:
            return None
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
    return value


def _refused(facts: Facts, path: str) -> str | None:
    """The source's reason for not telling that fact, if it refused."""
    if path == "reached.line":
        return facts.reached.unmeasured or None
    if facts.source is None or not path.startswith("source."):
        return None
    return facts.source.unseen.get(path.removeprefix("source."))


def _could_not_see(facts: Facts, why: str) -> Verdict:
    return info(
        f"Could not be checked: the source refused to tell {facts.user} ({why}).",
        "Run the assessment as an account that may see it, or check by hand.",
        refused=why,
    )


def _why_skipped(facts: Facts, missing: str) -> str:
    if missing.startswith("plan."):
        return "nothing was given to compare"
    if missing.startswith("reached.") and facts.reached.line is None:
        return "an earlier step of the way failed"
    if missing == "destination.programs":
        return "this host has no server programs of the source's major"
    if facts.source is None:
        return "the source could not be looked into"
    if missing == "fence.rights":
        return "the account for the fence cannot log in"
    return f"PostgreSQL {facts.source.server.major} or this host cannot tell"


def _source(facts: Facts) -> dict[str, Any]:
    of = facts.source
    about: dict[str, Any] = {"address": facts.address, "user": facts.user}
    if of is not None:
        about |= {
            "version": of.server.version,
            "system_identifier": of.server.system_identifier,
            "size": of.size,
            "databases": [d.name for d in of.databases or () if not d.template],
        }
    return about


def _destination(facts: Facts) -> dict[str, Any]:
    programs = facts.destination.programs
    return {
        "data": facts.destination.directory.path,
        "port": facts.plan.port,
        "version": programs.version if programs else None,
        "programs": programs.bin if programs else None,
        "free": facts.destination.directory.free,
    }
