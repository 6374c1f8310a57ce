"""One guardrail, and what guardrails look through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from ...assessment.model import Level
from ...postgres.positions import Connection
from ..task import Task


@dataclass(frozen=True)
class Guardrail:
    """One look at what the switchover depends on; `id` is stable."""

    id: str
    level: Level
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    remedy: str | None = None

    @property
    def blocks(self) -> bool:
        return self.level is Level.ERROR


@dataclass(frozen=True)
class View:
    """What the guardrails look through: the task and a session of the acting account."""

    task: Task
    conn: Connection

    def rows(
        self, query: LiteralString | sql.SQL | sql.Composed, *values: Any
    ) -> list[dict[str, Any]]:
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values or None).fetchall()


Rails = Iterator[Guardrail]
