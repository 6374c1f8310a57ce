"""Whether the place the cluster shall go to is free, large enough and within reach."""

from __future__ import annotations

from collections.abc import Iterator

from ...postgres.facts.directory import Directory, Occupant
from ...postgres.units import size
from ..facts import Facts
from ..model import Fix, Verdict, error, info, passed
from ._of import source

#: Files grow while they are copied, and a disk that is full stops the server
#: (measured: a copy without room ends with "No space left on device").
HEADROOM = 1.1


def empty(facts: Facts) -> Iterator[Verdict]:
    found = facts.destination.directory
    path = found.path
    if found.occupant is Occupant.NOTHING:
        yield passed(f"{path} is free")
    elif found.occupant is Occupant.EMPTY_CLUSTER:
        yield info(
            f"{path} holds an empty cluster. It is set aside during the migration and removed at"
            " the end.",
            occupant=found.occupant.value,
        )
    elif found.occupant is Occupant.PARTIAL_COPY:
        yield error(
            f"{path} holds the partial copy of an interrupted migration.",
            "Continue that migration (`landbridge tasks`, `landbridge resume ID`), or end it"
            " (`landbridge cancel ID`), which removes the copy.",
            Fix("shell", "destination", ("landbridge tasks",)),
            occupant=found.occupant.value,
        )
    else:
        what = "a cluster with contents" if found.occupant is Occupant.CLUSTER else "other files"
        yield error(
            f"{path} holds {what} ({', '.join(found.samples)}).",
            "Name another directory, or move this one out of the way.",
            Fix("shell", "destination", (f"mv {path} {path}.old",)),
            occupant=found.occupant.value,
            samples=list(found.samples),
        )


def disk(facts: Facts) -> Iterator[Verdict]:
    plain, spaces = _needs(facts)
    here = facts.destination
    wanted: dict[int, list[tuple[Directory, float]]] = {}
    for directory, need in [(here.directory, plain), *spaces]:
        wanted.setdefault(directory.device, []).append((directory, need))
    short = False
    for parts in wanted.values():
        need, directory = sum(n for _, n in parts), parts[0][0]
        if directory.free >= need:
            continue
        short = True
        yield error(
            f"{directory.path} has {size(directory.free)} free, {size(need)} are needed:"
            f" {HEADROOM} x the source's data there, plus the WAL on the source now.",
            "Make room or take a larger disk.",
            Fix("shell", "destination", (f"df -h {directory.path}",)),
            path=directory.path,
            free=directory.free,
            needed=int(need),
        )
    if not short:
        yield passed(
            f"{size(here.directory.free)} free, {size(plain)} needed in {here.directory.path}",
            free=here.directory.free,
            needed=int(plain),
        )


def _needs(facts: Facts) -> tuple[float, list[tuple[Directory, float]]]:
    """Bytes needed in the data directory, and in each tablespace's directory."""
    of = source(facts)
    spaces = [
        (facts.destination.tablespaces[t.location], HEADROOM * (t.size or 0))
        for t in of.tablespaces or ()
        if t.location in facts.destination.tablespaces
    ]
    elsewhere = sum(
        t.size or 0 for t in of.tablespaces or () if t.location in facts.destination.tablespaces
    )
    wal = (of.wal.directory or 0) if of.wal else 0
    return HEADROOM * (of.size - elsewhere) + wal, spaces
