"""Reaching a server step by step: address, port, login, replication connection."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from ...errors import UsageError
from ..conninfo import Conninfo
from ..refusal import Refusal, classify
from .ask import first_line, prepare_session
from .line import Line, measure_line

#: Seconds for one step of the way.
PATIENCE = 5.0


#: What libpq puts before the server's words, once for each address and mode it tried.
_PREFIX = re.compile(r"(connection failed: )?connection to server (at|on socket) .*? failed: ")


@dataclass(frozen=True)
class Attempt:
    """One step of the way: whether it worked, how long it took, or what was said."""

    ok: bool
    seconds: float = 0.0
    refusal: Refusal | None = None
    message: str = ""
    """The server's or the system's own words, without any password."""


@dataclass(frozen=True)
class Reached:
    """How far we got; None where an earlier step already failed."""

    address: Attempt
    port: Attempt | None = None
    login: Attempt | None = None
    replication: Attempt | None = None
    seen_as: str | None = None
    """The address the source sees us from; None over a Unix socket or when unknown."""
    numeric: str | None = None
    """The source's own address, as it was resolved."""
    line: Line | None = None
    """What the way carries."""
    unmeasured: str = ""
    """The source's words where it did not let us measure the line."""

    @property
    def stalled(self) -> bool:
        """Whether a login passes, but not a transfer: no more can be asked over such a line."""
        return self.line is not None and self.line.rate is None


def resolved(conninfo: Conninfo) -> Conninfo:
    """The same with the host and port that libpq takes from PGHOST, PGPORT or a service file.

    Raises UsageError for several hosts: a replication slot lives on one server.
    """
    given = conninfo.parameters
    if any("," in given.get(name, "") for name in ("host", "hostaddr", "port")):
        raise UsageError(
            "the connection string names several servers",
            id="conninfo.several_hosts",
            remedy="Name the one to migrate from: its replication slot lives on no other.",
        )
    if given.get("host") or given.get("hostaddr"):
        return conninfo
    link = pq.PGconn.connect_start(make_conninfo(**given).encode())
    host, port = link.host.decode(), link.port.decode()
    link.finish()
    return conninfo.with_(host=host, port=port) if host else conninfo


def try_address(conninfo: Conninfo) -> tuple[Attempt, Attempt | None, str | None, str | None]:
    """TCP only: (address, port, our own address towards it, its numeric address)."""
    host = conninfo.parameters.get("hostaddr") or conninfo.host
    if host.startswith(("/", "@")):
        path = Path(f"{host}/.s.PGSQL.{conninfo.port}")
        if host.startswith("@") or path.exists():
            return Attempt(True), Attempt(True), None, None
        refused = Attempt(False, 0.0, Refusal.PORT, f"there is no socket {path}")
        return Attempt(Path(host).is_dir()), refused, None, None
    begin = time.monotonic()
    try:
        found = socket.getaddrinfo(host, conninfo.port, type=socket.SOCK_STREAM)
    except OSError as problem:
        return _failed(begin, Refusal.ADDRESS, problem), None, None, None
    problem_seen: OSError = OSError("no address")
    for family, kind, protocol, _, target in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(PATIENCE)
            begin = time.monotonic()
            try:
                probe.connect(target)
            except OSError as problem:
                problem_seen = problem
                continue
            attempt = Attempt(True, time.monotonic() - begin)
            return attempt, attempt, str(probe.getsockname()[0]), str(target[0])
    if isinstance(problem_seen, ConnectionRefusedError):
        return Attempt(True), _failed(begin, Refusal.PORT, problem_seen), None, None
    return _failed(begin, Refusal.ADDRESS, problem_seen), None, None, None


def try_replication(conninfo: Conninfo) -> Attempt:
    """Open a physical replication connection and ask IDENTIFY_SYSTEM over it."""
    begin = time.monotonic()
    try:
        with psycopg.connect(autocommit=True, **conninfo.keywords(replication="true")) as conn:
            conn.execute("IDENTIFY_SYSTEM")
    except psycopg.Error as problem:
        return refused(conninfo, begin, problem)
    return Attempt(True, time.monotonic() - begin)


def try_login(conninfo: Conninfo) -> tuple[Attempt, psycopg.Connection[Any] | None]:
    """Log in; the connection is the caller's to close."""
    begin = time.monotonic()
    try:
        conn = psycopg.connect(autocommit=True, **conninfo.keywords())
    except psycopg.Error as problem:
        return refused(conninfo, begin, problem), None
    return Attempt(True, time.monotonic() - begin), conn


def try_line(conninfo: Conninfo) -> tuple[Line | None, str]:
    """Load the line for less than half a second, or until it stalls; or why it may not be.

    On a connection of its own: a stalled one is of no more use.
    """
    attempt, conn = try_login(conninfo)
    if conn is None:
        return None, attempt.message
    with closing(conn):
        try:
            prepare_session(conn)
            return measure_line(conn), ""
        except psycopg.Error as problem:
            return None, first_line(problem)


def refused(conninfo: Conninfo, begin: float, problem: Exception) -> Attempt:
    """The failed attempt that an exception of psycopg stands for, with its words masked."""
    text = _PREFIX.sub("", " ".join(str(problem).split()))
    if conninfo.password is not None and conninfo.password.reveal():
        text = text.replace(conninfo.password.reveal(), "********")
    return Attempt(False, time.monotonic() - begin, classify(text), text)


def address_in(message: str) -> str | None:
    """The address a server says it saw us from when pg_hba.conf turned us away.

    >>> address_in('no pg_hba.conf entry for host "10.1.2.3", user "u", database "d"')
    '10.1.2.3'
    """
    match = re.search(r"pg_hba\.conf.*?[\"“»«„「]([0-9a-fA-F.:]+)[\"”«»“」]", message)
    return match[1] if match else None


def _failed(begin: float, refusal: Refusal, problem: OSError) -> Attempt:
    text = problem.strerror or str(problem)
    return Attempt(False, time.monotonic() - begin, refusal, text)
