"""Stages of a demonstration, as a person sees them go by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .. import units
from ..output import Output


@contextmanager
def stage(out: Output, what: str) -> Iterator[None]:
    """Say what is going on, and how long it took."""
    begin = time.monotonic()
    if out.is_live:
        with out.console.status(what):
            yield
    else:
        yield
    spent = units.duration(time.monotonic() - begin)
    out.show(f"  [green]✔[/]  {what:<66} [dim]{spent:>8}[/]")
