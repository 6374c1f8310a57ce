"""Numbered pages, as actions ask for them and answer with them."""

from __future__ import annotations

from typing import Any

from ..cloud.paging import Page
from .action import Kind, Param

#: The parameters of an action whose list has up to 50 rows a page.
PAGING = (
    Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
    Param("PageSize", Kind.INTEGER, default=10, least=1, most=50),
)


def paged(page: Page[Any]) -> dict[str, int]:
    """What an answer says of its page."""
    return {"TotalCount": page.total, "PageNumber": page.number, "PageSize": page.size}
