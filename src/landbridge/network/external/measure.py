"""What the way from this host to a server is worth; needs no more than a login.

Everything is measured from here, as the destination of a migration sees it, over one
connection, and in the direction of a copy: from the server to us. A shared line gives more
to several connections and less at another hour.
"""

from __future__ import annotations

import socket
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from ...postgres.conninfo import Conninfo, unreachable
from ...postgres.facts.connect import PATIENCE, resolved
from ...postgres.facts.line import Line, measure_line
from ..fabric import Outcome, ProbeAnswer
from ..pgwire import probe, probe_replication

#: Seconds that the line is loaded by default: TCP needs some to find its pace.
BUDGET = 1.0
_ROUND_TRIPS = 21


@dataclass(frozen=True)
class Quality:
    """What a login found."""

    tls: str | None
    """Version and cipher that our connection really uses, None in clear text."""
    round_trip: float
    """Seconds for the smallest question and its answer, the median of several."""
    line: Line
    """Bytes per second that arrived, and what the kernel says of the connection."""


@dataclass(frozen=True)
class Measured:
    """How far this host gets: pg_hba first, then a login."""

    login: ProbeAnswer
    replication: ProbeAnswer
    """A copy needs it: pg_hba keeps a line of its own for replication."""
    quality: Quality | None
    """None when `login` already failed."""


def measure(conninfo: Conninfo, budget: float = BUDGET) -> Measured:
    """Probe and log in to a server, loading the line for about `budget` seconds.

    UsageError for several hosts; ServerUnreachable (masked) when the server answers but the
    login fails or breaks.
    """
    conninfo = resolved(conninfo)
    host = conninfo.parameters.get("hostaddr") or conninfo.host

    def dial(seconds: float) -> socket.socket:
        if not host.startswith("/"):
            return socket.create_connection((host, conninfo.port), seconds)
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(seconds)
        local.connect(f"{host}/.s.PGSQL.{conninfo.port}")
        return local

    database = conninfo.parameters.get("dbname", conninfo.user)
    login = probe(dial, PATIENCE, user=conninfo.user, database=database)
    replication = probe_replication(dial, PATIENCE, user=conninfo.user)
    if login.outcome is not Outcome.OK:
        return Measured(login, replication, None)
    # A stalled transfer still runs: nothing may be sent at the end, not even a COMMIT.
    with closing(conninfo.connect()) as conn:
        try:
            quality = Quality(_tls(conn), _round_trip(conn), measure_line(conn, budget=budget))
        except psycopg.Error as error:
            raise unreachable(conninfo, str(error)) from None
    return Measured(login, replication, quality)


def _tls(conn: psycopg.Connection[Any]) -> str | None:
    """libpq knows whether; the server's own view of our session, which version and cipher."""
    if not conn.pgconn.ssl_in_use:
        return None
    row = conn.execute(
        "SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ).fetchone()
    return row[0] if row and row[0] else "TLS"


def _round_trip(conn: psycopg.Connection[Any]) -> float:
    seconds = []
    for _ in range(_ROUND_TRIPS):
        began = time.perf_counter()
        conn.execute("SELECT 1")
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
