"""Makes a managed server of what a migration has brought: the service's own roles in it."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
from psycopg import sql

from ...migration.copying import CopyJob
from ...migration.task import Task
from ...postgres import careful
from ...postgres.cluster import BOOTSTRAP_SUPERUSER
from ...postgres.positions import in_recovery
from ..instances import roles
from ..instances.homes import connect

_SUPERUSER = "SUPERUSER LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS"


def take_over(task: Task) -> None:
    """Give the promoted server to the service; repeatable. Raises ServerFailed.

    What came from elsewhere brings superusers along, and on a machine that others use none of
    them may stay one: the first of them, which cannot be less, may not log in any more.
    """
    cluster = task.cluster()
    if cluster.superuser != BOOTSTRAP_SUPERUSER:
        with connect(cluster) as conn:
            _ensure_superuser(conn)
        cluster.superuser = BOOTSTRAP_SUPERUSER
    with connect(cluster) as conn:
        _demote_others(conn)  # also where the first of them is called like ours
        _part_from_superusers(conn)
        roles.ensure_service(conn)
    _remove_aside(task)


def was_promoted(task: Task) -> bool:
    """Whether a migration that came to nothing has left a server on the source's data.

    Somebody with a shell in the destination promoted it; it is not removed then.
    """
    cluster = task.cluster()
    if not CopyJob(task).stands() or cluster.process() is None:
        return False
    with connect(cluster) as conn:
        return not in_recovery(conn)


def _ensure_superuser(conn: psycopg.Connection[Any]) -> None:
    name = sql.Identifier(BOOTSTRAP_SUPERUSER)
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        conn.execute(sql.SQL("CREATE ROLE {}").format(name))
    conn.execute(sql.SQL("ALTER ROLE {} {}").format(name, sql.SQL(_SUPERUSER)))


def _demote_others(conn: psycopg.Connection[Any]) -> None:
    rows = conn.execute(
        "SELECT rolname, oid = 10 FROM pg_roles WHERE rolsuper AND rolname <> ALL (%s)",
        [[BOOTSTRAP_SUPERUSER, "aurora"]],
    ).fetchall()
    for name, is_first in rows:
        less = "NOLOGIN" if is_first else "NOSUPERUSER"
        conn.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(name), sql.SQL(less)))


def _part_from_superusers(conn: psycopg.Connection[Any]) -> None:
    """Take away what lets others become one of the superusers that stay."""
    rows = conn.execute(
        "SELECT r.rolname, m.rolname, g.rolname FROM pg_auth_members a"
        " JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
        " LEFT JOIN pg_roles g ON g.oid = a.grantor WHERE r.rolsuper AND NOT m.rolsuper"
    ).fetchall()
    for group, member, grantor in rows:
        by: sql.Composable = sql.SQL("")
        if conn.info.server_version >= 160000:  # a grant of each grantor
            by = sql.SQL(" GRANTED BY {}").format(sql.Identifier(grantor))
        names = map(sql.Identifier, (group, member))
        conn.execute(sql.SQL("REVOKE {} FROM {}{} CASCADE").format(*names, by))


def _remove_aside(task: Task) -> None:
    """The empty cluster that stood there before counts towards the instance's storage."""
    aside = CopyJob(task).aside
    for folder in (aside, aside.with_name(f"{aside.name}.landbridge")):
        careful.erase(folder)
