"""Gathers the facts of an assessment: all of its I/O is here and in `postgres.facts`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from ..errors import ServerFailed
from ..postgres.configcheck import refused_values
from ..postgres.conninfo import Conninfo
from ..postgres.distribution import discover
from ..postgres.facts.account import read_account, read_fence_rights
from ..postgres.facts.activity import WalSample
from ..postgres.facts.connect import (
    Reached,
    address_in,
    refused,
    resolved,
    try_address,
    try_line,
    try_login,
    try_replication,
)
from ..postgres.facts.directory import free_space, look_at, system_identifier
from ..postgres.facts.neighbours import Home, neighbours
from ..postgres.facts.programs import Programs, read_programs
from ..postgres.facts.read import open_asker, read_source
from ..postgres.facts.server import read_server
from ..postgres.facts.source import LIBRARY_SETTINGS, SourceFacts, split_list
from ..postgres.osaccount import OsAccount
from ..postgres.ports import taken_address
from .facts import DestinationFacts, DestinationPlan, Facts, FenceAccount, Port

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
    if conn is not None and reached.stalled:
        conn.close()
    elif conn is not None:
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


def gather_way(source: Conninfo, destination: DestinationPlan) -> Facts:
    """No more than the way to the source, its server and our account. Raises as `gather`."""
    source = resolved(source)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    reached, conn = _reach(source, load=False)
    found = None
    if conn is not None:
        with closing(conn):
            try:
                ask = open_asker(conn)
                account = read_account(ask)
                found = SourceFacts(read_server(ask), account, unseen=ask.unseen)
            except psycopg.Error as problem:
                reached = replace(reached, login=refused(source, 0.0, problem))
    return Facts(
        plan=destination,
        user=source.user,
        address=f"{source.host}:{source.port}",
        started=started,
        reached=reached,
        destination=DestinationFacts(
            look_at(destination.data, OsAccount.numbered(destination.os_account))
        ),
        source=found,
    )


def _reach(
    source: Conninfo, *, load: bool = True
) -> tuple[Reached, psycopg.Connection[Any] | None]:
    """How far we get; with `load` also what the line carries."""
    address, port, ours, theirs = try_address(source)
    if port is None or not port.ok:
        return Reached(address, port, seen_as=ours, numeric=theirs), None
    login, conn = try_login(source)
    replication = try_replication(source)
    seen = address_in(login.message) or address_in(replication.message) or ours
    line, unmeasured = try_line(source) if conn is not None and load else (None, "")
    return Reached(address, port, login, replication, seen, theirs, line, unmeasured), conn


def _read_destination(plan: DestinationPlan, source: SourceFacts | None) -> DestinationFacts:
    servers = OsAccount.numbered(plan.os_account)
    spaces = {
        t.location: look_at(Path(plan.tablespaces.get(t.location, t.location)), servers)
        for t in (source.tablespaces if source else None) or ()
        if t.location.startswith("/")
    }
    directory = look_at(plan.data, servers)
    home = _home(source) if source else None
    return DestinationFacts(
        directory=directory,
        tablespaces=spaces,
        programs=_read_programs(plan, source),
        majors=tuple(sorted({d.major for d in discover()})),
        neighbours={d.path: neighbours(Path(d.path), home) for d in (directory, *spaces.values())},
        refused_settings=_refused_settings(plan),
        port=_look_at_port(plan),
    )


def _home(source: SourceFacts) -> Home | None:
    data = source.server.value("data_directory")
    spaces = tuple(t.location for t in source.tablespaces or ())
    return Home(data, spaces, source.server.system_identifier) if data else None


def _refused_settings(plan: DestinationPlan) -> dict[str, str]:
    """What the server programs say to the plan's settings; nothing without programs."""
    if plan.distribution is None:
        return {}
    refused = refused_values(plan.distribution, plan.settings)
    for name in LIBRARY_SETTINGS:
        gone = [
            library
            for library in split_list(plan.settings.get(name, ""))
            if not plan.distribution.has_library(library)
        ]
        if gone:
            refused[name] = f"these programs have no library {', '.join(gone)}"
    for name in ("ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"):
        file = Path(plan.settings.get(name, ""))
        if file.is_absolute() and not file.is_file():
            refused[name] = f"this host has no file {file}"
    return refused


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


def _look_at_port(plan: DestinationPlan) -> Port:
    """Whether a server may listen on the plan's port, by trying it."""
    if plan.port < _first_unprivileged_port():
        return Port.CLOSED
    return Port.TAKEN if taken_address(plan.listen or "*", plan.port) else Port.FREE


def _first_unprivileged_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


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
