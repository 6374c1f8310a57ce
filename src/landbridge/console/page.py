"""What a page is: a path, and functions from a visit to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from .visit import Visit

Handler = Callable[[Visit], Response]


@dataclass(frozen=True)
class Page:
    """One page of the console."""

    path: str
    """Below the console's root, like `/cen/{id}`."""
    show: Handler | None = None
    """Answers GET."""
    send: Handler | None = None
    """Answers a form that was sent from a page."""
