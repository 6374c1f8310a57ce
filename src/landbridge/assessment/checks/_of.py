"""Short ways to facts that the registry has already made sure of (`Check.needs`)."""

from __future__ import annotations

from ...postgres.facts.programs import Programs
from ...postgres.facts.server import ServerFacts
from ...postgres.facts.source import SourceFacts
from ..facts import Facts


def source(facts: Facts) -> SourceFacts:
    assert facts.source is not None
    return facts.source


def server(facts: Facts) -> ServerFacts:
    return source(facts).server


def programs(facts: Facts) -> Programs:
    assert facts.destination.programs is not None
    return facts.destination.programs
