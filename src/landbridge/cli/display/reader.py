"""Follows the two files a task speaks through: the journal and the latest figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...migration.task import Task


class Reader:
    """Reads each journal entry once, as it is appended by whichever process."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._offset = 0

    def new_entries(self) -> list[dict[str, Any]]:
        """Entries appended since the last call; a line still being written waits."""
        try:
            with self.task.journal.path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _rest = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(whole) + len(newline)
        return [entry for line in whole.splitlines() if (entry := _parse(line)) is not None]

    def live(self) -> dict[str, Any]:
        """The latest figures; empty if there are none."""
        try:
            return self.task.read_live()
        except json.JSONDecodeError:
            return {}


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None  # cut short by a crash
    return found if isinstance(found, dict) and "kind" in found else None
