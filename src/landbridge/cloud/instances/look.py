"""What a running server says of itself, asked over its own socket. None: it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from ...errors import LandbridgeError
from ...postgres.facts.directory import FIRST_USER_OID
from ..control import Cloud
from . import parameters, roles
from .homes import Homes, connect
from .states import KEPT
from .tables import DBInstance

_Answer = TypeVar("_Answer")

#: Seconds for an answer: a call waits for it.
_PATIENCE = 3


def accounts(cloud: Cloud, instance: DBInstance) -> list[roles.Found] | None:
    """The accounts that the server's catalog has."""
    return _asked(cloud, instance, roles.accounts)


def obstacle(cloud: Cloud, instance: DBInstance, name: str) -> str:
    """Why an account cannot be deleted now; empty where it can, or the server cannot be asked."""
    return _asked(cloud, instance, lambda conn: roles.obstacle(conn, name)) or ""


def made(cloud: Cloud, instance: DBInstance) -> list[str] | None:
    """Some databases that somebody has made, and tables in the database postgres."""
    query = """
        SELECT 'database ' || datname FROM pg_database WHERE oid >= %(first)s
        UNION ALL
        SELECT 'table ' || n.nspname || '.' || c.relname || ' in postgres'
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid >= %(first)s AND c.relkind IN ('r', 'p', 'm', 'S')
        LIMIT 5
    """
    first = {"first": FIRST_USER_OID}
    return _asked(cloud, instance, lambda conn: [row[0] for row in conn.execute(query, first)])


def settings(cloud: Cloud, instance: DBInstance) -> dict[str, str] | None:
    """The values that the server works with, of the parameters that may be set."""
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    names = list(parameters.specs(instance.major))
    return _asked(cloud, instance, lambda conn: dict(conn.execute(query, [names]).fetchall()))


def _asked(
    cloud: Cloud, instance: DBInstance, question: Callable[[psycopg.Connection[Any]], _Answer]
) -> _Answer | None:
    conn = connected(cloud, instance)
    if conn is None:
        return None
    try:
        with conn:
            return question(conn)
    except psycopg.Error:  # it hangs, ends, or its catalog is none
        return None


def connected(cloud: Cloud, instance: DBInstance) -> psycopg.Connection[Any] | None:
    """The service's own connection to it."""
    if instance.status not in KEPT:
        return None
    cluster = Homes.of(cloud).found(instance.id, instance.number)
    if cluster.process() is None:
        return None
    try:
        return connect(cluster, _PATIENCE)
    except LandbridgeError:
        return None
