"""Calls for the verbs: every page of a list, results in the usual forms, advice on refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import LandbridgeError, UsageError
from ..output import Output
from .advice import ADVICE
from .connection import credentials, version_of
from .tables import Listing, Row, at, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...api.client import Credentials

_TOTALS = ("TotalCount", "TotalRecordCount", "TotalSize")


@dataclass
class Api:
    """One service as one account sees it, and the output of one command."""

    endpoint: str
    file: Path | None
    out: Output

    @cached_property
    def _key(self) -> Credentials:
        return credentials(self.file)

    def call(self, product: str, action: str, **parameters: object) -> dict[str, Any]:
        """One call; parameters that are None are left out.

        CallRefused and CallFailed say in the words of this command line what to do next.
        """
        from ...api.client import call

        given = {name: _written(value) for name, value in parameters.items() if value is not None}
        try:
            return call(self.endpoint, self._key, version_of(product), action, given)
        except LandbridgeError as error:
            error.remedy = ADVICE.get(error.id) or error.remedy
            raise

    def rows(self, listing: Listing, **parameters: object) -> list[Row]:
        """The rows of all pages."""
        found: list[Row] = []
        position: dict[str, object] = {}
        while True:
            answer = self.call(listing.product, listing.action, **parameters, **position)
            found += (page := at(answer, listing.path) or [])
            total = next((int(answer[name]) for name in _TOTALS if name in answer), 0)
            if answer.get("NextToken"):
                position = {"NextToken": answer["NextToken"]}
            elif page and "PageNumber" in answer and len(found) < total:
                position = {"PageNumber": int(answer["PageNumber"]) + 1}
            else:
                return found

    def regions(self, only: str | None = None) -> Iterator[str]:
        """The ids of the regions, or the one that is meant."""
        if only is not None:
            yield only
            return
        for row in at(self.call("vpc", "DescribeRegions"), "Regions.Region"):
            yield row["RegionId"]

    def everywhere(self, listing: Listing, region: str | None = None, **more: object) -> list[Row]:
        """The rows of a list that each region has its own of."""
        regions = self.regions(region)
        return [row for one in regions for row in self.rows(listing, RegionId=one, **more)]

    def find(
        self, listing: Listing, what: str, *, remedy: str | None = None, **more: object
    ) -> Row:
        """The first row of a list that each region has its own of, with its RegionId.

        UsageError as `one`.
        """
        for region in self.regions():
            for row in self.rows(listing, RegionId=region, **more):
                return {"RegionId": region, **row}
        raise _unknown(what, remedy)

    def one(self, listing: Listing, what: str, **parameters: object) -> Row:
        """The first row of a list. UsageError (control.unknown) where there is none."""
        for row in self.rows(listing, **parameters):
            return row
        raise _unknown(what)

    def show(self, listing: Listing, rows: list[Row]) -> None:
        """A list, as the result of the command."""
        nothing = f"No {listing.name.replace('_', ' ')}."
        self.out.result({listing.name: rows}, table(listing.columns, rows) if rows else nothing)

    def done(self, answer: dict[str, Any], *said: RenderableType) -> None:
        """The result of a command: for programs the answer, for people what is said.

        A line is left free between tables.
        """
        from rich.table import Table
        from rich.text import Text

        parts: list[RenderableType] = []
        for part in said:
            if isinstance(part, Table) and parts:
                parts.append("")
            parts.append(Text(part) if isinstance(part, str) else part)
        self.out.result(answer, *parts)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(what: str, remedy: str | None = None) -> UsageError:
    return UsageError(
        f"this account has no {what}", id="control.unknown",
        remedy=remedy or "Is it of another account? --credentials says who asks.",
    )  # fmt: skip
