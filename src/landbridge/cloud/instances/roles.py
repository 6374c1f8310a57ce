"""The roles of a server: the service's own, and the accounts that were ordered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import DependentObjectsStillExist, DuplicateObject, UndefinedObject

from ...postgres.cluster import BOOTSTRAP_SUPERUSER
from .dbaccounts import INTERNAL, SUPERUSER_ROLE
from .states import AccountState, AccountType
from .trouble import cut

#: What a privileged account is a member of: it monitors, and ends sessions of others.
_PRIVILEGED_IN = (SUPERUSER_ROLE, "pg_monitor", "pg_signal_backend")
_PRIVILEGED = "CREATEROLE CREATEDB REPLICATION"
#: The superuser of remote management; without a password until somebody needs it.
SECOND = "aurora"
_SERVICE = {
    SECOND: "SUPERUSER LOGIN",
    # What read-only instances follow as.
    "replicator": "REPLICATION LOGIN",
    "monitor": "LOGIN",
    SUPERUSER_ROLE: "NOLOGIN",
}


@dataclass(frozen=True)
class Order:
    """What is to become of an account."""

    name: str
    number: int
    state: AccountState
    type: AccountType
    verifier: str | None = None


@dataclass(frozen=True)
class Found:
    """An account as the server's catalog has it."""

    name: str
    type: AccountType
    create_db: bool
    create_role: bool
    replication: bool
    bypass_rls: bool
    valid_until: str
    databases: tuple[str, ...]
    """Those it owns."""


def ensure_service(conn: psycopg.Connection[Any]) -> list[str]:
    """Create the service's roles that are missing; which they were.

    Before 16 an account with CREATEROLE can rename and drop those that are no superusers, and
    make others of their names; those are set aside under another name.
    """
    there = {row[0]: row[1:] for row in conn.execute(_THERE, [list(_SERVICE)])}
    mended = [name for name in _SERVICE if there.get(name) != (True, True)]
    for name in mended:
        rights = _SERVICE[name]
        role = sql.Identifier(name)
        with conn.transaction():
            if name in there:
                _set_aside(conn, name)
            if name.startswith("pg_"):
                _create_reserved(conn, name)
                continue
            conn.execute(sql.SQL("CREATE ROLE {} {}").format(role, sql.SQL(rights)))
            if name == "monitor":
                conn.execute(sql.SQL("GRANT pg_monitor TO {}").format(role))
    return mended


#: Which of the names are there, whether with their rights, and with what they are members of.
_THERE = """
SELECT rolname,
       CASE rolname
           WHEN 'aurora' THEN rolsuper AND rolcanlogin
           WHEN 'replicator' THEN rolreplication AND rolcanlogin AND NOT rolsuper
           WHEN 'monitor' THEN rolcanlogin AND NOT rolsuper
           ELSE true END,
       rolname <> 'monitor' OR pg_has_role(oid, 'pg_monitor', 'MEMBER')
FROM pg_roles WHERE rolname = ANY (%s)
"""


def restore_first(conn: psycopg.Connection[Any]) -> list[str]:
    """As SECOND: give the first superuser its name back. A shell in the server can take it."""
    there = conn.execute(
        "SELECT FROM pg_roles WHERE rolname = %s AND rolsuper AND rolcanlogin",
        [BOOTSTRAP_SUPERUSER],
    ).fetchone()
    if there is not None:
        return []
    with conn.transaction():
        _set_aside(conn, BOOTSTRAP_SUPERUSER)
        conn.execute(
            "UPDATE pg_catalog.pg_authid SET rolname = %s, rolsuper = true, rolcanlogin = true"
            " WHERE oid = 10",
            [BOOTSTRAP_SUPERUSER],
        )
    return [BOOTSTRAP_SUPERUSER]


def _set_aside(conn: psycopg.Connection[Any], name: str) -> None:
    """Rename a role that has a name of ours and is none of ours."""
    conn.execute(
        "UPDATE pg_catalog.pg_authid SET rolname = 'not_' || rolname || '_' || oid"
        " WHERE rolname = %s",
        [name],
    )


