"""Whether the destination's programs can read the source's files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ...postgres.facts.timezones import newest_known
from ..facts import Facts
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import programs, server

OLDEST = 10
#: Seconds the clocks may differ before it is worth a word.
CLOCK = 2.0
_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


def major(facts: Facts) -> Iterator[Verdict]:
    source, here = server(facts), facts.destination.programs
    if source.major < OLDEST:
        yield error(
            f"The source is PostgreSQL {source.version}; {OLDEST} is the oldest that can be moved.",
            "Upgrade the source first, or move it with pg_dump.",
            version=source.version,
        )
    elif here is None or here.major != source.major:
        have = ", ".join(map(str, facts.destination.majors)) or "none"
        given = f" (given: {here.version})" if here else ""
        yield error(
            f"The source is PostgreSQL {source.version}; a physical copy needs server programs of"
            f" major {source.major} at the destination{given}.",
            f"Install PostgreSQL {source.major} on the destination's host, which has: {have}.",
            Fix("shell", "destination", (f"apt-get install postgresql-{source.major}",)),
            source=source.version,
            destination=here.version if here else None,
            majors=list(facts.destination.majors),
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


def architecture(facts: Facts) -> Iterator[Verdict]:
    words = server(facts).platform
    match = re.search(r" on ([A-Za-z0-9_]+)-", words)
    theirs = "windows" if "Visual C++" in words or "msvc" in words else match[1] if match else ""
    theirs, ours = _SAME.get(theirs, theirs), programs(facts).architecture
    if theirs and theirs != _SAME.get(ours, ours):
        yield error(
            f"The source runs on {theirs}, this host is {ours}: data files are not portable"
            " between architectures.",
            "Take a destination of the same architecture, or move with pg_dump.",
            source=theirs,
            destination=ours,
        )
    else:
        yield passed(f"both sides are {ours}")


def sizes(facts: Facts) -> Iterator[Verdict]:
    source, compiled = server(facts), programs(facts).compiled
    # Until 10 the WAL segment size was fixed when compiling; later the copy brings its own.
    names = [n for n in compiled if n != "wal_segment_size" or source.major == 10]
    differing = [n for n in names if n in source.settings and source.number(n) != compiled[n]]
    for name in differing:
        yield error(
            f"{name} is {source.value(name)} on the source; the destination's programs were"
            f" compiled with {compiled[name]}.",
            "Take server programs compiled with the same sizes.",
            setting=name,
            source=source.number(name),
            destination=compiled[name],
        )
    if not differing:
        yield passed("block, WAL block and segment sizes agree")


def checksums(facts: Facts) -> Iterator[Verdict]:
    if server(facts).checksums is False:
        yield info(
            "The source has no data checksums, and neither will its copy: damaged pages cannot be"
            " told from good ones.",
            "After the migration, in a maintenance window (offline): pg_checksums.",
            Fix(
                "shell",
                "destination",
                (f"pg_checksums --enable -D {shlex.quote(facts.destination.directory.path)}",),
            ),
        )
    else:
        yield passed("data checksums are on")


def clock(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    if abs(of.clock_offset) > CLOCK + of.round_trip:
        way = "ahead of" if of.clock_offset > 0 else "behind"
        yield info(
            f"The source's clock is {abs(of.clock_offset):.1f} s {way} ours. now() jumps by as"
            " much at the switchover, and lag in seconds is off by it.",
            "Synchronise both hosts with NTP.",
            Fix("shell", "destination", ("timedatectl",)),
            seconds=of.clock_offset,
        )
    else:
        yield passed(f"the clocks differ by {abs(of.clock_offset):.3f} s", seconds=of.clock_offset)


def timezone_data(facts: Facts) -> Iterator[Verdict]:
    theirs, ours = server(facts).timezone_data, programs(facts).timezone_data
    differing = sorted(z for z in theirs if z in ours and theirs[z] != ours[z])
    if differing:
        yield info(
            f"Time zone rules differ for {', '.join(differing)}: the source follows release"
            f" {newest_known(theirs) or 'before 2020e'}, the destination"
            f" {newest_known(ours) or 'before 2020e'} of the tz database. Local times there will"
            " be computed differently.",
            "Bring the older side up to date (tzdata, or a newer minor release).",
            zones=differing,
        )
    else:
        yield passed(f"both follow release {newest_known(ours) or 'unknown'} of the tz database")
