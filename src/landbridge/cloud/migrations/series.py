"""The course of a migration: a figure a second, kept beside its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: What is kept of the latest figures, where they are known.
KEPT = (
    "phase", "copied", "total", "rate", "lag_bytes", "lag_seconds", "state", "wal_kept_bytes",
    "wal_rate", "sessions",
)  # fmt: skip


class Series:
    """Appends to, and reads from, `series.jsonl` in the folder of a migration's record."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "series.jsonl"
        self._last = ""

    def add(self, live: dict[str, Any]) -> None:
        """Keep figures, unless they are of the same second as those before."""
        at = str(live.get("at", ""))[:19]
        if not at or at == self._last:
            return
        self._last = at
        known = {name: live[name] for name in KEPT if live.get(name) is not None}
        with self._path.open("a") as file:
            file.write(json.dumps({"at": live["at"], **known}) + "\n")

    def read(self, most: int) -> list[dict[str, Any]]:
        """The whole course in at most so many figures, evenly spread; the last one always."""
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        step = max(1, -(-len(lines) // most))
        chosen = lines[::-1][::step][::-1]
        return [json.loads(line) for line in chosen if line.endswith("}")]
