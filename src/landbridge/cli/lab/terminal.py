"""A terminal that is left to a child for a while."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_to_child() -> Iterator[None]:
    """Ctrl-C is the child's business meanwhile."""
    # A function, not SIG_IGN, which the child would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
