"""The report as one self-contained page: no script, no request, light and dark."""

from __future__ import annotations

from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..postgres.units import count, duration, rate, size
from .model import Group, Level, Report
from .terminal import describe

_WEIGHT = {Level.ERROR: 3, Level.WARNING: 2, Level.INFO: 1, Level.OK: 0}
_CHAPTERS = (
    (Level.ERROR, "To be repaired before the migration"),
    (Level.WARNING, "Worth a decision"),
    (Level.INFO, "Good to know"),
)


def render_html(report: Report) -> str:
    """The whole report as HTML; everything in it is escaped."""
    environment = Environment(
        loader=PackageLoader("landbridge.assessment"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": size, "duration": duration, "rate": rate, "count": count}
    environment.globals["describe"] = describe
    return environment.get_template("report.html.j2").render(
        report=report,
        level=Level,
        chapters=[(lvl, title, report.of(lvl)) for lvl, title in _CHAPTERS if report.of(lvl)],
        overview=_overview(report),
        passed=[(g, list(f)) for g, f in groupby(report.of(Level.OK), lambda f: f.group)],
        line=next((f.data for f in report.findings if f.id == "network.line"), {}),
    )


def _overview(report: Report) -> list[tuple[Group, Level, dict[Level, int]]]:
    """Each group that was looked at, with its heaviest level and its counts."""
    found = []
    for group in Group:
        levels = [f.level for f in report.findings if f.group is group]
        if levels:
            worst = max(levels, key=lambda level: _WEIGHT[level])
            found.append((group, worst, {level: levels.count(level) for level in Level}))
    return found
