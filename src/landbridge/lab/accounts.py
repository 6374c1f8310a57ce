"""The database accounts of a lab's servers, and where their passwords lie.

The passwords are the same on all servers of a lab: a migration brings the source's accounts
to the destination.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..postgres.conninfo import Conninfo

MOVER = "mover"
"""The privileged account: may migrate a cluster."""
FENCE = "fence"
"""A superuser: may fence the source, and read every table to compare them."""
_RIGHTS = {MOVER: "CREATEROLE REPLICATION", FENCE: "SUPERUSER"}


def passfile(folder: Path, role: str) -> Path:
    """The passfile of an account."""
    return folder / f"{role}.pgpass"


def ensure_passfiles(folder: Path) -> None:
    """Give each account that has none a random password; for the one who changes the lab."""
    for role in _RIGHTS:
        path = passfile(folder, role)
        if not path.exists():
            scratch = path.with_suffix(".new")
            scratch.unlink(missing_ok=True)
            made = Conninfo({"user": role}).with_password(secrets.token_urlsafe(18))
            made.write_passfile(scratch)
            scratch.replace(path)


def ensure_accounts(conn: psycopg.Connection[Any], folder: Path) -> None:
    """Create those of the accounts that the server lacks."""
    there = {row[0] for row in conn.execute("SELECT rolname FROM pg_roles")}
    for role, rights in _RIGHTS.items():
        if role in there:
            continue
        # Not the password: a statement that fails stands in the server's log.
        plain = _password(folder, role).encode()
        verifier = conn.pgconn.encrypt_password(plain, role.encode(), b"scram-sha-256").decode()
        with conn.transaction():
            conn.execute(
                sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                    sql.Identifier(role), sql.SQL(rights), sql.Literal(verifier)
                )
            )
            if role == MOVER:
                conn.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(role)))


def _password(folder: Path, role: str) -> str:
    own = Conninfo({"user": role, "host": "lab"}).with_passfile(passfile(folder, role))
    found = own.resolve_password().password
    assert found is not None
    return found.reveal()


def text(conninfo: Conninfo) -> str:
    """A connection string that names the passfile, where `str` leaves it out."""
    return make_conninfo(**conninfo.public())
