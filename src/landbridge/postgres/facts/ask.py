"""Asking a server for facts: a question it refuses costs that answer, never the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

T = TypeVar("T")
Query = LiteralString | sql.Composed

#: Our questions are short, take no lock that anybody waits for, and write nothing.
#: The encoding makes text arrive as text from SQL_ASCII databases too.
_SESSION: tuple[LiteralString, ...] = (
    "SET client_encoding = 'UTF8'",
    "SET search_path = pg_catalog",
    "SET default_transaction_read_only = on",
    "SET statement_timeout = '15s'",
    "SET lock_timeout = '1s'",
)


def prepare_session(conn: psycopg.Connection[Any]) -> None:
    """Make a session safe to ask from: nobody's functions but PostgreSQL's own are found."""
    for statement in _SESSION:
        conn.execute(statement)


@dataclass
class Asker:
    """Asks one server, on one database; remembers what it was refused."""

    conn: psycopg.Connection[Any]
    unseen: dict[str, str] = field(default_factory=dict)
    """Name of the fact -> the server's reason for not telling it."""

    @property
    def version(self) -> int:
        """server_version_num, e.g. 150018."""
        return self.conn.info.server_version

    @property
    def major(self) -> int:
        return self.version // 10000

    def rows(self, fact: str, query: Query, values: Sequence[Any] = ()) -> list[Any] | None:
        """All rows as named tuples, or None (and a note in `unseen`) if it was refused."""
        try:
            with self.conn.cursor(row_factory=namedtuple_row) as cursor:
                return cursor.execute(query, values or None).fetchall()
        except (psycopg.Error, UnicodeError) as error:
            self.unseen[fact] = first_line(error)
            return None

    def row(self, fact: str, query: Query, values: Sequence[Any] = ()) -> Any | None:
        """The first row, or None."""
        found = self.rows(fact, query, values)
        return found[0] if found else None

    def many(
        self,
        fact: str,
        make: Callable[..., T],
        query: Query,
        values: Sequence[Any] = (),
    ) -> tuple[T, ...] | None:
        """Every row given to `make` by column name, or None if the question was refused."""
        found = self.rows(fact, query, values)
        return None if found is None else tuple(make(**row._asdict()) for row in found)


def first_line(error: Exception) -> str:
    """The first line of a server's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
