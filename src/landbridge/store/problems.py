"""Errors of the database itself, in our words and without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from ..errors import StoreFailed

#: Seconds a writer waits for its turn.
PATIENCE = 5.0
#: Where a password may stand.
PASSWORD = (
    "Put the password into PGPASSWORD or a passfile (~/.pgpass, PGPASSFILE, ?passfile=FILE in"
    " the URL)."
)
#: SQLSTATE classes in which a server refuses a login: 28000 also for a missing pg_hba line.
_LOGIN = ("28",)
_LOCK_TIMEOUT, _READ_ONLY, _NO_RIGHT, _NO_DATABASE = "55P03", "25006", "42501", "3D000"


def is_sqlite(url: URL) -> bool:
    """Whether it is a file."""
    return url.get_backend_name() == "sqlite"


def shown(url: URL) -> str:
    """The file or the URL, for a message: without the password, wherever it stood."""
    if is_sqlite(url):
        return url.database or ""
    public = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    return public.difference_update_query(["password", "sslpassword"]).render_as_string()


def busy(url: URL) -> StoreFailed:
    """Another writer took too long."""
    return StoreFailed(
        f"another writer held {shown(url)} for {PATIENCE:.0f} s", id="store.busy", retryable=True
    )


@contextmanager
def said_plainly(url: URL, *, writes: bool = True) -> Iterator[None]:
    """Errors of the database as StoreFailed; whatever else passes as it is."""
    try:
        yield
    except DBAPIError as error:
        said = (str(error.orig).strip().splitlines() or [""])[0]
        found = _of_sqlite(url, said) if is_sqlite(url) else _of_server(url, error, said)
        if not writes and found is None and _is_write(error, said):
            raise RuntimeError("a session of read() was used to write") from error
        if found is None and (isinstance(error, OperationalError) or error.connection_invalidated):
            found = _unreachable(url, said)
        if found is None:
            raise
        raise found from None


def _is_write(error: DBAPIError, said: str) -> bool:
    return "readonly database" in said or _state(error) == _READ_ONLY


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _of_sqlite(url: URL, said: str) -> StoreFailed | None:
    if "database is locked" in said:
        return busy(url)
    if "file is not a database" in said or "malformed" in said:
        return StoreFailed(
            f"{shown(url)} is damaged or not a database of ours: {said}",
            id="store.damaged",
            remedy="Restore it from a backup; copies from before upgrades lie beside it.",
        )
    return None


def _of_server(url: URL, error: DBAPIError, said: str) -> StoreFailed | None:
    state = _state(error)
    if state == _LOCK_TIMEOUT:
        return busy(url)
    if state == _NO_RIGHT:
        return StoreFailed(
            f"the account may not do in {shown(url)} what the service needs: {said}",
            id="store.rights",
            remedy="Make it the owner of a database of its own:"
            f' CREATE DATABASE "{url.database}" OWNER "{url.username}"',
        )
    if state == _NO_DATABASE or ('database "' in said and "does not exist" in said):
        return StoreFailed(
            f"the database {shown(url)} does not exist",
            id="store.no_database",
            remedy=f'CREATE DATABASE "{url.database}" OWNER "{url.username}"',
        )
    if state.startswith(_LOGIN) or any(words in said for words in _LOGIN_WORDS):
        return StoreFailed(
            f"the server of {shown(url)} refuses the login: {said}",
            id="store.login",
            remedy=PASSWORD,
            retryable=True,
        )
    return None


#: A connection that fails has no SQLSTATE in libpq, only the server's words.
_LOGIN_WORDS = ("password authentication failed", "no password supplied", "no pg_hba.conf entry")


def _unreachable(url: URL, said: str) -> StoreFailed:
    return StoreFailed(
        f"the database {shown(url)} cannot be used: {said}",
        id="store.unreachable",
        retryable=True,
    )
