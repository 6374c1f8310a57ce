"""The engine's files in its directory: database, lock and log."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from .. import lock
from ..errors import LandbridgeError

APPLICATION_NAME = "landbridge"
#: How values are stored; anything else found in a database is refused.
SERIALIZATION = "portable_json"


class Store:
    """What lies in the engine's directory."""

    def __init__(self, directory: Path) -> None:
        self.database = directory / "engine.sqlite"
        self.log = directory / "engine.log"
        self._lock_path = directory / "engine.lock"
        self._lock_fd: int | None = None
        self._handler: logging.Handler | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"

    def lock(self) -> None:
        """Be the one process with this engine; LandbridgeError (engine.busy) otherwise.

        Measured with two processes of one executor id: 5 of 10 waiting bodies were
        stranded and a running step was started a second time.
        """
        self._lock_fd = lock.take(self._lock_path)
        if self._lock_fd is None:
            raise LandbridgeError(
                f"another process runs the engine in {self.database.parent}",
                id="engine.busy",
                retryable=True,
            )

    def unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def prepare(self) -> None:
        """Create the database file, readable by us alone, or look at the one that is there."""
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600))
        self.refuse_foreign_values()

    def knows(self, id: str) -> bool:
        """Whether a body was started under this id; no, if the tables were never made."""
        query = "SELECT 1 FROM workflow_status WHERE workflow_uuid = ?"
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                return connection.execute(query, (id,)).fetchone() is not None
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return False
                raise

    def refuse_foreign_values(self) -> None:
        """Make sure that every stored value is JSON.

        DBOS unpickles every value that is marked as pickled, whatever serializer it is
        configured with; merely listing executed a planted payload. Raises LandbridgeError:
        engine.foreign_value, engine.damaged (the file is no database).
        """
        try:
            with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
                found = _foreign_values(connection)
        except sqlite3.DatabaseError as error:
            raise LandbridgeError(
                f"{self.database} cannot be read: {error}", id="engine.damaged"
            ) from None
        if found:
            raise LandbridgeError(
                f"{self.database} holds values that Landbridge did not write",
                id="engine.foreign_value",
                remedy="Somebody else wrote into the task's folder. Find out who;"
                " such a value could run a program as this account.",
            )

    def open_log(self) -> None:
        """Send everything DBOS logs into our own file, and nothing anywhere else."""
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT, 0o600))
        handler = logging.FileHandler(self.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("dbos")
        for old in logger.handlers[:]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.propagate = False
        self._handler = handler

    def close_log(self) -> None:
        if self._handler is not None:
            logging.getLogger("dbos").removeHandler(self._handler)
            self._handler.close()
            self._handler = None


def _foreign_values(connection: sqlite3.Connection) -> int:
    """How many stored values are marked as anything but JSON."""
    tables = connection.execute(
        "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND c.name = 'serialization'"
    ).fetchall()
    found = 0
    for (name,) in tables:
        quoted = '"' + name.replace('"', '""') + '"'
        (count,) = connection.execute(
            f"SELECT count(*) FROM {quoted} WHERE serialization <> ?",  # noqa: S608
            (SERIALIZATION,),
        ).fetchone()
        found += count
    return found


def forget_foreign_environment() -> None:
    """Variables by which DBOS would be steered elsewhere: its cloud, telemetry, version."""
    for name in [name for name in os.environ if name.startswith("DBOS")]:
        del os.environ[name]
