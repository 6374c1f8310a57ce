"""The journal: what may come again and again does not make it grow for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from landbridge.migration import journal as module
from landbridge.migration.follow import follower
from landbridge.migration.follow.follower import Follower
from landbridge.migration.journal import Journal


class Clock(datetime):
    """A clock that is set."""

    at = datetime(2026, 5, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.at


class Flapping:
    """As much of a follower as tells of its stream."""

    def __init__(self, path: Path) -> None:
        self.task = type("T", (), {"journal": Journal(path)})()
        self._up_since: datetime | None = None
        self._told_up = self._told_loss = True

    def look(self, since: datetime | None) -> None:
        lost = since.isoformat() if since else None
        Follower._tell(self, type("S", (), {"disconnected_since": lost})())  # type: ignore[arg-type]


def test_a_source_that_comes_and_goes_leaves_few_notes_and_the_last_is_no_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (module, follower):
        monkeypatch.setattr(where, "datetime", Clock)
    monkeypatch.setattr(follower, "is_held", lambda task: False)
    monkeypatch.setattr(Journal.append, "__kwdefaults__", {"durable": False})
    begun = Clock.at
    flapping = Flapping(tmp_path / "journal.jsonl")
    for _ in range(1_000):  # away for 4 s, back for 4 s
        lost, Clock.at = Clock.at, Clock.at + timedelta(seconds=4)
        flapping.look(lost)
        flapping.look(None)
        Clock.at += timedelta(seconds=4)
        flapping.look(None)
    told = [e["id"] for e in flapping.task.journal.entries()]
    lost_and_found = ["follow.disconnected", "follow.reconnected"]
    assert told == lost_and_found * (len(told) // 2)
    assert 2 * 50 < len(told) < 2 * 250
    last = datetime.fromisoformat(list(flapping.task.journal.entries())[-1]["at"])
    assert Clock.at - last < (Clock.at - begun) / 25, "and it goes on being told"