def _create_reserved(conn: psycopg.Connection[Any], name: str) -> None:
    """Create a role whose name begins with pg_, which no statement may give it."""
    scratch = sql.Identifier(f"lb_{name}")
    conn.execute(sql.SQL("CREATE ROLE {}").format(scratch))
    conn.execute(
        "UPDATE pg_catalog.pg_authid SET rolname = %s WHERE rolname = %s", [name, f"lb_{name}"]
    )


def carry_out(conn: psycopg.Connection[Any], orders: Iterable[Order]) -> list[tuple[Order, str]]:
    """Carry out orders; each with why it could not be, or an empty text. Repeatable."""
    return [(order, _carry_out(conn, order)) for order in orders]


def _carry_out(conn: psycopg.Connection[Any], order: Order) -> str:
    try:
        with conn.transaction():
            if order.state is AccountState.DELETE:
                conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(order.name)))
                return ""
            if order.state is AccountState.CREATE:
                _create(conn, order)
            assert order.verifier is not None
            set_password(conn, order.name, order.verifier)
    except DependentObjectsStillExist as problem:
        return _owns(order.name, problem)
    except UndefinedObject:
        return f"there is no account {order.name}"
    return ""


def obstacle(conn: psycopg.Connection[Any], name: str) -> str:
    """Why an account cannot be dropped now; empty where it can, or nobody can say.

    Dropping it and taking that back is the one question that all versions answer in full.
    """
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET LOCAL lock_timeout = '1s'")
            conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    except DependentObjectsStillExist as problem:
        return _owns(name, problem)
    except psycopg.Error:
        pass
    return ""


def _owns(name: str, problem: psycopg.Error) -> str:
    what = cut("; ".join((problem.diag.message_detail or "").splitlines()))
    return f"the account {name} still owns something, or has rights on it: {what}"


def _create(conn: psycopg.Connection[Any], order: Order) -> None:
    role = sql.Identifier(order.name)
    try:
        with conn.transaction():
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    except DuplicateObject:
        pass  # made before we died, or by a statement
    if order.type is not AccountType.SUPER:
        return
    conn.execute(sql.SQL("ALTER ROLE {} {}").format(role, sql.SQL(_PRIVILEGED)))
    for group in _PRIVILEGED_IN:
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
    _own_public(conn, role)


def _own_public(conn: psycopg.Connection[Any], role: sql.Identifier) -> None:
    """The first privileged account owns the schema public; it may write there also after 14."""
    row = conn.execute(
        "SELECT r.rolsuper OR r.rolname = 'pg_database_owner' FROM pg_namespace n"
        " JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'public'"
    ).fetchone()
    if row is not None and row[0]:
        conn.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(role))


def set_password(conn: psycopg.Connection[Any], name: str, verifier: str) -> None:
    """Give a role the password that `verifier` proves."""
    conn.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))
    )


_ACCOUNTS = """
SELECT r.rolname,
       pg_has_role(r.oid, s.oid, 'MEMBER') IS TRUE AS privileged,
       r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
       coalesce(CASE WHEN isfinite(r.rolvaliduntil) THEN
           to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           ELSE 'infinity' END, '') AS valid_until,
       ARRAY(SELECT d.datname::text FROM pg_database d
             WHERE d.datdba = r.oid AND NOT d.datistemplate ORDER BY 1) AS databases
FROM pg_roles r LEFT JOIN pg_roles s ON s.rolname = %s
WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname NOT LIKE 'pg\\_%%'
  AND r.rolname <> ALL (%s)
ORDER BY r.rolname
"""


def accounts(conn: psycopg.Connection[Any]) -> list[Found]:
    """Every account that is not the service's own and no superuser."""
    return [
        Found(
            name=row[0],
            type=AccountType.SUPER if row[1] else AccountType.NORMAL,
            create_db=row[2],
            create_role=row[3],
            replication=row[4],
            bypass_rls=row[5],
            valid_until=row[6],
            databases=tuple(row[7]),
        )
        for row in conn.execute(_ACCOUNTS, [SUPERUSER_ROLE, list(INTERNAL)])
    ]
