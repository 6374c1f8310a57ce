"""Lists in pages, as the older actions number them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.orm import Session

from .accounts import Account
from .ownership import Owned, of_owner

_Row = TypeVar("_Row")
_Thing = TypeVar("_Thing", bound=Owned)
_Order = Callable[[Select[Any]], Select[Any]]


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


@dataclass(frozen=True)
class Listing(Generic[_Row]):
    """A query that is built once, and its parameters of this time."""

    query: Select[_Row]
    values: Mapping[str, Any]

    def where(self, *tests: ColumnElement[bool]) -> Listing[_Row]:
        """With more tests; that query is built anew."""
        return replace(self, query=self.query.where(*tests))


def listing(
    kind: type[_Thing], account: Account, order: _Order, **equal: object
) -> Listing[_Thing]:
    """The account's things whose columns are `equal`, in the order that `order` adds to a query.

    None leaves a column open. The query is built once for each set of columns (measured: to
    build a statement and look it up takes as long as to run it).
    """
    given = {name: value for name, value in equal.items() if value is not None}
    query = _listing(cast(Any, kind), order, tuple(given))
    return Listing(query, {"uid": account.uid, **given})


@cache
def _listing(kind: type[Any], order: _Order, names: tuple[str, ...]) -> Select[Any]:
    equal = (getattr(kind, name) == bindparam(name) for name in names)
    query = order(of_owner(kind).where(*equal))
    return query.offset(bindparam("page_offset")).limit(bindparam("page_limit"))


def numbered(
    session: Session, query: Select[_Row] | Listing[_Row], number: int, size: int
) -> Page[_Row]:
    """Page `number` of a query that says its order; empty behind the last."""
    values: dict[str, Any] = {}
    offset = (number - 1) * size
    if isinstance(query, Listing):
        values = {**query.values, "page_offset": offset, "page_limit": size}
        query = query.query
    else:
        query = query.offset(offset).limit(size)
    rows = session.scalars(query, values).all()
    if number == 1 and len(rows) < size:
        return Page(rows, len(rows), number, size)
    whole = query.order_by(None).offset(None).limit(None).subquery()
    total = session.scalar(select(func.count()).select_from(whole), values) or 0
    return Page(rows, total, number, size)


def numbered_list(rows: Sequence[_Row], number: int, size: int) -> Page[_Row]:
    """Page `number` of a list that is at hand."""
    return Page(rows[(number - 1) * size :][:size], len(rows), number, size)
