"""Gathers the facts of an assessment: all of its I/O is here and in `postgres.facts`."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from ..errors import ServerFailed
from ..postgres.conninfo import Conninfo
from ..postgres.distribution import discover
from ..postgres.facts.account import read_fence_rights
from ..postgres.facts.activity import WalSample
from ..postgres.facts.connect import (
    Reached,
    address_in,
    refused,
    resolved,
    try_address,
    try_login,
    try_replication,
)
from ..postgres.facts.directory import free_space, look_at, system_identifier
from ..postgres.facts.programs import Programs, read_programs
from ..postgres.facts.read import open_asker, read_source
from ..postgres.facts.source import SourceFacts
from ..postgres.osaccount import OsAccount
from .facts import DestinationFacts, DestinationPlan, Facts, FenceAccount

#: Seconds over which the source's write rate is sampled.
SAMPLE = 1.0


def gather(
    source: Conninfo,
    destination: DestinationPlan,
    *,
    fence_as: Conninfo | None = None,
    sample: float = SAMPLE,
) -> Facts:
    """Look at the source, the way to it, and the place here. Changes nothing anywhere.

    An unreachable source is a fact (`Facts.reached`), never an exception; only several hosts
    in one connection string raise UsageError. Takes about `sample` seconds, or as long as
    the source takes to answer.
    """
    source = resolved(source)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    reached, conn = _reach(source)
    found, here = None, None
    if conn is not None:
        with closing(conn):
            try:
                ask = open_asker(conn)
                begin = WalSample(ask)
                found = read_source(source, ask)
                # The write rate is sampled while the scratch server of the canary is made.
                here = _read_destination(destination, found)
                found = replace(found, wal=begin.rate(ask, sample))
            except psycopg.Error as problem:
                found, reached = None, replace(reached, login=refused(source, 0.0, problem))
    return Facts(
        plan=destination,
        user=source.user,
        address=f"{source.host}:{source.port}",
        started=started,
        reached=reached,
        destination=here or _read_destination(destination, None),
        source=found,
        fence=_read_fence(source, fence_as) if found else None,
        source_free=_source_free(found) if found else None,
    )


def _reach(source: Conninfo) -> tuple[Reached, psycopg.Connection[Any] | None]:
    address, port, ours, theirs = try_address(source)
    if port is None or not port.ok:
        return Reached(address, port, seen_as=ours, numeric=theirs), None
    login, conn = try_login(source)
    replication = try_replication(source)
    seen = address_in(login.message) or address_in(replication.message) or ours
    return Reached(address, port, login, replication, seen, theirs), conn


def _read_destination(plan: DestinationPlan, source: SourceFacts | None) -> DestinationFacts:
    servers = OsAccount.for_servers()
    spaces = {
        t.location: look_at(Path(plan.tablespaces.get(t.location, t.location)), servers)
        for t in (source.tablespaces if source else None) or ()
        if t.location.startswith("/")
    }
    return DestinationFacts(
        directory=look_at(plan.data, servers),
        tablespaces=spaces,
        programs=_read_programs(plan, source),
        majors=tuple(sorted({d.major for d in discover()})),
        port_taken=_port_taken(plan.port),
    )


def _read_programs(plan: DestinationPlan, source: SourceFacts | None) -> Programs | None:
    if plan.distribution is None:
        return None
    if source is None or plan.distribution.major != source.server.major:
        return read_programs(plan.distribution)
    libraries, locales = source.libraries(), source.locales()
    try:
        return read_programs(plan.distribution, libraries, locales, source.orders())
    except ServerFailed as problem:
        found = read_programs(plan.distribution, libraries, locales)
        return replace(found, canary_failed=problem.message)


def _port_taken(port: int) -> bool:
    """Whether somebody listens on this port of this host."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _read_fence(source: Conninfo, fence_as: Conninfo | None) -> FenceAccount:
    """What the account for the fence may do; without a separate one, our own."""
    as_whom = fence_as or source
    attempt, conn = try_login(as_whom)
    rights = None
    if conn is not None:
        with closing(conn):
            try:
                rights = read_fence_rights(open_asker(conn))
            except psycopg.Error as problem:
                attempt = refused(as_whom, 0.0, problem)
    return FenceAccount(as_whom.user, fence_as is not None, attempt, rights)


def _source_free(source: SourceFacts) -> int | None:
    """Free bytes on the source's disk, which we see only if it is on this very host."""
    data = Path(source.server.value("data_directory") or "/nonexistent")
    same = source.server.system_identifier
    return free_space(data) if same and system_identifier(data) == same else None
