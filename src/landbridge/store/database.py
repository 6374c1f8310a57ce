"""One database, and the two ways into it: `read` and `write`.

Writers take turns, on SQLite (BEGIN IMMEDIATE) as on PostgreSQL (an advisory lock), also
between processes: what a writer has read is still true when it commits, so rules over
several rows (a sum that must not exceed a plan) need no locks of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from ..errors import StoreFailed, UsageError
from . import schema

#: Seconds a writer waits for its turn.
PATIENCE = 5.0
#: The advisory lock that writers hold on PostgreSQL ("landbridg" in hexadecimal, cut off).
_WRITER_LOCK = 0x6C616E6462726467


class Database:
    """The tables of one control plane; brought up to date when it is opened.

    `url` is `sqlite:///FILE` or `postgresql://...`. Raises UsageError (database.url) and
    StoreFailed: store.newer (written by a later release), store.unreachable, store.busy.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.engine = _engine(self.url)
        self._turn = threading.Lock()
        self._mine = threading.local()
        with _said_plainly(self.url):
            schema.upgrade(self.engine, self.file)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.database or "") if _is_sqlite(self.url) else None

    @property
    def public_url(self) -> str:
        """The URL without a password."""
        return f"sqlite:///{self.file}" if self.file else _shown(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment of the database and cannot change it."""
        with _said_plainly(self.url), self._session(writes=False) as session:
            yield session
            session.flush()  # what somebody changed by mistake is refused, not forgotten

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed at the end, or undone by an exception.

        Keep it short: every other writer waits. StoreFailed (store.busy) after PATIENCE.
        """
        if getattr(self._mine, "turn", False):
            raise RuntimeError("a write() inside a write() of the same thread waits for itself")
        if not self._turn.acquire(timeout=PATIENCE):
            raise _busy(self.url)
        self._mine.turn = True
        try:
            with _said_plainly(self.url), self._session(writes=True) as session:
                yield session
                session.commit()
        finally:
            self._mine.turn = False
            self._turn.release()

    def close(self) -> None:
        """Close all connections; the database may be used again."""
        self.engine.dispose()

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator[Session]:
        options: dict[str, Any] = {"landbridge_writes": writes}
        if not _is_sqlite(self.url):
            level = "READ COMMITTED" if writes else "REPEATABLE READ"
            options = {"postgresql_readonly": not writes, "isolation_level": level}
        engine = self.engine.execution_options(**options)
        with Session(engine, expire_on_commit=False) as session:
            connection = session.connection()  # begins
            if writes and not _is_sqlite(self.url):
                connection.execute(text(f"SET LOCAL lock_timeout = {int(PATIENCE * 1000)}"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _WRITER_LOCK})
            yield session


def _parse(text_: str) -> URL:
    try:
        url = make_url(text_)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(
            "the database is neither sqlite:///FILE nor postgresql://...", id="database.url"
        )
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if not url.database or url.database == ":memory:":
        raise UsageError("an SQLite database needs a file: sqlite:///FILE", id="database.url")
    return url.set(database=str(Path(url.database).absolute()))


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    if not _is_sqlite(url):
        return create_engine(url, pool_pre_ping=True, max_overflow=-1, hide_parameters=True)
    engine = create_engine(
        url, max_overflow=-1, hide_parameters=True, connect_args={"timeout": PATIENCE}
    )
    file = Path(url.database or "")

    @event.listens_for(engine, "do_connect")
    def private(*_: Any) -> None:
        # SQLite gives its -wal and -shm files the mode of this one. A file that is there must
        # not be opened here: to close it would drop the locks of this process's connections,
        # and another process would then take the -wal file away beneath them (measured).
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except OSError as problem:
            raise StoreFailed(
                f"the database {file} cannot be opened: {problem.strerror}", id="store.unreachable"
            ) from None

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("landbridge_writes", True)
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _said_plainly(url: URL) -> Iterator[None]:
    """Errors of the database itself in our words; whatever else passes as it is."""
    try:
        yield
    except DBAPIError as error:
        said = (str(error.orig).strip().splitlines() or [""])[0]
        if "readonly database" in said or "read-only transaction" in said:
            raise RuntimeError("a session of read() was used to write") from error
        if "database is locked" in said or "lock timeout" in said:
            raise _busy(url) from None
        if "file is not a database" in said or "malformed" in said:
            raise StoreFailed(
                f"{_shown(url)} is damaged or not a database of ours: {said}",
                id="store.damaged",
                remedy="Restore it from a backup; copies from before upgrades lie beside it.",
            ) from None
        if isinstance(error, OperationalError):
            raise StoreFailed(
                f"the database {_shown(url)} cannot be used: {said}", id="store.unreachable"
            ) from None
        raise


def _busy(url: URL) -> StoreFailed:
    return StoreFailed(
        f"another writer held {_shown(url)} for {PATIENCE:.0f} s",
        id="store.busy",
        retryable=True,
    )


def _shown(url: URL) -> str:
    """The file or the URL, for a message: without the password, wherever it stood."""
    if _is_sqlite(url):
        return url.database or ""
    public = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    return public.difference_update_query(["password"]).render_as_string()
