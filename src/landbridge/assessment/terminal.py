"""The report on a terminal."""

from __future__ import annotations

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ..postgres.units import count
from .model import Finding, Fix, Level, Report

_MARK = {
    Level.ERROR: ("✗ error", "bold red"),
    Level.WARNING: ("! warning", "yellow"),
    Level.INFO: ("i info", "cyan"),
    Level.OK: ("✓ ok", "green"),
}
_INDENT = " " * 13


def render_terminal(report: Report, *, all: bool = False) -> RenderableType:
    """Findings with cause, remedy and lines, then the counts.

    `all` lists the passed checks too.
    """
    parts: list[RenderableType] = []
    shown = [f for f in report.findings if all or f.level is not Level.OK]
    heading = None
    for finding in shown:
        if finding.group != heading:
            heading = finding.group
            parts.append(Text(f"\n{heading.value}", style="bold"))
        parts.extend(_finding(finding))
    for skip in report.skipped if all else ():
        parts.append(Text(f"- skipped  {skip.id}: {skip.why}", style="dim"))
    parts.append(Text())
    parts.append(verdict(report))
    return Stack(*parts)


def verdict(report: Report) -> Text:
    """The one line that says whether it will work."""
    errors, warnings = len(report.errors), len(report.warnings)
    rest = (
        f"{count(warnings, 'warning')}, {len(report.of(Level.INFO))} info,"
        f" {len(report.of(Level.OK))} passed, {len(report.skipped)} skipped"
    )
    if errors:
        return Text(f"✗ {count(errors, 'error')} in the way; {rest}", style="bold red")
    return Text(f"✓ Nothing stands in the way; {rest}", style="bold green")


def _finding(finding: Finding) -> list[RenderableType]:
    mark, style = _MARK[finding.level]
    row = Table.grid(padding=(0, 1))
    row.add_column(width=10, no_wrap=True)
    row.add_column(overflow="fold")
    if finding.level is Level.OK:
        said = Text.assemble((finding.id, "bold"), (f"  {finding.cause}", "dim"))
        row.add_row(Text(mark, style=style), said)
        return [row]
    head = Text.assemble((finding.id, "bold"), (f"  {finding.title}", "dim"))
    row.add_row(Text(mark, style=style), head)
    row.add_row("", Text(finding.cause))
    if finding.remedy:
        row.add_row("", Text(f"→ {finding.remedy}"))
    parts: list[RenderableType] = [row]
    parts.extend(_fix(fix) for fix in finding.fixes)
    return parts


def _fix(fix: Fix) -> Text:
    # Whole lines, to be copied: whoever shows them lets them run over the edge.
    text = Text(f"{_INDENT}{describe(fix)}:\n", style="dim", no_wrap=True, overflow="ignore")
    text.append("\n".join(f"{_INDENT}  {line}" for line in fix.lines), style="bold cyan")
    return text


def describe(fix: Fix) -> str:
    """Where the lines of a fix go, in words."""
    where = f"on the {fix.where}"
    place = {
        "sql": f"SQL {where}" + (f", database {fix.database}" if fix.database else ""),
        "hba": f"{fix.file or 'pg_hba.conf'} {where}",
        "conf": f"{fix.file or 'postgresql.conf'} {where}",
        "shell": f"shell {where}",
        "api": "actions of the source's owner",
    }[fix.kind]
    restart = ", then restart it" if fix.needs_restart and fix.kind != "api" else ""
    automatic = " (Landbridge can do this)" if fix.automatic else ""
    return f"{place}{restart}{automatic}"
