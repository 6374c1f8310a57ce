"""Settings of the source that a fence changes through ALTER SYSTEM, and how they go back.

PostgreSQL documentation, ALTER SYSTEM: values land in postgresql.auto.conf, which is read
last. What stood there before is therefore all that has to be remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from psycopg import sql

from ...postgres.positions import Connection

SYNC_NAMES = "synchronous_standby_names"
READ_ONLY = "default_transaction_read_only"
SYNC_COMMIT = "synchronous_commit"


def remember(conn: Connection, names: Iterable[str]) -> dict[str, str | None]:
    """Each setting's value in postgresql.auto.conf, None where it has no line there.

    A superuser reads the file itself and so sees changes that wait for a reload.
    """
    if is_superuser(conn):
        rows = conn.execute(
            "SELECT name, setting FROM pg_file_settings"
            " WHERE sourcefile LIKE '%%/postgresql.auto.conf' AND name = ANY(%s) ORDER BY seqno",
            [list(names)],
        )
    else:
        rows = conn.execute(
            "SELECT name, setting FROM pg_settings"
            " WHERE sourcefile LIKE '%%/postgresql.auto.conf' AND name = ANY(%s)",
            [list(names)],
        )
    found = dict(rows.fetchall())
    return {name: found.get(name) for name in names}


def put(conn: Connection, values: Mapping[str, str | None], *, reload: bool = True) -> None:
    """ALTER SYSTEM SET each setting (RESET where None), then reload once.

    The postmaster acts on the reload some time after this returned.
    """
    for name, value in values.items():
        conn.execute(alter_system(name, value))
    if reload:
        reload_conf(conn)


def alter_system(name: str, value: str | None) -> sql.Composed:
    """The statement that sets a setting, or takes it out where the value is None."""
    setting = sql.Identifier(name)
    if value is None:
        return sql.SQL("ALTER SYSTEM RESET {}").format(setting)
    return sql.SQL("ALTER SYSTEM SET {} = {}").format(setting, sql.Literal(value))


def reload_conf(conn: Connection) -> None:
    """Have the server read its configuration."""
    conn.execute("SELECT pg_reload_conf()")


def show(conn: Connection, name: str) -> str:
    """The setting as this session sees it."""
    row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def is_superuser(conn: Connection) -> bool:
    return conn.info.parameter_status("is_superuser") == "on"


def require(standby: str, names: str) -> str:
    """`synchronous_standby_names` that also waits, always, for `standby`.

    FIRST N takes the N standbys that stand first in the list, so ours is always one of
    them, and as many of the others as before are waited for. Where it counted already,
    as one of any, the number stays.

    >>> require("lb", "")
    'FIRST 1 ("lb")'
    >>> require("lb", "a, b")
    'FIRST 2 ("lb", a, b)'
    >>> require("lb", "ANY 2 (a, b, c)")
    'FIRST 3 ("lb", a, b, c)'
    >>> require("lb", "*")
    'FIRST 1 ("lb", *)'
    """
    if not names.strip():
        return f'FIRST 1 ("{standby}")'
    match = re.fullmatch(r"\s*(?:FIRST|ANY)?\s*(\d+)\s*\((.*)\)\s*", names, re.I | re.S)
    number, others = (int(match[1]), match[2].strip()) if match else (1, names.strip())
    counted = {name.strip().strip('"') for name in others.split(",")} & {"*", standby}
    return f'FIRST {number if counted else number + 1} ("{standby}", {others})'
