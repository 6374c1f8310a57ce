"""Whether the place the cluster shall go to is free, large enough and within reach."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from ...postgres.cluster import has_plain_name
from ...postgres.facts.directory import Directory, Occupant
from ...postgres.facts.neighbours import Neighbour
from ...postgres.units import size
from ..facts import Facts, Port
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import server, source

#: One factor for all: tables and indexes grow while they are copied, and a disk that is
#: full ends the copy, or later the server (measured: "No space left on device").
HEADROOM = 1.1


def empty(facts: Facts) -> Iterator[Verdict]:
    """No line of ours moves or removes anything: what lies there may be in use elsewhere."""
    found = facts.destination.directory
    path, data = found.path, {"occupant": found.occupant.value}
    if found.occupant is Occupant.NOTHING:
        yield passed(f"{path} is free")
    elif found.occupant is Occupant.UNSEEN:
        yield info(f"What lies in {path} cannot be seen: {found.blocked_at} is closed.", **data)
    elif found.occupant is Occupant.EMPTY_CLUSTER:
        yield _empty_cluster(facts, found)
    elif found.occupant is Occupant.PARTIAL_COPY:
        yield error(
            f"{path} holds the partial copy of an interrupted migration.",
            "Continue that migration (`landbridge resume ID`), or end it (`landbridge cancel"
            " ID`), which removes the copy.",
            Fix("shell", "destination", ("landbridge tasks",)),
            **data,
        )
    else:
        what = "other files"
        if found.occupant is Occupant.CLUSTER:
            what = f"a cluster of PostgreSQL {found.major or '(version unknown)'} with contents"
        yield error(
            f"{path} holds {what} ({', '.join(found.samples)}).",
            "Name another directory.",
            Fix("shell", "destination", (f"ls -lA {shlex.quote(path)}",)),
            samples=list(found.samples),
            **data,
        )


def _empty_cluster(facts: Facts, found: Directory) -> Verdict:
    """One that initdb made and nobody used is in the way too, unless it was given up."""
    wanted = facts.source.server.major if facts.source else None
    said = f"{found.path} holds an empty cluster of PostgreSQL {found.major}"
    data: dict[str, Any] = {"occupant": found.occupant.value, "major": found.major}
    if wanted is not None and found.major != wanted:
        return error(
            f"{said}; the source is PostgreSQL {wanted}.", "Name another directory.", **data
        )
    if facts.plan.replaces_empty_cluster:
        return info(
            f"{said}. It is set aside beside its place, and put back if the migration is given up.",
            **data,
        )
    return error(
        f"{said}.",
        "Name another directory, or have it set aside (--replace-empty).",
        Fix("shell", "destination", ("landbridge migrate ... --replace-empty",)),
        **data,
    )


def identity(facts: Facts) -> Iterator[Verdict]:
    theirs = server(facts).system_identifier
    here = facts.destination.directory
    if here.system_identifier == theirs:
        yield error(
            f"{here.path} already holds the same cluster (system identifier {theirs}): the source"
            " itself, a standby or an earlier copy of it.",
            "Name another directory. Whether this one is still needed, for instance by a"
            " container or another host, cannot be seen from here.",
            system_identifier=theirs,
        )
    else:
        yield passed(f"the source is cluster {theirs}; it is not here yet")


def running(facts: Facts) -> Iterator[Verdict]:
    """Directories of a cluster in use are taken, and so is whatever lies in or around them."""
    fine = True
    spaces = facts.destination.tablespaces.values()
    elsewhere = {d.path for d in spaces if d.occupant is not Occupant.NOTHING}
    for path, found in facts.destination.neighbours.items():
        for neighbour in found if path not in elsewhere else ():  # `tablespaces` speaks
            fine = False
            yield error(
                f"{path} {neighbour.relation.value} {_whose(neighbour, path)}.",
                "Name a directory that no cluster uses, and leave this one as it is.",
                directory=path,
                relation=neighbour.relation.name.lower(),
                cluster=neighbour.path,
                source=neighbour.source,
                pid=neighbour.pid,
            )
    if fine:
        yield passed("no cluster's directories are touched")


def _whose(neighbour: Neighbour, path: str) -> str:
    what = "tablespace" if neighbour.tablespace else "data directory"
    who = f"the {what} of {'a running server' if neighbour.pid else 'another cluster'}"
    if neighbour.source:
        who = f"the source's own {what}"
    named = who if neighbour.path == path else f"{neighbour.path}, {who}"
    return named + (f" (process {neighbour.pid})" if neighbour.pid else "")


def port(facts: Facts) -> Iterator[Verdict]:
    number = facts.plan.port
    if facts.destination.port is Port.TAKEN:
        yield error(
            f"Something listens on port {number} of this host already.",
            "Choose another port (--port), or stop what listens there.",
            Fix("shell", "destination", (f"ss -ltnp 'sport = :{number}'",)),
            port=number,
        )
    elif facts.destination.port is Port.CLOSED:
        yield error(
            f"Port {number} is open to privileged processes only; a PostgreSQL server is none.",
            "Choose a higher port (--port).",
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
        if facts.destination.neighbours.get(directory.path):
            continue  # `running` speaks; a data directory that others may enter is refused
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


def path(facts: Facts) -> Iterator[Verdict]:
    """What a data directory of an odd name or a long path costs afterwards."""
    data = facts.plan.data
    if odd := sorted(set(str(data)) & set('"$`\\\n')):
        yield warning(
            f"pg_ctl cannot start a server in {data}: it puts the path between double quotes and"
            f" hands it to a shell, to which {' '.join(odd)} means something.",
            "Name another directory, or start it without pg_ctl (postgres -D).",
        )
    if not has_plain_name(data):
        yield warning(
            f"No socket can be named in {data}.landbridge: it is longer than 90 bytes or has"
            " unusual characters. Until the switchover the socket is in /tmp; from the next start"
            " on it is in the data directory, where psql does not find it, and the server is"
            " reached over TCP.",
            "Name a shorter, plainer directory, such as /srv/postgres/15.",
        )
    elif not odd:
        yield passed(f"{data} is short and plain enough for a socket")


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
    unknown = facts.plan.tablespaces.keys() - mapped.keys() if of.tablespaces is not None else ()
    for old in sorted(unknown):
        fine = False
        known = f"; there are {', '.join(sorted(mapped))}" if mapped else ": it has none"
        yield error(
            f"--tablespace {old}={facts.plan.tablespaces[old]}: the source has no tablespace at"
            f" {old}{known}.",
            "Name the location as it is on the source.",
        )
    for space in of.tablespaces or ():
        directory = mapped.get(space.location)
        if directory is None:
            continue  # in-place (15+, allow_in_place_tablespaces): it moves with the directory
        data = facts.destination.directory.path
        inside = (directory.path + "/").startswith(data + "/")
        around = (data + "/").startswith(directory.path + "/")
        apart = not (inside or around)
        if directory.occupant is Occupant.NOTHING and apart and directory.path not in taken:
            taken[directory.path] = space.name
            continue
        fine = False
        why = (
            "lies inside the data directory" if inside
            else "holds the data directory" if around
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
