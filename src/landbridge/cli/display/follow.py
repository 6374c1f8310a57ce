"""Shows a task until something happens: on a terminal, as lines, or as events."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ..output import Mode, Output
from . import lines
from .view import View

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

#: Seconds between two looks at the files. They are small, and a look costs 0.2 ms.
_LOOK = 0.1


def follow(
    view: View,
    out: Output,
    until: Callable[[View], bool],
    *,
    extra: Callable[[], RenderableType] | None = None,
) -> None:
    """Show `view` as it changes until `until(view)` holds; returns after a last look.

    `extra` is drawn below it, on a terminal only. KeyboardInterrupt passes through.
    """
    with _live(out) as live:
        last_line, figures = time.monotonic(), ""
        while True:
            reached = until(view)
            before, entries = view.live, view.update()
            if view.live != before:
                out.event("live", **view.live)
            if live is not None:
                live.update(_picture(view, extra), refresh=True)
            elif _say(view, out, entries):
                last_line = time.monotonic()
            elif time.monotonic() - last_line >= lines.EVERY:
                last_line = time.monotonic()
                line = lines.figures_line(view)
                if line and line.partition(" ")[2] != figures:
                    figures = line.partition(" ")[2]
                    out.line(line)
            if reached:
                return
            time.sleep(_LOOK)


def _live(out: Output) -> AbstractContextManager[Live | None]:
    if not out.is_live:
        return nullcontext()
    from rich.live import Live

    return Live(console=out.console, auto_refresh=False, vertical_overflow="visible")


def _picture(view: View, extra: Callable[[], RenderableType] | None) -> RenderableType:
    from rich.console import Group

    from .screen import screen

    return Group(screen(view), extra()) if extra else screen(view)


def _say(view: View, out: Output, entries: list[dict[str, Any]]) -> bool:
    """Write what is new; whether there was anything."""
    if out.mode is Mode.EVENTS:
        for entry in entries:
            out.event(**entry)
        return bool(entries)
    said = [line for entry in entries if (line := lines.entry_line(view, entry))]
    for line in said:
        out.line(line)
    return bool(said)
