"""`landbridge assess`: will it work, and what has to be done first?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AssessmentFailed, LandbridgeError
from . import options
from .move import Move, takes_move
from .options import OUTPUT, PROOF
from .output import Mode, Output

if TYPE_CHECKING:
    from ..assessment import DestinationPlan, Report
    from ..postgres.conninfo import Conninfo
    from ..postgres.distribution import Distribution


ApplyFixes = Annotated[
    bool,
    typer.Option(
        "--apply-fixes", metavar="", rich_help_panel=PROOF,
        help="Apply the fixes that Landbridge can apply itself, say how to take each back,"
        " and assess again.",
    ),
]  # fmt: skip
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", show_default=False, rich_help_panel=OUTPUT,
        help="Write the report as one self-contained page too.",
    ),
]  # fmt: skip
AllChecks = Annotated[
    bool,
    typer.Option("--all", metavar="", help="List the passed checks too.", rich_help_panel=OUTPUT),
]


@takes_move
def assess(
    move: Move,
    apply_fixes: ApplyFixes = False,
    html: Html = None,
    all_checks: AllChecks = False,
    json: options.JsonFlag = False,
) -> int:
    """Check whether a cluster can be moved; changes nothing.

    Each finding has a stable id, the measured cause, and the exact lines that repair it.
    Ends 3 if a finding of level error stands in the way.
    """
    from ..assessment import DestinationPlan
    from .passwords import Passwords

    out = Output(Mode.of(json))
    chosen = move.chosen()
    if html is not None:
        _write(html, "", mode="a")  # better refused now than after the assessment
    passwords = Passwords(out)
    conninfo = passwords.source(move.source)
    fencer = passwords.other(move.fence_as, "fence_as", conninfo)
    plan = DestinationPlan(
        data=move.to.absolute(), port=move.port, distribution=_distribution(conninfo), **chosen
    )
    report = examine(conninfo, plan, fencer)
    applied = _apply(report, conninfo, fencer, out) if apply_fixes else []
    if applied:
        report = examine(conninfo, plan, fencer)
    code = _say(report, applied, out, all_checks)
    if html is not None:
        _write_html(report, html, out)
    return code


def examine(source: Conninfo, plan: DestinationPlan, fence_as: Conninfo | None) -> Report:
    """Gather the facts and run every check."""
    from ..assessment import assess as run
    from ..assessment import gather

    return run(gather(source, plan, fence_as=fence_as))


def _distribution(source: Conninfo) -> Distribution | None:
    """The server programs of the source's major here; None if either cannot be had."""
    from ..postgres.distribution import find
    from ..postgres.positions import server_major

    try:
        with source.connect() as conn:
            return find(server_major(conn))
    except LandbridgeError:
        return None  # the report says which of the two it is


def _apply(
    report: Report, source: Conninfo, fence_as: Conninfo | None, out: Output
) -> list[dict[str, Any]]:
    from ..assessment import apply_fixes

    applied = apply_fixes(report, fence_as or source)
    for done in applied:
        restart = ", which takes effect when the source is restarted"
        out.line(f"Applied for {done['id']}{restart if done['needs_restart'] else ''}:")
        for line in done["lines"]:
            out.line(f"    {line}")
        out.line("  Taken back with:")
        for line in done["undo"]:
            out.line(f"    {line}")
    return applied


def _write_html(report: Report, path: Path, out: Output) -> None:
    from ..assessment.html import render_html

    _write(path, render_html(report))
    out.show(f"Report: {path.absolute()}")


def _write(path: Path, text: str, mode: str = "w") -> None:
    try:
        with path.open(mode) as file:
            file.write(text)
    except OSError as problem:
        raise LandbridgeError(
            f"{path} cannot be written: {problem.strerror}",
            id="output.failed",
            remedy="Name another file with --html.",
        ) from None


def _say(report: Report, applied: list[dict[str, Any]], out: Output, all_checks: bool) -> int:
    from ..assessment.terminal import render_terminal

    out.result({**report.as_dict(), "applied": applied}, render_terminal(report, all=all_checks))
    return AssessmentFailed.exit_code if report.errors else 0
