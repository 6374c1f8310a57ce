"""Sessions of an instance's server, as its owner sees and ends them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session as Rows

from ...errors import NetworkFailed
from ...migration.evidence.scrub import scrub
from ...network.fabric import Fabric
from ..control import Cloud
from ..errors import CloudError
from . import look
from .dbaccounts import INTERNAL
from .tables import DBInstance

#: Sessions that are shown at most, and characters of a statement.
MOST, _STATEMENT = 1000, 4000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True)
class Session:
    """One session. Moments are texts in UTC with microseconds; seconds are as of now."""

    pid: int
    begun: str
    user: str
    database: str
    client: str
    """Private address of the client; empty for a session from the server's own machine."""
    application: str
    kind: str
    """`client backend` or `walsender`."""
    state: str
    wait: str
    """What it waits for, like `Lock: relation`."""
    statement_begun: str
    statement: str
    """The last or the running one, passwords masked."""
    transaction_seconds: float | None
    is_service: bool
    """Whether it is Landbridge's own: it came over no network, or as one of its roles."""


_SESSIONS = """
SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       usename::text, datname::text, host(client_addr), application_name, backend_type, state,
       concat_ws(': ', wait_event_type, wait_event),
       to_char(query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), left(query, %s),
       extract(epoch FROM clock_timestamp() - xact_start)::float8,
       client_addr IS NULL OR coalesce(usename, '') = ANY (%s)
FROM pg_stat_activity
WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()
ORDER BY backend_start DESC LIMIT %s
"""
_TERMINATE = """
SELECT is_service, CASE WHEN NOT is_service THEN pg_terminate_backend(pid) END
FROM (SELECT pid, client_addr IS NULL OR coalesce(usename, '') = ANY (%s) AS is_service
      FROM pg_stat_activity
      WHERE pid = %s AND backend_start = %s::timestamptz
            AND backend_type IN ('client backend', 'walsender')) AS a
"""


def every(cloud: Cloud, rows: Rows, fabric: Fabric, instance: DBInstance) -> list[Session]:
    """Its sessions, the latest first. CloudError: IncorrectDBInstanceState."""
    with _asked(cloud, instance) as conn:
        found = conn.execute(_SESSIONS, [2 * _STATEMENT, list(INTERNAL), MOST]).fetchall()
    private = _private(rows, fabric, instance) if any(row[4] for row in found) else {}
    return told(found, private)


def told(rows: Sequence[Sequence[Any]], private: Mapping[str, str]) -> list[Session]:
    """Sessions as the server tells of them.

    One that came from elsewhere may have a view of its owner's making in the place of
    pg_stat_activity. CloudError IncorrectDBInstanceState.
    """
    try:
        return [_session(row, private) for row in rows]
    except (ValueError, TypeError, IndexError, OverflowError):
        raise CloudError(
            "IncorrectDBInstanceState",
            "the server tells of its sessions as PostgreSQL never does",
        ) from None


def terminate(cloud: Cloud, instance: DBInstance, pid: int, begun: str) -> None:
    """End the session of that process that began at that moment: a process number comes again.

    CloudError: IncorrectDBInstanceState, InvalidParameter, InvalidProcessId.NotFound,
    OperationDenied.ServiceSession.
    """
    if not _MOMENT.fullmatch(begun):
        raise CloudError("InvalidParameter", "BackendStart is no moment that a list gave")
    with _asked(cloud, instance) as conn:
        try:
            row = conn.execute(_TERMINATE, [list(INTERNAL), pid, begun]).fetchone()
        except psycopg.DataError:  # no such day, no such number
            row = None
    if row is None:
        raise CloudError("InvalidProcessId.NotFound")
    if row[0]:
        raise CloudError("OperationDenied.ServiceSession")


@contextmanager
def _asked(cloud: Cloud, instance: DBInstance) -> Iterator[psycopg.Connection[Any]]:
    conn = look.connected(cloud, instance)
    if conn is None:
        raise CloudError("IncorrectDBInstanceState", "the server cannot be asked at the moment")
    try:
        with conn:
            conn.execute("SET statement_timeout = '3s'")
            yield conn
    except psycopg.Error:
        raise CloudError("IncorrectDBInstanceState", "the server did not answer") from None


def _session(row: Sequence[Any], private: Mapping[str, str]) -> Session:
    text = [str(value or "") for value in row]
    return Session(
        pid=int(row[0]),
        begun=text[1],
        user=text[2],
        database=text[3],
        client=private.get(text[4], text[4]),
        application=text[5],
        kind=text[6],
        state=text[7],
        wait=text[8],
        statement_begun=text[9],
        statement=str(scrub(text[10]))[:_STATEMENT],
        transaction_seconds=None if row[11] is None else _seconds(row[11]),
        is_service=bool(row[12]),
    )


def _seconds(told: Any) -> float:
    """JSON has no infinity. ValueError."""
    if not math.isfinite(seconds := float(told)):
        raise ValueError("no time")
    return round(seconds, 3)


def _private(rows: Rows, fabric: Fabric, instance: DBInstance) -> dict[str, str]:
    """Private addresses by what the server takes its clients for; empty where that is the same."""
    known: dict[str, str] = {}
    with suppress(NetworkFailed):  # the network is being started
        if fabric.endpoint(instance.id).decides_whitelist:
            for id, address in rows.execute(select(DBInstance.id, DBInstance.address)):
                with suppress(NetworkFailed):  # it has no place yet
                    known[fabric.endpoint(id).listen] = address
    return known
