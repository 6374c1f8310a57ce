"""Clients that write although the source is read-only by default, seen while connected.

Looked for before anybody is ended: a client that has to come back first could begin to
write again just after the last look at the source.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...errors import SwitchoverUndone
from .source import SourceSide, who

_LOOK = """
SELECT clock_timestamp(), {next_xid}, min(xact_start),
       coalesce(json_agg(s) FILTER (WHERE writing), '[]')
FROM ({sessions}) s WHERE type NOT LIKE 'autovacuum%%'
"""


@dataclass(frozen=True)
class Look:
    """One look at the source; times by its clock."""

    at: datetime
    next_xid: int
    oldest: datetime | None
    """Begin of the oldest transaction that was open."""
    writers: tuple[dict[str, Any], ...]


class Watch:
    """Looks at the source again and again, and judges what was seen since it was closed."""

    def __init__(self, source: SourceSide) -> None:
        self._source = source
        self._looks: list[Look] = []

    def look(self) -> None:
        """Look once, and pause for a millisecond."""
        at, next_xid, oldest, writers = self._source.ask(_LOOK)
        self._looks.append(Look(at, int(next_xid), oldest, tuple(writers)))
        time.sleep(0.001)

    def refuse_overrides(self, since: datetime, seconds: float) -> None:
        """Look until `seconds` have passed since the source was closed, then judge.

        Raises SwitchoverUndone (fence.overridden).
        """
        end = since + timedelta(seconds=seconds)
        while not self._looks or self._looks[-1].at < end:
            self._source.deadline.check()
            self.look()
        if (found := overriding(self._looks, since)) is not None:
            raise SwitchoverUndone(
                f"clients write to the source although it is read-only by default: {who(found)}",
                id="fence.overridden",
                remedy="Stop these clients, or take the fence `lockout`, which no client can"
                " get past.",
            )


def overriding(looks: list[Look], since: datetime) -> list[dict[str, Any]] | None:
    """Sessions that wrote in transactions begun after `since`, or None if there were none.

    A transaction is seen open, or, once all older ones have gone, by the growth of the
    next transaction id; then nobody can be named and the list is empty.
    """
    quiet_at: int | None = None
    for look in looks:
        if look.at <= since:
            continue
        found = [w for w in look.writers if datetime.fromisoformat(w["xact_start"]) > since]
        if found or (quiet_at is not None and look.next_xid > quiet_at):
            return found
        if quiet_at is None and (look.oldest is None or look.oldest > since):
            quiet_at = look.next_xid
    return None
