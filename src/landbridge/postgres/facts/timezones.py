"""How recent a server's time zone data is, told by rules that changed not long ago.

The data has no version one could ask for, but each rule below is known from one
release of the tz database on: the offset it yields at one moment tells old from new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ..distribution import Distribution
from .ask import Asker

_SYSTEM = Path("/usr/share/zoneinfo")


@dataclass(frozen=True)
class Rule:
    """From `release` of the tz database on, `zone` is `offset` hours ahead of UTC at `moment`."""

    release: str
    zone: str
    moment: datetime
    offset: float


#: From the NEWS file of the tz database, oldest first.
RULES: tuple[Rule, ...] = (
    Rule("2020e", "Europe/Volgograd", datetime(2021, 1, 15, tzinfo=UTC), 3),
    Rule("2022f", "America/Mexico_City", datetime(2023, 7, 1, tzinfo=UTC), -6),
    Rule("2023c", "Africa/Cairo", datetime(2023, 7, 1, tzinfo=UTC), 3),
    Rule("2024a", "Asia/Almaty", datetime(2024, 7, 1, tzinfo=UTC), 5),
    Rule("2025a", "America/Asuncion", datetime(2025, 7, 1, tzinfo=UTC), -3),
)


def read_timezones(ask: Asker) -> dict[str, float]:
    """Zone -> UTC offset in hours at the rule's moment, as the server computes it."""
    rows = ask.rows(
        "timezone_data",
        "SELECT zone, (extract(epoch FROM (to_timestamp(at) AT TIME ZONE zone))::float8 - at)"
        " / 3600 AS hours FROM unnest(%s::text[], %s::float8[]) AS rule (zone, at)",
        [[r.zone for r in RULES], [r.moment.timestamp() for r in RULES]],
    )
    return {row.zone: round(row.hours, 2) for row in rows or ()}


def local_timezones(distribution: Distribution) -> dict[str, float]:
    """The same for server programs of this host: their own data, or the system's."""
    own = distribution.share / "timezone"
    folder = own if own.is_dir() else _SYSTEM
    found: dict[str, float] = {}
    for rule in RULES:
        try:
            with (folder / rule.zone).open("rb") as file:
                zone = ZoneInfo.from_file(file)
        except (OSError, ValueError):
            continue
        offset = rule.moment.astimezone(zone).utcoffset()
        if offset is not None:
            found[rule.zone] = round(offset.total_seconds() / 3600, 2)
    return found


def newest_known(offsets: Mapping[str, float]) -> str | None:
    """The latest release whose rule these offsets follow; None if they follow none.

    >>> newest_known({"Europe/Volgograd": 3.0, "America/Mexico_City": -5.0})
    '2020e'
    """
    known = [r.release for r in RULES if offsets.get(r.zone) == r.offset]
    return known[-1] if known else None
