"""What the commands that work on the state directory itself share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ..cloud import Cloud

AccountArgument = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="UID or name.", show_default=False)
]


@contextmanager
def local_cloud() -> Iterator[Cloud]:
    """The control plane of this machine's state directory."""
    from ..cloud import Cloud
    from ..migration.task import Tasks
    from .environment import taken_password

    cloud = Cloud.open(Tasks.default().root, password=taken_password("source"))
    try:
        yield cloud
    finally:
        cloud.close()


def minute(at: datetime) -> str:
    """A moment in local time, without its seconds."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def pairs(lines: list[tuple[str, str]]) -> Table:
    """Labelled facts below each other."""
    made = table(("", ""))
    made.show_header = False
    for pair in lines:
        made.add_row(*pair)
    return made


def table(headings: tuple[str, ...]) -> Table:
    """An empty table."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading, no_wrap=True)
    return made
