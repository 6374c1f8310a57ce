"""What the demonstration found, as one object; every figure in it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...migration.verify import Verification
from ..display.details import assessment_warnings
from ..display.view import View
from . import check
from .children import Load
from .servers import Servers


def make_result(
    view: View,
    servers: Servers,
    load: Load,
    acknowledged: list[check.Acknowledgement],
    comparison: check.Comparison,
    balances: check.Balances,
    examination: Verification,
    evidence: Path,
) -> dict[str, Any]:
    """The object of `demo --json`; `passed` is the verdict over all of it."""
    copy, switchover = view.steps["copy"], view.switchover
    verification = view.attachment("verification") or {}
    differences = verification["differences"] + examination.differences
    outage = check.outage(acknowledged)
    return {
        "passed": comparison.is_clean
        and balances.agree
        and differences == 0
        and switchover.get("diverged") == [],
        "postgres": {
            "major": servers.distribution.major,
            "version": servers.distribution.version,
            "origin": servers.distribution.origin,
        },
        "assessment": _assessment(view),
        "copy": {
            name: copy.get(name)
            for name in ("bytes", "wire_bytes", "seconds", "compression", "files", "manifest")
        },
        "sync": {"max_lag_bytes": view.max_lag},
        "switchover": {
            name: switchover.get(name)
            for name in (
                "write_outage_ms", "fence", "fence_lsn", "undo_possible_until",
                "sessions_terminated", "diverged",
            )
        },
        "writer": {
            "acknowledged": comparison.acknowledged,
            "missing": len(comparison.missing),
            "duplicated": len(comparison.duplicated),
            "damaged": len(comparison.damaged),
            "unacknowledged": comparison.unacknowledged,
            "retried": sum(a.attempts > 1 for a in acknowledged),
            "write_outage_ms": None if outage is None else round(outage * 1000, 1),
        },
        "load": {
            "program": load.program,
            "clients": load.clients,
            "transactions": balances.transactions,
            "balances_agree": balances.agree,
        },
        "verification": {
            "when": verification.get("when"),
            "point": verification.get("point"),
            "tables": len(verification.get("tables", ())),
            "rows": sum(t["rows_source"] or 0 for t in verification.get("tables", ())),
            "differences": differences,
            "pages": examination.page_checksums.get("blocks"),
            "indexes": examination.indexes.get("checked"),
            "damaged": examination.differences,
        },
        "seconds": _seconds(view),
        "evidence": {"path": str(evidence)},
    }  # fmt: skip


def _assessment(view: View) -> dict[str, Any]:
    levels = [f["level"] for f in (view.attachment("assessment") or {}).get("findings", ())]
    return {
        "checks": len(levels),
        "errors": levels.count("error"),
        "warnings": levels.count("warning"),
        "warned": assessment_warnings(view),
    }


def _seconds(view: View) -> float:
    """From the first look to the evidence."""
    moments = list(view.entered.values())
    return round((max(moments) - min(moments)).total_seconds(), 1)
