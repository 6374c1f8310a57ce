"""Steps as bars on a time axis: plain numbers for the page to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Round distances between two ticks, in seconds.
_DISTANCES = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    1800, 3600, 7200, 14400, 28800, 86400,
)  # fmt: skip
_TICKS = 7


@dataclass(frozen=True)
class Bar:
    """One step; `left` and `width` in percent of the axis."""

    name: str
    outcome: str
    left: float
    width: float
    seconds: float


@dataclass(frozen=True)
class Chart:
    """Bars under one axis that begins at `begin` and is `seconds` long."""

    begin: str
    seconds: float
    bars: list[Bar]
    ticks: list[tuple[float, float]]
    """Position in percent, seconds since the begin."""


def chart(steps: Sequence[dict[str, Any]], end: str) -> Chart | None:
    """The chart of these steps; one without an end lasts until `end`. None without steps."""
    spans = [(s, _time(s["begin"]), _time(s["end"] or end)) for s in steps if s["begin"]]
    if not spans:
        return None
    begin = min(b for _, b, _ in spans)
    total = max((max(e for _, _, e in spans) - begin).total_seconds(), 0.001)
    bars = []
    for step, first, last in spans:
        seconds = max((last - first).total_seconds(), 0.0)
        left = round((first - begin).total_seconds() / total * 100, 3)
        width = round(seconds / total * 100, 3)
        bars.append(Bar(step["name"], step["outcome"], left, width, seconds))
    distance = next((d for d in _DISTANCES if total / d <= _TICKS), _DISTANCES[-1])
    count = int(total / distance)
    ticks = [(round(i * distance / total * 100, 3), i * distance) for i in range(count + 1)]
    return Chart(begin.isoformat(), total, bars, ticks)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
