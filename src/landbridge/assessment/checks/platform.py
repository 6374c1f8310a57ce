"""Whether the destination's programs can read the source's files."""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Facts
from ..model import Fix, Verdict, error, passed, warning
from ._of import programs, server

OLDEST = 10


def major(facts: Facts) -> Iterator[Verdict]:
    source, here = server(facts), facts.destination.programs
    if source.major < OLDEST:
        yield error(
            f"The source is PostgreSQL {source.version}; 10 is the oldest that can be moved.",
            "Upgrade the source first, or move it with pg_dump.",
            version=source.version,
        )
    elif here is None or here.major != source.major:
        have = ", ".join(map(str, facts.destination.majors)) or "none"
        yield error(
            f"The source is PostgreSQL {source.version}; a physical copy needs server programs of"
            f" major {source.major} at the destination, which has: {have}.",
            f"Install PostgreSQL {source.major} on the destination's host.",
            Fix("shell", "destination", (f"apt-get install postgresql-{source.major}",)),
            source=source.version,
            destination=list(facts.destination.majors),
        )
    else:
        yield passed(f"both sides run major {source.major}", source=source.version)


def minor(facts: Facts) -> Iterator[Verdict]:
    source, here = server(facts), programs(facts)
    if here.major == source.major and here.minor < source.minor:
        yield warning(
            f"The source runs {source.version}, the destination's programs are {here.version},"
            " older: fixes of the newer minor release will be missing.",
            "Bring the destination to at least the same minor release.",
            Fix("shell", "destination", (f"apt-get install postgresql-{source.major}",)),
            source=source.version,
            destination=here.version,
        )
    else:
        yield passed(f"{source.version} moves to {here.version}")
