"""Applies the fixes that Landbridge can apply itself, and says how to take each back."""

from __future__ import annotations

from typing import Any

import psycopg

from ..errors import LandbridgeError
from ..postgres.conninfo import Conninfo
from .model import Fix, Report


def apply_fixes(report: Report, source_admin: Conninfo | None) -> list[dict[str, Any]]:
    """Run the automatic fixes of all errors and warnings on the source, in their order.

    Each entry of the answer has `id` (of the finding), `lines`, `undo` (the lines that
    take it back), `database` and `needs_restart` (nothing of ours restarts a source).
    Without an account, nothing is applied. Raises LandbridgeError (assessment.fix_refused)
    at the first line that the server refuses, with what was applied before it, or
    ServerUnreachable.
    """
    applied: list[dict[str, Any]] = []
    if source_admin is None:
        return applied
    done: set[Fix] = set()
    for finding in (*report.errors, *report.warnings):
        for fix in finding.fixes:
            if not fix.automatic or fix in done:
                continue
            done.add(fix)
            try:
                _apply(fix, source_admin)
            except psycopg.Error as problem:
                raise _refused(finding.id, problem, applied) from None
            applied.append(
                {
                    "id": finding.id,
                    "lines": list(fix.lines),
                    "undo": list(fix.undo),
                    "database": fix.database,
                    "needs_restart": fix.needs_restart,
                }
            )
    return applied


def _apply(fix: Fix, admin: Conninfo) -> None:
    target = admin.with_(dbname=fix.database) if fix.database else admin
    with target.connect() as conn:
        for line in fix.lines:
            # Lines of ours, quoted when they were made (lines.py).
            conn.execute(line.encode())


def _refused(id: str, problem: psycopg.Error, applied: list[dict[str, Any]]) -> LandbridgeError:
    text = (str(problem).strip().splitlines() or ["no reason given"])[0]
    undo = [line for entry in reversed(applied) for line in entry["undo"]]
    before = ", ".join(entry["id"] for entry in applied) or "none"
    return LandbridgeError(
        f"the source refuses the fix for {id}: {text} (applied before it: {before})",
        id="assessment.fix_refused",
        remedy="Apply it as a superuser."
        + (f" To take back what was applied: {' '.join(undo)}" if undo else ""),
    )
