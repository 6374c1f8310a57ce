"""One database, and the two ways into it: `read` and `write`.

Writers take turns, on SQLite (BEGIN IMMEDIATE) as on PostgreSQL (an advisory lock), also
between processes: what a writer has read is still true when it commits, so rules over
several rows (a sum that must not exceed a plan) need no locks of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from ..errors import StoreFailed, UsageError
from . import problems
from .claim import Claim
from .problems import is_sqlite, said_plainly, shown

#: The oldest PostgreSQL that may hold the tables: the oldest that was still maintained in 2026.
OLDEST = 14
#: The advisory lock that writers hold on PostgreSQL ("landbridg" in hexadecimal, cut off).
_WRITER_LOCK = 0x6C616E6462726467


class Database:
    """The tables of one control plane; brought up to date when it is opened.

    `url` is `sqlite:///FILE` or `postgresql://...`; `password` is used where it names none.
    Raises UsageError (database.url) and StoreFailed: store.newer (written by a later
    release), store.unreachable, store.busy, store.damaged; of PostgreSQL also
    store.no_database, store.login, store.rights, store.unfit.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self.url = _parse(url)
        self._claim: Claim | None = None
        if password and self.file is None and self.url.password is None:
            self.url = self.url.set(password=password)
        self.engine = _engine(self.url)
        self._ways = {writes: self._way(writes=writes) for writes in (False, True)}
        self._turn = threading.Lock()
        self._mine = threading.local()
        try:
            with said_plainly(self.url):
                if self.file is None:
                    _refuse_unfit(self.engine, self.url)
                # Here: importing Alembic takes as long as all the rest of the store's.
                from . import schema

                schema.upgrade(self.engine, self.file)
        except BaseException:
            self.close()
            raise

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.database or "") if is_sqlite(self.url) else None

    @property
    def public_url(self) -> str:
        """The URL without a password."""
        return f"sqlite:///{self.file}" if self.file else shown(self.url)

    @contextmanager
    def claimed(self) -> Iterator[Callable[[], None]]:
        """Be the one service that works on it; `write` then refuses while the claim is lost.

        Yields what sees that the claim stands, to be called about once a second: it takes it
        again after the server restarted. Both raise StoreFailed: store.taken,
        store.unreachable.
        """
        claim = Claim(self.engine, self.file, self.public_url)

        def keep() -> None:
            with said_plainly(self.url):
                claim.keep()

        with said_plainly(self.url):
            claim.take()
        self._claim = claim
        try:
            yield keep
        finally:
            self._claim = None
            claim.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment of the database and cannot change it."""
        with said_plainly(self.url, writes=False), self._session(writes=False) as session:
            yield session
            session.flush()  # what somebody changed by mistake is refused, not forgotten

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed at the end, or undone by an exception.

        Keep it short: every other writer waits. StoreFailed: store.busy after PATIENCE,
        store.unclaimed while a claim is lost.
        """
        if getattr(self._mine, "turn", False):
            raise RuntimeError("a write() inside a write() of the same thread waits for itself")
        if not self._turn.acquire(timeout=problems.PATIENCE):
            raise problems.busy(self.url)
        self._mine.turn = True
        try:
            with said_plainly(self.url), self._session(writes=True) as session:
                if self._claim is not None:
                    self._claim.check(session)
                yield session
                session.commit()
        finally:
            self._mine.turn = False
            self._turn.release()

    def remove(self) -> None:
        """Drop the tables on a server; a file goes with its folder, or is removed."""
        with said_plainly(self.url):
            if self.file is None:
                from . import schema

                schema.drop(self.engine)
            else:
                self.close()
                for file in self.file.parent.glob(f"{self.file.name}*"):
                    file.unlink()

    def close(self) -> None:
        """Close all connections; the database may be used again."""
        for engine in self._ways.values():
            engine.dispose()

    def _way(self, *, writes: bool) -> Engine:
        """The engine as readers or writers use it."""
        if is_sqlite(self.url):
            return self.engine if writes else _file(self.url, writes=False)
        level = "READ COMMITTED" if writes else "REPEATABLE READ"
        return self.engine.execution_options(postgresql_readonly=not writes, isolation_level=level)

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator[Session]:
        with Session(self._ways[writes], expire_on_commit=False) as session:
            connection = session.connection()  # begins
            if writes and not is_sqlite(self.url):
                patience = int(problems.PATIENCE * 1000)
                connection.execute(text(f"SET LOCAL lock_timeout = {patience}"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _WRITER_LOCK})
            yield session


