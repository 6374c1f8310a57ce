"""A network that is only remembered, for tests of what is above it."""

from __future__ import annotations

from typing import Any

from landbridge.errors import NetworkFailed
from landbridge.network.fabric import Meter, Observed


class Memory:
    """A fabric that only remembers; what is in `broken` cannot be made."""

    def __init__(self) -> None:
        self.things: dict[str, Any] = {}
        self.broken: set[str] = set()
        self.meters: dict[str, Meter] = {}
        self.made: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        assert verb.startswith("ensure_"), verb
        return self._ensure

    def _ensure(self, thing: Any) -> None:
        if thing.id in self.broken:
            raise NetworkFailed(f"no room for {thing.id}")
        if self.things.get(thing.id) != thing:
            self.made.append(thing.id)
        self.things[thing.id] = thing

    def gc(self, valid: Any) -> list[Observed]:
        gone = [id for id in self.things if id not in valid]
        for id in gone:
            del self.things[id]
        return [Observed("thing", id) for id in gone]

    def meter(self, id: str) -> Meter:
        if id not in self.things:
            raise NetworkFailed(f"there is no line {id}", id="network.missing")
        return self.meters.get(id, Meter(0, 0))
