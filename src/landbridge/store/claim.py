"""The right to be the one service that works on a database.

A file beside an SQLite database, an advisory lock on PostgreSQL. That lock is its session's:
when the server restarts it is gone, and whoever asks first has it. So a writer that works
under a claim looks, within its transaction, whether the lock is still its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from .. import lock
from ..errors import StoreFailed

#: The advisory lock of a service.
_SERVICE_LOCK = 0x6C616E6473727663
_HOLDS = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = :pid"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid = :high AND objid = :low AND objsubid = 1)"
)


class Claim:
    """Held from `take` until `release` or the end of the process."""

    def __init__(self, engine: Engine, file: Path | None, name: str) -> None:
        self._engine = engine
        self._file = file
        self._name = name
        self._fd: int | None = None
        self._connection: Connection | None = None
        self._driver: Any = None
        self._pid = 0
        self._mutex = threading.Lock()

    def take(self) -> None:
        """Take it, or again after the server lost it. StoreFailed (store.taken); DBAPIError."""
        if self._file is not None:
            self._fd = lock.take(self._file.with_name(f"{self._file.name}.service"))
            if self._fd is None:
                raise self._taken()
            return
        with self._mutex:
            self._drop()
            # Each look is a transaction of its own: an open one would hold back vacuum.
            engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            connection = engine.connect()
            self._driver = connection.connection.driver_connection
            try:
                connection.detach()
                is_ours = connection.scalar(
                    text("SELECT pg_try_advisory_lock(:n)"), {"n": _SERVICE_LOCK}
                )
                if not is_ours:
                    raise self._taken()
                self._pid = connection.scalar(text("SELECT pg_backend_pid()")) or 0
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def keep(self) -> None:
        """See that it still stands, and take it again if not; as `take`."""
        if self._file is not None:
            return
        with self._mutex, contextlib.suppress(DBAPIError):
            if self._connection is not None:
                self._connection.scalar(text("SELECT 1"))
                return
        self.take()

    def check(self, session: Session) -> None:
        """StoreFailed (store.unclaimed) unless it stands at this moment of the database."""
        if self._file is not None:
            return
        key = {"high": _SERVICE_LOCK >> 32, "low": _SERVICE_LOCK & 0xFFFFFFFF, "pid": self._pid}
        if not session.scalar(_HOLDS, key):
            raise StoreFailed(
                f"the service has lost its lock on {self._name}, and takes it again",
                id="store.unclaimed",
                retryable=True,
            )

    def release(self) -> None:
        """Let another service take it."""
        with self._mutex:
            self._drop()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                # A session that is closed ends, and lets go, a moment later.
                unlock = text("SELECT pg_advisory_unlock(:n)")
                self._connection.execute(unlock, {"n": _SERVICE_LOCK})
            with contextlib.suppress(DBAPIError):
                self._connection.close()
            self._driver.close()  # SQLAlchemy lets one that broke just go
            self._connection = None

    def _taken(self) -> StoreFailed:
        return StoreFailed(
            f"another service works on {self._name}",
            id="store.taken",
            remedy="Stop it first, or give this one a database of its own.",
        )
