"""One finding of a report looked at again: which checks that takes, and what becomes of the report.

A report may only say that a migration will work if each of its findings was made while the
checks that others depend on (`Check.opens`: the way in, the rights to see, the version) held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...assessment.model import Finding, Level, Report
from ...assessment.registry import CHECKS

#: Findings older than this say nothing of now: no migration goes by them.
FRESH = timedelta(days=7)
_OPENS = frozenset(check.id for check in CHECKS if check.opens)


def scope(report: Report, id: str, now: datetime) -> frozenset[str] | None:
    """Ids of the checks that are made to renew the finding `id`; None: all.

    All where it is one that others depend on, where such a one is in the way, or where the
    report is old. Those that others depend on are always made: they are seen anyway.
    """
    hidden = any(finding.id in _OPENS for finding in report.errors)
    if id in _OPENS or hidden or is_stale(report, now):
        return None
    return _OPENS | {id}


def is_another(before: Report, seen: Report) -> bool:
    """Whether it is not the source of `before` any more: another cluster, another version."""
    names = ("system_identifier", "version")
    return any(
        seen.source.get(name) is not None and seen.source[name] != before.source.get(name)
        for name in names
    )


def merged(before: Report, seen: Report, id: str) -> Report:
    """`before` with what was `seen` of the finding `id`, and of what is in the way to it.

    A finding that could not be looked at (`why_not`) stays as it was.
    """
    fresh = [f for f in seen.findings if f.id == id or _is_in_the_way(f)]
    renewed = {finding.id for finding in fresh}
    findings: list[Finding] = [f for f in fresh if f.id not in {b.id for b in before.findings}]
    for finding in before.findings:
        if finding.id not in renewed:
            findings.append(finding)
        elif finding.id not in {f.id for f in findings}:
            findings.extend(f for f in fresh if f.id == finding.id)
    return replace(
        before,
        findings=tuple(findings),
        skipped=tuple(s for s in before.skipped if s.id not in renewed),
    )


def answer(before: Report, seen: Report, id: str, *, is_all: bool) -> dict[str, Any]:
    """What came of looking at a finding again, for whoever ordered it."""
    found = [finding.level.value for finding in seen.findings if finding.id == id]
    why = next((skipped.why for skipped in seen.skipped if skipped.id == id), "")
    if not found and (closed := next(filter(_is_in_the_way, seen.findings), None)):
        why = closed.cause
    return {
        "FindingId": id,
        "At": seen.started,
        "Checked": bool(found),
        "Before": [finding.level.value for finding in before.findings if finding.id == id],
        "Levels": found,
        "WhyNot": "" if found else why,
        "Everything": is_all,
    }


def only(report: Report, ids: frozenset[str] | None) -> Report:
    """A report of these checks alone."""
    if ids is None:
        return report
    return replace(
        report,
        findings=tuple(f for f in report.findings if f.id in ids),
        skipped=tuple(s for s in report.skipped if s.id in ids),
    )


def gist(report: Report) -> dict[str, Any]:
    """What is told of it where it is one of many: `counts`, and the moment of its oldest finding.

    Measured: a list that reads every report whole takes ten times as long.
    """
    return {"counts": report.as_dict()["counts"], "oldest": _oldest(report)}


def is_stale(report: Report, now: datetime) -> bool:
    """Whether some of it says nothing of now."""
    return is_old(_oldest(report), now)


def is_old(oldest: str, now: datetime) -> bool:
    """The same of the moment of its oldest finding."""
    return now - datetime.fromisoformat(oldest) > FRESH


def _oldest(report: Report) -> str:
    looked = {finding.checked or report.started for finding in report.findings}
    return min(looked or {report.started}, key=datetime.fromisoformat)


def _is_in_the_way(finding: Finding) -> bool:
    return finding.id in _OPENS and finding.level is Level.ERROR
