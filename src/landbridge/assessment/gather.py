"""Gathers the facts of an assessment: all of its I/O is here and in `postgres.facts`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from ..postgres.conninfo import Conninfo
from ..postgres.distribution import discover
from ..postgres.facts import account, activity, databases
from ..postgres.facts.ask import Asker, first_line, prepare_session
from ..postgres.facts.connect import (
    Reached,
    address_in,
    try_address,
    try_login,
    try_replication,
)  # fmt: skip
from ..postgres.facts.directory import look_at
from ..postgres.facts.programs import read_programs
from ..postgres.facts.server import read_server
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

    An unreachable source is a fact (`Facts.reached`), never an exception. Takes about
    `sample` seconds, plus what the source takes to answer.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    reached, conn = _reach(source)
    found: SourceFacts | None = None
    if conn is not None:
        with closing(conn):
            found = _read_source(source, conn, sample)
    return Facts(
        plan=destination,
        user=source.user,
        address=f"{source.host}:{source.port}",
        started=started,
        reached=reached,
        destination=_read_destination(destination, found),
        source=found,
        fence=_read_fence(source, fence_as) if found else None,
    )


def _reach(source: Conninfo) -> tuple[Reached, psycopg.Connection[Any] | None]:
    address, port, ours, theirs = try_address(source)
    if port is None or not port.ok:
        return Reached(address, port, seen_as=ours, numeric=theirs), None
    login, conn = try_login(source)
    replication = try_replication(source)
    seen = address_in(login.message) or address_in(replication.message) or ours
    if conn is not None:
        row = conn.execute("SELECT host(inet_client_addr())").fetchone()
        seen = row[0] if row else seen
    return Reached(address, port, login, replication, seen, theirs), conn


def _read_source(source: Conninfo, conn: psycopg.Connection[Any], sample: float) -> SourceFacts:
    prepare_session(conn)
    ask = Asker(conn)
    begin = activity.WalSample(ask)
    names = databases.read_databases(ask)
    facts = SourceFacts(
        server=read_server(ask),
        account=account.read_account(ask),
        roles=account.read_roles(ask),
        overrides=account.read_overrides(ask),
        databases=names,
        tablespaces=databases.read_tablespaces(ask),
        sessions=activity.read_sessions(ask),
        prepared=activity.read_prepared(ask),
        slots=activity.read_slots(ask),
        standbys=activity.read_standbys(ask),
        subscriptions=activity.read_subscriptions(ask),
        archiver=activity.read_archiver(ask),
    )
    unseen = dict(ask.unseen)
    contents = tuple(_read_contents(source, names or (), unseen))
    return replace(facts, contents=contents, wal=begin.rate(ask, sample), unseen=unseen)


def _read_contents(
    source: Conninfo, names: tuple[databases.Database, ...], unseen: dict[str, str]
) -> Iterator[databases.Contents]:
    """Look into every database that lets us in."""
    for database in names:
        if not database.connectable:
            continue
        attempt, conn = try_login(source.with_(dbname=database.name))
        if conn is None:
            unseen[f"database {database.name}"] = attempt.message
            continue
        with closing(conn):
            try:
                prepare_session(conn)
                ask = Asker(conn)
                yield databases.read_contents(ask, database.name)
                unseen |= ask.unseen
            except psycopg.Error as problem:
                unseen[f"database {database.name}"] = first_line(problem)


def _read_destination(plan: DestinationPlan, source: SourceFacts | None) -> DestinationFacts:
    servers = OsAccount.for_servers()
    here = discover()
    spaces = {
        t.location: look_at(Path(plan.tablespaces.get(t.location, t.location)), servers)
        for t in (source.tablespaces if source else None) or ()
        if t.location.startswith("/")
    }
    return DestinationFacts(
        directory=look_at(plan.data, servers),
        tablespaces=spaces,
        programs=read_programs(plan.distribution) if plan.distribution else None,
        majors=tuple(sorted({d.major for d in here})),
        port_taken=_port_taken(plan.port),
    )


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
            prepare_session(conn)
            rights = account.read_fence_rights(Asker(conn))
    return FenceAccount(as_whom.user, fence_as is not None, attempt, rights)
