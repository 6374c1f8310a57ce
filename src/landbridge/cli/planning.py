"""`migrate --plan`: the assessment, and what would be done, from this very request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import AssessmentFailed
from ..migration.states import ROW, State
from . import units

if TYPE_CHECKING:
    from ..assessment import Report
    from ..migration.task import Request
    from ..postgres.conninfo import Conninfo
    from .output import Output


def show_plan(request: Request, accounts: dict[str, Conninfo], out: Output) -> int:
    """Assess, and show what each step would do; returns the exit code."""
    from ..assessment.terminal import render_terminal
    from ..migration.plan import destination_plan
    from .assess import examine

    report = examine(accounts["source"], destination_plan(request), accounts.get("fence_as"))
    steps = planned(request, report)
    blocking = sorted({finding.id for finding in report.unwaived(request.waive)})
    out.result(
        {"assessment": report.as_dict(), "steps": steps},
        render_terminal(report), "", _table(steps),
        "Nothing was changed. "
        + (f"The migration would end at its assessment: {', '.join(blocking)}." if blocking
           else "Without --plan this command does it."),
    )  # fmt: skip
    return AssessmentFailed.exit_code if blocking else 0


def planned(request: Request, report: Report) -> list[dict[str, str]]:
    """Step by step: what would be done, and what its undo does."""
    words = {
        State.ASSESSING: "Look at both sides; changes nothing.",
        State.COPYING: _copy(request, report),
        State.STARTING: f"Start PostgreSQL {request.major} on {request.data}, port"
        f" {request.port}, with a configuration of our own, as a standby of the source.",
        State.SYNCHRONIZING: f"Follow the source. Our slot keeps at most"
        f" {units.size(request.wal_budget)} of WAL there ({request.wal_policy})."
        + (" Compare every table at one position." if request.verify == "before" else ""),
        State.FENCING: _fence(request),
        State.DRAINED: "Compare position, identity, timeline and next transaction id, promote.",
        State.PROMOTED: "Drop the slot, take our leftovers out of the configuration, look at"
        " collations" + (" and rebuild affected indexes" if request.reindex else "")
        + ", write the evidence. The source stays read-only; nothing on it is removed.",
    }  # fmt: skip
    return [
        {"state": state.value, "label": ROW[state].label, "does": text, "undo": ROW[state].undo}
        for state, text in words.items()
    ]


def _copy(request: Request, report: Report) -> str:
    size = report.source.get("size")
    amount = units.size(size) if size else "the cluster"
    text = f"Create a replication slot on the source, copy {amount} to {request.data}"
    text += f", compression {request.compression}"
    if request.max_rate:
        text += f", at most {units.rate(request.max_rate)}"
    if request.replaces_empty_cluster:
        text += "; an empty cluster that lies there is set aside first"
    for old, new in request.tablespaces.items():
        text += f"; tablespace {old} goes to {new}"
    return text + "."


def _fence(request: Request) -> str:
    who = (request.fence_as or request.source).get("user", "the source's account")
    how = {
        "sync": f"As {who}: make the destination synchronous, set"
        " default_transaction_read_only on the source, end its sessions",
        "lockout": f"As {who}: let pg_hba refuse everybody but us, end the sessions",
        "manual": "Print the statements that fence the source, wait for you, verify",
    }[request.fence]
    return f"{how}; drain to the last write. Put back after {request.time_limit:g} s."


def _table(steps: list[dict[str, str]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("STEP", "WHAT IS DONE", "UNDO"):
        table.add_column(heading, ratio=None if heading == "STEP" else 3, overflow="fold")
    for step in steps:
        table.add_row(step["label"], step["does"], step["undo"])
    return table
