"""Stages of a demonstration, as a person sees them go by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

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
    out.show(Text.assemble("  ", ("✔", "green"), f"  {what:<66} ", (f"{spent:>8}", "dim")))
