"""Reads everything one login sees of a running server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg

from ..conninfo import Conninfo
from .account import read_account, read_hba, read_overrides, read_roles
from .activity import (
    read_archiver,
    read_prepared,
    read_sessions,
    read_slots,
    read_standbys,
    read_subscriptions,
)
from .ask import Asker, first_line, prepare_session
from .connect import try_login
from .databases import (
    AMCHECK_SECONDS,
    Contents,
    Database,
    read_contents,
    read_databases,
    read_tablespaces,
)
from .names import read_shared_names
from .server import read_server
from .source import SourceFacts
from .tls import auth_method, read_tls


def read_source(conninfo: Conninfo, ask: Asker) -> SourceFacts:
    """Ask for everything but the write rate, which takes two looks (`activity.WalSample`).

    Looks into every database that lets us in. What is refused is None or empty and named in
    `unseen`; never raises psycopg.Error for a single question.
    """
    names = read_databases(ask)
    return SourceFacts(
        server=read_server(ask),
        account=read_account(ask),
        roles=read_roles(ask),
        overrides=read_overrides(ask),
        foreign_names=read_shared_names(ask),
        databases=names,
        tablespaces=read_tablespaces(ask),
        sessions=read_sessions(ask),
        prepared=read_prepared(ask),
        slots=read_slots(ask),
        standbys=read_standbys(ask),
        subscriptions=read_subscriptions(ask),
        archiver=read_archiver(ask),
        hba=read_hba(ask),
        tls=read_tls(conninfo, ask.conn),
        auth_method=auth_method(conninfo),
        contents=tuple(_read_contents(conninfo, names or (), ask.unseen)),
        unseen=ask.unseen,
    )


def _read_contents(
    conninfo: Conninfo, databases: tuple[Database, ...], unseen: dict[str, str]
) -> Iterator[Contents]:
    until = time.monotonic() + AMCHECK_SECONDS
    for database in databases:
        if not database.connectable:
            continue
        attempt, conn = try_login(conninfo.with_(dbname=database.name))
        if conn is None:
            unseen[f"database {database.name}"] = attempt.message
            continue
        with closing(conn):
            ask = Asker(conn, unseen)
            try:
                prepare_session(conn)
                yield read_contents(ask, database.name, until)
            except psycopg.Error as problem:
                unseen[f"database {database.name}"] = first_line(problem)


def open_asker(conn: psycopg.Connection[Any]) -> Asker:
    """An asker on a session made safe to ask from. Raises psycopg.Error if it is gone."""
    prepare_session(conn)
    return Asker(conn)
