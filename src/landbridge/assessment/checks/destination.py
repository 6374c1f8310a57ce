"""Whether the place the cluster shall go to is free, large enough and within reach."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...postgres.facts.directory import Directory, Occupant
from ...postgres.units import size
from ..facts import Facts
from ..model import Fix, Verdict, error, info, passed
from ._of import server, source

#: One factor for all: tables and indexes grow while they are copied, and a disk that is
#: full ends the copy, or later the server (measured: "No space left on device").
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
            "Continue that migration (`landbridge resume ID`), or end it (`landbridge cancel"
            " ID`), which removes the copy.",
            Fix("shell", "destination", ("landbridge tasks",)),
            occupant=found.occupant.value,
        )
    else:
        what = "a cluster with contents" if found.occupant is Occupant.CLUSTER else "other files"
        quoted = shlex.quote(path)
        yield error(
            f"{path} holds {what} ({', '.join(found.samples)}).",
            "Name another directory, or move this one out of the way.",
            Fix("shell", "destination", (f"mv {quoted} {quoted}.old",)),
            occupant=found.occupant.value,
            samples=list(found.samples),
        )


def identity(facts: Facts) -> Iterator[Verdict]:
    theirs = server(facts).system_identifier
    here = facts.destination.directory
    if here.system_identifier == theirs:
        yield error(
            f"{here.path} already holds the same cluster (system identifier {theirs}): a copy of"
            " the source, or the source itself.",
            "If it is an earlier copy nobody needs, remove it; never point a migration at the"
            " source's own directory.",
            system_identifier=theirs,
        )
    else:
        yield passed(f"the source is cluster {theirs}; it is not here yet")


def running(facts: Facts) -> Iterator[Verdict]:
    here = facts.destination.directory
    if here.running_pid is not None:
        yield error(
            f"A server (process {here.running_pid}) runs on {here.path}; its sessions would be"
            " cut off.",
            "Stop it, or name another directory.",
            Fix("shell", "destination", (f"pg_ctl stop -D {shlex.quote(here.path)}",)),
            pid=here.running_pid,
        )


def port(facts: Facts) -> Iterator[Verdict]:
    number = facts.plan.port
    if facts.destination.port_taken:
        yield error(
            f"Something listens on port {number} of this host already.",
            "Choose another port (--port), or stop what listens there.",
            Fix("shell", "destination", (f"ss -ltnp 'sport = :{number}'",)),
            port=number,
        )
    else:
        yield passed(f"port {number} is free")


def access(facts: Facts) -> Iterator[Verdict]:
    fine = True
    for directory in (facts.destination.directory, *facts.destination.tablespaces.values()):
        if directory.writable and directory.reachable:
            continue
        fine = False
        blocked = shlex.quote(directory.blocked_at or directory.path)
        who, right = ("we", "write to") if not directory.writable else (
            "the account that runs servers", "enter"
        )  # fmt: skip
        yield error(
            f"{directory.path} cannot be filled: {who} may not {right} {directory.blocked_at}.",
            "Open that folder, or name a directory elsewhere.",
            Fix(
                "shell",
                "destination",
                (f"chmod o+x {blocked}" if directory.writable else f"ls -ld {blocked}",),
            ),
            blocked_at=directory.blocked_at,
        )
    if fine:
        yield passed(f"{facts.destination.directory.path} can be made and filled")


def disk(facts: Facts) -> Iterator[Verdict]:
    plain, spaces = _needs(facts)
    here = facts.destination.directory
    by_device: dict[int, list[tuple[Directory, float]]] = {}
    for directory, need in [(here, plain), *spaces]:
        by_device.setdefault(directory.device, []).append((directory, need))
    short = False
    for parts in by_device.values():
        need, directory = sum(n for _, n in parts), parts[0][0]
        if directory.free >= need:
            continue
        short = True
        yield error(
            f"{directory.path} has {size(directory.free)} free, {size(need)} are needed:"
            f" {HEADROOM} x the source's data there, and as much WAL as the source keeps now.",
            "Make room, or take a larger disk.",
            Fix("shell", "destination", (f"df -h {shlex.quote(directory.path)}",)),
            path=directory.path,
            free=directory.free,
            needed=int(need),
        )
    if not short:
        yield passed(
            f"{size(here.free)} free, {size(plain)} needed in {here.path}"
            f" ({HEADROOM} x data, plus WAL)",
            free=here.free,
            needed=int(plain),
        )


def _needs(facts: Facts) -> tuple[float, list[tuple[Directory, float]]]:
    """Bytes needed in the data directory, and in each tablespace's directory."""
    of, mapped = source(facts), facts.destination.tablespaces
    elsewhere = [t for t in of.tablespaces or () if t.location in mapped]
    wal = (of.wal.directory or 0) if of.wal else 0
    plain = HEADROOM * (of.size - sum(t.size or 0 for t in elsewhere)) + wal
    return plain, [(mapped[t.location], HEADROOM * (t.size or 0)) for t in elsewhere]


def tablespaces(facts: Facts) -> Iterator[Verdict]:
    of, mapped = source(facts), facts.destination.tablespaces
    taken: dict[str, str] = {}
    fine = True
    for space in of.tablespaces or ():
        directory = mapped.get(space.location)
        if directory is None:
            continue  # in-place (15+, allow_in_place_tablespaces): it moves with the directory
        inside = (directory.path + "/").startswith(facts.destination.directory.path + "/")
        if directory.occupant is Occupant.NOTHING and not inside and directory.path not in taken:
            taken[directory.path] = space.name
            continue
        fine = False
        why = (
            "lies inside the data directory" if inside
            else f"is already given to {taken[directory.path]}" if directory.path in taken
            else f"is not empty ({', '.join(directory.samples) or directory.occupant.value})"
        )  # fmt: skip
        old = shlex.quote(space.location)
        yield error(
            f"Tablespace {space.name} lies at {space.location} on the source; {directory.path},"
            f" where it would go here, {why}.",
            "Map it to a free directory of this host.",
            Fix("shell", "destination", (f"landbridge migrate ... --tablespace {old}=DIRECTORY",)),
            tablespace=space.name,
            location=space.location,
            directory=directory.path,
        )
    if fine and taken:
        yield passed(f"{len(taken)} can be placed: {', '.join(sorted(taken))}")
