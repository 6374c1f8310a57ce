"""Lists and their columns, declared; tables and labelled facts made from the declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One fact of a row."""

    heading: str
    of: str | Callable[[Row], object]
    """The field that has it, like `VSwitchIds.VSwitchId`, or a function of the row."""

    def text(self, row: Row) -> str:
        """The fact in words; empty where there is none."""
        try:
            found = at(row, self.of) if isinstance(self.of, str) else self.of(row)
        except KeyError:  # the cloud leaves out what it has nothing to say about
            return ""
        if isinstance(found, bool):
            return "yes" if found else "no"
        if isinstance(found, list):
            return ", ".join(map(str, found))
        return "" if found is None else str(found)


@dataclass(frozen=True)
class Listing:
    """An action that lists something."""

    name: str
    """Of the rows, in the output for programs."""
    product: str
    action: str
    path: str
    """Where the answer has its rows."""
    columns: tuple[Column, ...]


def at(row: Row, path: str) -> Any:
    """What lies at a path like `Items.DBInstance`; None where there is nothing."""
    found: Any = row
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def table(columns: Iterable[Column], rows: Iterable[Row]) -> Table:
    """One line for each row, without the columns that no row has anything in."""
    from rich.text import Text

    rows = tuple(rows)
    texts = {column.heading: [column.text(row) for row in rows] for column in columns}
    filled = {heading: told for heading, told in texts.items() if any(told)}
    made = _plain()
    for heading in filled:
        made.add_column(heading.upper(), overflow="fold")
    for line in zip(*filled.values(), strict=True):
        made.add_row(*map(Text, line))
    return made


def facts(columns: Iterable[Column], row: Row) -> Table:
    """One line for each fact that the row has."""
    from rich.text import Text

    made = _plain(show_header=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for column in columns:
        if text := column.text(row):
            made.add_row(column.heading, Text(text))
    return made


def _plain(**more: Any) -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, header_style="dim", **more)
