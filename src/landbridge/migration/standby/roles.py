"""What keeps roles from writing: looked at before the migration and after it.

A person who fences the source by hand may set read-only defaults on roles or databases, or
take their login away. Both are rows of catalogs and arrive on the destination.
"""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

_OVERRIDES = """
SELECT r.rolname::text, d.datname::text
  FROM pg_db_role_setting s
  LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase,
       unnest(s.setconfig) AS setting
 WHERE setting LIKE 'default_transaction_read_only=%' AND split_part(setting, '=', 2)::bool
 ORDER BY 1, 2
"""


def read_only_overrides(conn: Connection) -> list[tuple[str | None, str | None]]:
    """(role or None, database or None) of each default that makes transactions read-only."""
    return conn.execute(_OVERRIDES.encode()).fetchall()


def roles_by_login(conn: Connection, *, login: bool) -> list[str]:
    """Names of the roles that may, or may not, log in."""
    rows = conn.execute(
        "SELECT rolname::text FROM pg_roles WHERE rolcanlogin = %s ORDER BY 1", [login]
    )
    return [name for (name,) in rows]
