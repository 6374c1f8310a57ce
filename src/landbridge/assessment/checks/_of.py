"""Short ways to facts that the registry has already made sure of (`Check.needs`)."""

from __future__ import annotations

from collections.abc import Iterable

from ...postgres.facts.programs import Programs
from ...postgres.facts.server import ServerFacts
from ...postgres.facts.source import SourceFacts
from ...postgres.units import duration
from ..facts import Facts

#: What to do about a line that lets connect but not work.
GIVE_BANDWIDTH = "Look at the bandwidth allocated to the line, and allocate more."


def source(facts: Facts) -> SourceFacts:
    assert facts.source is not None
    return facts.source


def server(facts: Facts) -> ServerFacts:
    return source(facts).server


def programs(facts: Facts) -> Programs:
    assert facts.destination.programs is not None
    return facts.destination.programs


def on_loopback(facts: Facts) -> bool:
    """Whether the way to the source leaves this host at all."""
    numeric = facts.reached.numeric
    return numeric is None or numeric.startswith("127.") or numeric == "::1"


def carried(facts: Facts) -> float | None:
    """Bytes per second the full copy may count on: the line's, or less if it is capped."""
    line = facts.reached.line
    rate = line.rate if line else None
    cap = facts.plan.max_rate
    return rate if cap is None else min(rate or cap, cap)


def copy_seconds(facts: Facts) -> float | None:
    """How long the full copy takes at that rate, uncompressed."""
    rate = carried(facts)
    return source(facts).size / rate if rate else None


def listing(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def ago(seconds: float) -> str:
    return duration(max(0.0, seconds))
