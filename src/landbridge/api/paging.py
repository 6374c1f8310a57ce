"""Lists: what a call chooses of them, and their pages, by number or by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..cloud import CloudError
from ..cloud.paging import Page
from .action import Call, Kind, Param

#: The parameters of an action whose list has up to 50 rows a page.
PAGING = (
    Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
    Param("PageSize", Kind.INTEGER, default=10, least=1, most=50),
)
#: The parameters of an action that names its next page by a token.
TOKENS = (
    Param("MaxResults", Kind.INTEGER, default=20, least=1, most=100),
    Param("NextToken"),
)

_Row = TypeVar("_Row")


def paged(page: Page[Any]) -> dict[str, int]:
    """What an answer says of its page."""
    return {"TotalCount": page.total, "PageNumber": page.number, "PageSize": page.size}


def chosen(call: Call, rows: Iterable[_Row], facts: Mapping[str, Any]) -> list[_Row]:
    """The rows that have what the call's parameters, where given, say; `facts`
    gives for the names of parameters a function of a row: its value, or a list of them.
    """
    wanted = {name: call[name] for name in facts if call[name] is not None}
    return [
        row for row in rows if all(value in all_of(facts[n](row)) for n, value in wanted.items())
    ]


def page(
    call: Call, rows: Sequence[_Row], most: str = "MaxResults"
) -> tuple[Sequence[_Row], dict[str, Any]]:
    """The rows of the page that NextToken names, and what the answer says of it."""
    text, size = call["NextToken"] or "0", call[most]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise CloudError("InvalidParameter", "NextToken is none that was given")
    end = int(text) + size
    told: dict[str, Any] = {"TotalCount": len(rows), most: size}
    if end < len(rows):
        told["NextToken"] = str(end)
    return rows[int(text) : end], told


def all_of(fact: Any) -> set[Any]:
    """A fact's values, one or a list of them."""
    return set(fact) if isinstance(fact, list) else {fact}
