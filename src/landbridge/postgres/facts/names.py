"""Names that are not UTF-8, which a client that speaks UTF-8 can neither read nor say.

Names of databases, roles and tablespaces lie in shared catalogs in the encoding of whichever
database they were made from; inside a database of encoding SQL_ASCII names are any bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .ask import Asker

# A conversion to SQL_ASCII leaves the bytes as they are.
_SHARED = """
SELECT 'DATABASE' AS kind, oid::bigint, convert_to(datname::text, 'SQL_ASCII') AS name
  FROM pg_database
UNION ALL SELECT 'ROLE', oid::bigint, convert_to(rolname::text, 'SQL_ASCII') FROM pg_roles
UNION ALL SELECT 'TABLESPACE', oid::bigint, convert_to(spcname::text, 'SQL_ASCII')
  FROM pg_tablespace
"""
_INSIDE = """
SELECT 'SCHEMA' AS kind, oid::bigint, convert_to(nspname::text, 'SQL_ASCII') AS name
  FROM pg_namespace WHERE getdatabaseencoding() = 'SQL_ASCII'
UNION ALL SELECT CASE relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, oid::bigint,
       convert_to(relname::text, 'SQL_ASCII')
  FROM pg_class WHERE getdatabaseencoding() = 'SQL_ASCII' AND oid >= 16384
"""


@dataclass(frozen=True)
class ForeignName:
    """A name that is not UTF-8."""

    kind: str
    """As it stands after ALTER, e.g. DATABASE."""
    oid: int
    shown: str
    """With what is no ASCII as \\x.."""
    database: str | None = None
    """Where it lies; None in a shared catalog."""


def read_shared_names(ask: Asker) -> tuple[ForeignName, ...] | None:
    """Databases, roles and tablespaces whose names are not UTF-8."""
    rows = ask.rows("names", _SHARED)
    return None if rows is None else tuple(_foreign(rows, None))


def read_inner_names(ask: Asker, database: str) -> tuple[ForeignName, ...]:
    """Schemas, tables and indexes with such names, in a database of encoding SQL_ASCII."""
    return tuple(_foreign(ask.rows(f"names in {database}", _INSIDE) or (), database))


def _foreign(rows: Iterable[Any], database: str | None) -> Iterable[ForeignName]:
    for row in rows:
        name = bytes(row.name)
        try:
            name.decode()
        except UnicodeDecodeError:
            shown = name.decode("ascii", "backslashreplace")
            yield ForeignName(row.kind, row.oid, shown, database)
