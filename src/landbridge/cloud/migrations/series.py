"""The course of a migration: a figure a second, kept beside its record, older ones sparser."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

#: What is kept of the latest figures, where they are known.
KEPT = (
    "phase", "copied", "total", "rate", "lag_bytes", "lag_seconds", "state", "wal_kept_bytes",
    "wal_rate", "sessions",
)  # fmt: skip


_LINE = re.compile(r'\{"at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^{]*\}')
#: Figures that a file has at most; and how many of the latest are all kept when it is full, the
#: older ones so far apart that as many remain.
MOST, LATEST = 20_000, 5_000


class Series:
    """Appends to, and reads from, `series.jsonl` in the folder of a migration's record."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "series.jsonl"
        self._last: tuple[str, object] = ("", None)
        self._count: int | None = None

    def add(self, live: dict[str, Any]) -> None:
        """Keep figures, unless they are of the same second and phase as those before."""
        at = str(live.get("at", ""))[:19]
        now = (at, live.get("phase"))
        if not at or now == self._last:
            return
        self._last = now
        if self._count is None:
            self._count = len(self._lines())
        if self._count >= MOST:
            self._thin()
        known = {name: live[name] for name in KEPT if live.get(name) is not None}
        with self._path.open("a") as file:
            file.write(json.dumps({"at": live["at"], **known}) + "\n")
        self._count += 1

    def read(self, most: int) -> list[dict[str, Any]]:
        """The whole course in at most so many figures, evenly spread; the last one always."""
        return [json.loads(line) for line in _spread(self._lines(), most)]

    def _lines(self) -> list[str]:
        """Those that are whole."""
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if _LINE.fullmatch(line)]

    def _thin(self) -> None:
        lines = self._lines()
        kept = [*_spread(lines[:-LATEST], LATEST), *lines[-LATEST:]]
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in kept))
        fresh.replace(self._path)
        self._count = len(kept)


def _spread(lines: Sequence[str], most: int) -> list[str]:
    """At most so many: the last one of every second, of every two, four, eight ...

    So what was spread before is not torn apart when it is spread again.
    """
    if len(lines) <= most:
        return list(lines)
    times = [int(datetime.fromisoformat(f"{line[8:27]}Z").timestamp()) for line in lines]
    apart = 1 << max(0, (abs(times[-1] - times[0]) // most).bit_length() - 1)
    while True:
        latest = {at // apart: line for at, line in zip(times, lines, strict=True)}
        if len(latest) <= most:
            return list(latest.values())
        apart *= 2