def refuse_password(url: str) -> None:
    """UsageError (database.password) if a URL that others can read names one.

    A process's arguments are open to every account of the machine.
    """
    parsed = _parse(url)
    if parsed.password is not None or {"password", "sslpassword"} & set(parsed.query):
        raise UsageError(
            "the URL of the database holds a password, which the list of processes shows to"
            " everyone on this machine",
            id="database.password",
            remedy=f"Take it out of the argument, and change it. {problems.PASSWORD}",
        )


def _parse(text_: str) -> URL:
    try:
        url = make_url(text_)
    except ArgumentError:
        url = None
    backend = url.get_backend_name() if url is not None else ""
    if url is None or backend not in ("sqlite", "postgresql", "postgres"):
        raise UsageError(
            "the database is neither sqlite:///FILE nor postgresql://...", id="database.url"
        )
    if backend != "sqlite":
        return url.set(drivername="postgresql+psycopg")
    if not url.database or url.database == ":memory:":
        raise UsageError("an SQLite database needs a file: sqlite:///FILE", id="database.url")
    return url.set(database=str(Path(url.database).absolute()))


def _engine(url: URL) -> Engine:
    return _file(url) if is_sqlite(url) else _server(url)


#: Of every connection to a server: one that is gone is noticed within half a minute.
_LIBPQ: dict[str, Any] = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 3, "tcp_user_timeout": 20_000, "application_name": "landbridge",
    "client_encoding": "utf8",
}  # fmt: skip


def _server(url: URL) -> Engine:
    given = {name: value for name, value in _LIBPQ.items() if name not in url.query}
    return create_engine(
        url, pool_pre_ping=True, pool_size=16, max_overflow=-1, hide_parameters=True,
        connect_args=given,
    )  # fmt: skip


def _refuse_unfit(engine: Engine, url: URL) -> None:
    """StoreFailed (store.unfit) for a server that cannot hold the tables."""
    with engine.connect() as connection:
        version, is_standby, encoding = connection.execute(
            text(
                "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),"
                " current_setting('server_encoding')"
            )
        ).one()
    trouble = ""
    if version < OLDEST * 10_000:
        trouble = f"it is PostgreSQL {version // 10_000}; {OLDEST} is the oldest that will do"
    elif is_standby:
        trouble = "it is a standby, and takes no writes"
    elif encoding != "UTF8":
        trouble = f"its encoding is {encoding}, not UTF8"
    if trouble:
        raise StoreFailed(
            f"{shown(url)} cannot hold the tables: {trouble}",
            id="store.unfit",
            remedy="Name a database on another server, or one made anew.",
        )


#: LIKE tells capitals from small letters, as on PostgreSQL.
_PRAGMAS = (
    "journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL", "case_sensitive_like = ON",
)  # fmt: skip


def _file(url: URL, *, writes: bool = True) -> Engine:
    engine = create_engine(
        url, max_overflow=-1, hide_parameters=True, connect_args={"timeout": problems.PATIENCE}
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
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if not writes:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if writes and connection.get_execution_options().get("landbridge_writes", True):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # of every call, so past SQLAlchemy; nothing refuses it
            driver: Any = connection.connection.driver_connection
            driver.execute("BEGIN")

    return engine
