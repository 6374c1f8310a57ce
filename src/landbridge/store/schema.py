"""The version of the tables: an older database is brought up to date, a newer one refused.

The versions are the Alembic scripts in `migrations/versions`, one straight line. SQLite
changes tables inside a transaction like PostgreSQL, so an upgrade happens whole or not
at all; before it the SQLite file is copied to `FILE.before-VERSION`, VERSION being the one it had.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from .. import lock
from ..errors import StoreFailed

_SCRIPTS = Path(__file__).parent / "migrations"
#: Seconds to wait for another process that upgrades.
_PATIENCE = 60.0
#: The advisory lock of an upgrade on PostgreSQL.
_UPGRADE_LOCK = 0x6C616E6475706772


def scripts() -> ScriptDirectory:
    """All versions this release knows."""
    return ScriptDirectory(str(_SCRIPTS))


def current(connection: Connection) -> str | None:
    """The version of a database; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, file: Path | None) -> None:
    """Bring the tables to this release's version; `file` is the SQLite file, if it is one.

    Raises StoreFailed: store.newer, store.busy.
    """
    known = scripts()
    if _is_current(engine, known):
        return
    with _alone(file):
        version = _version(engine, known)  # another process may have been quicker
        if version == known.get_current_head():
            return
        if file is not None and version is not None:
            _back_up(file, version)
        with engine.connect() as connection:
            _upgrade(connection, known)


def drop(engine: Engine) -> None:
    """Drop the tables that the versions make, and no others, on a server."""
    scratch = create_engine("sqlite://")
    with scratch.connect() as connection:
        _run(connection, scripts())
        names = inspect(connection).get_table_names()
    scratch.dispose()
    with engine.begin() as connection:
        quoted = map(connection.dialect.identifier_preparer.quote, names)
        connection.execute(text(f"DROP TABLE IF EXISTS {', '.join(quoted)}"))


def _is_current(engine: Engine, known: ScriptDirectory) -> bool:
    """Whether there is nothing to upgrade; not, while another process makes the tables."""
    try:
        return _version(engine, known) == known.get_current_head()
    except OperationalError:
        if engine.dialect.name == "sqlite":
            return False  # locked at its very beginning; whoever waits for its turn sees
        raise


def _version(engine: Engine, known: ScriptDirectory) -> str | None:
    with engine.execution_options(landbridge_writes=False).connect() as connection:
        version = current(connection)
    _refuse_newer(version, known)
    return version


def _refuse_newer(version: str | None, known: ScriptDirectory) -> None:
    if version is None or version in {script.revision for script in known.walk_revisions()}:
        return
    raise StoreFailed(
        f"the database has version {version}, which this release does not know",
        id="store.newer",
        remedy="Use the release that wrote it, or a later one; nothing was changed.",
    )


def _upgrade(connection: Connection, known: ScriptDirectory) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    # A changed table is made anew under its old name; the pragma has no effect within BEGIN.
    if is_sqlite:
        _pragma(connection, "foreign_keys = OFF")
    try:
        with connection.begin():
            if not is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _UPGRADE_LOCK})
            _refuse_newer(current(connection), known)
            _run(connection, known)
            if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreFailed("the upgrade would leave rows without the row they belong to")
    finally:
        if is_sqlite:
            _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, setting: str) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(f"PRAGMA {setting}")


def _run(connection: Connection, known: ScriptDirectory, to: str = "head") -> None:
    def steps(version: Any, _: MigrationContext) -> Any:  # as alembic.command.upgrade does
        return known._upgrade_revs(to, version)

    with EnvironmentContext(Config(), known, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()


@contextlib.contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """Be the one process that upgrades this file; on PostgreSQL its own lock sees to that."""
    if file is None:
        yield
        return
    fd = lock.take(file.with_name(f"{file.name}.lock"), _PATIENCE)
    if fd is None:
        raise StoreFailed(f"another process upgrades {file}", id="store.busy", retryable=True)
    try:
        yield
    finally:
        os.close(fd)


def _back_up(file: Path, version: str) -> None:
    """Copy the database as it is, readable by us alone, over the copy of an earlier attempt."""
    copy = file.with_name(f"{file.name}.before-{version}")
    scratch = copy.with_name(f"{copy.name}.partial")
    scratch.unlink(missing_ok=True)
    os.close(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(sqlite3.connect(file)) as old,
        contextlib.closing(sqlite3.connect(scratch)) as new,
    ):
        old.backup(new)
    scratch.replace(copy)
