"""Applies the fixes that Landbridge can apply itself, and says how to take each back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

import psycopg

from ..errors import LandbridgeError
from ..postgres.conninfo import Conninfo
from .model import Finding, Fix, Level, Report

#: What a server warns of where somebody may not give a privilege: it is no error, and does nothing.
_NOT_GRANTED = "01007"


class Outcome(Enum):
    """What became of a fix."""

    APPLIED = "applied"
    """All of its lines were run."""
    REFUSED = "refused"
    """The source refused one; `lines` are those that were run before it."""
    NOT_APPLICABLE = "not_applicable"
    """Landbridge has nothing to run for the finding; `why` says why."""


@dataclass(frozen=True)
class Applied:
    """What was done about one fix of a finding."""

    id: str
    """Of the finding."""
    outcome: Outcome
    lines: tuple[str, ...] = ()
    """What was run."""
    undo: tuple[str, ...] = ()
    """What takes it back."""
    database: str | None = None
    needs_restart: bool = False
    """Whether it counts from the source's next restart on: nothing of ours restarts a source."""
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value}


def apply_fixes(report: Report, source_admin: Conninfo | None) -> list[dict[str, Any]]:
    """Run the automatic fixes of all errors and warnings on the source, in their order.

    Each entry of the answer is an `Applied`. Without an account, nothing is applied. Raises
    LandbridgeError (assessment.fix_refused) at the first line that the server refuses, with
    what was applied before it, or ServerUnreachable.
    """
    applied: list[Applied] = []
    if source_admin is None:
        return []
    for done in apply_each(report, source_admin):
        if done.outcome is Outcome.REFUSED:
            raise _refused(done, applied)
        applied.append(done)
    return [done.as_dict() for done in applied]


def apply_each(
    report: Report, source_admin: Conninfo, only: Collection[str] | None = None
) -> Iterator[Applied]:
    """Run the automatic fixes of all errors and warnings, or of the findings `only`.

    A fix that the source refuses does not keep the others from being tried. Of `only`, one
    that nothing can be run for is answered too. Raises ServerUnreachable before the first.
    """
    findings = (
        (*report.errors, *report.warnings)
        if only is None
        else [f for f in report.findings if f.id in only]
    )
    fixes: dict[Fix, list[str]] = {}
    for finding in findings:
        for fix in finding.fixes:
            if fix.automatic:
                fixes.setdefault(fix, []).append(finding.id)
    if fixes:
        source_admin.connect().close()
    for fix, ids in fixes.items():
        done = _apply(ids[0], fix, source_admin)
        yield from (replace(done, id=id) for id in (ids[:1] if only is None else set(ids)))
    for id in dict.fromkeys(f.id for f in findings if only is not None):
        if why := why_not([f for f in findings if f.id == id]):
            yield Applied(id, Outcome.NOT_APPLICABLE, why=why)


def why_not(findings: Collection[Finding]) -> str:
    """Why Landbridge can run nothing for the findings of one id; empty if it can."""
    fixes = [fix for finding in findings for fix in finding.fixes]
    if any(fix.automatic for fix in fixes):
        return ""
    if all(finding.level is Level.OK for finding in findings):
        return "nothing is to be put right"
    if not fixes:
        return "it is put right as its remedy says; there are no lines to run"
    if any(fix.kind == "api" for fix in fixes):
        return "the owner of the source calls the actions that its lines name"
    if all(fix.kind == "sql" for fix in fixes):
        return "whether its lines are the right ones has to be decided by somebody"
    return "its lines are no SQL that could be run on the source"


def _apply(id: str, fix: Fix, admin: Conninfo) -> Applied:
    target = admin.with_(dbname=fix.database) if fix.database else admin
    ran: list[str] = []
    try:
        with target.connect() as conn:
            said: dict[str | None, str | None] = {}  # a notice lives as long as it is handled
            conn.add_notice_handler(lambda it: said.update({it.sqlstate: it.message_primary}))
            for line in fix.lines:
                # Lines of ours, quoted when they were made (lines.py).
                conn.execute(line.encode())
                if _NOT_GRANTED in said:
                    raise LandbridgeError(str(said[_NOT_GRANTED]))
                ran.append(line)
    except (psycopg.Error, LandbridgeError) as problem:
        why = (str(problem).strip().splitlines() or ["no reason given"])[0]
        undo = fix.undo if ran else ()
        return Applied(id, Outcome.REFUSED, tuple(ran), undo, fix.database, why=why)
    return Applied(id, Outcome.APPLIED, tuple(ran), fix.undo, fix.database, fix.needs_restart)


def _refused(refused: Applied, applied: list[Applied]) -> LandbridgeError:
    undo = [line for entry in reversed((*applied, refused)) for line in entry.undo]
    before = ", ".join(entry.id for entry in applied) or "none"
    return LandbridgeError(
        f"the source refuses the fix for {refused.id}: {refused.why} (applied before it: {before})",
        id="assessment.fix_refused",
        remedy="Apply it as a superuser."
        + (f" To take back what was applied: {' '.join(undo)}" if undo else ""),
    )
