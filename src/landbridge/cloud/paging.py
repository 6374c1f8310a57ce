"""Lists in pages, as the older actions number them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Page(Generic[_Row]):
    """One page of a list."""

    rows: Sequence[_Row]
    total: int
    """Of all pages."""
    number: int
    """From 1."""
    size: int
    """How many rows a full page has."""


def numbered(session: Session, query: Select[_Row], number: int, size: int) -> Page[_Row]:
    """Page `number` of a query that says its order; empty behind the last."""
    rows = session.scalars(query.offset((number - 1) * size).limit(size)).all()
    if number == 1 and len(rows) < size:
        return Page(rows, len(rows), number, size)
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    return Page(rows, total, number, size)


def numbered_list(rows: Sequence[_Row], number: int, size: int) -> Page[_Row]:
    """Page `number` of a list that is at hand."""
    return Page(rows[(number - 1) * size :][:size], len(rows), number, size)
