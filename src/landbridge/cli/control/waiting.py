"""Waiting for what the service does after it has answered: it is asked how far it is.

Progress goes to stderr, so that stdout holds the result alone. Nothing here guesses: the
words, reasons and figures are the service's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import LandbridgeError
from ..harmless import harmless_console
from .tables import Listing, Row

if TYPE_CHECKING:
    from .api import Api

#: Parameters of a list that leave one row.
Where = Mapping[str, object]
#: Seconds between two questions.
_PAUSE = 0.3
#: Seconds for which a service may be silent, as while it is started anew.
_SILENCE = 60.0


class WaitEnded(LandbridgeError):
    """What was waited for cannot come any more."""

    id = "wait.ended"


@dataclass(frozen=True)
class Seen:
    """How far something is."""

    state: str
    """A line is written when it changes."""
    is_over: bool
    figures: str = ""
    """Shown on a terminal only: they change all the time."""
    trouble: str = ""
    """Why it does not go on."""
    row: Row | None = None


def wait(what: str, look: Callable[[], Seen], else_: str = "") -> Seen:
    """Look until it is over. Interrupted on Ctrl-C, which stops nothing but the waiting.

    `else_` says how to look again. CallFailed after a minute without an answer.
    """
    from ..interrupt import Interrupted

    with ExitStack() as stack:
        shown = stack.enter_context(_Progress(what))
        try:
            while True:
                seen = _patiently(look, shown)
                shown.show(seen)
                if seen.is_over:
                    return seen
                time.sleep(_PAUSE)
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped waiting, and nothing else", remedy=f"It goes on by itself. {else_}".strip()
            ) from None


def until(
    api: Api,
    what: str,
    listing: Listing,
    where: Where,
    wanted: str,
    *,
    status: str = "Status",
    trouble: str = "StatusReason",
) -> Row:
    """Wait until the one row of a list has the status `wanted`, and return it.

    WaitEnded when there is no such row any more.
    """

    def look() -> Seen:
        row = _only(api, listing, where)
        if row is None:
            raise WaitEnded(f"{what} is not there any more")
        said = str(row.get(trouble) or "")
        return Seen(str(row[status]), row[status] == wanted, trouble=said, row=row)

    row = wait(what, look).row
    assert row is not None
    return row


def until_gone(
    api: Api,
    what: str,
    listing: Listing,
    where: Where,
    *,
    status: str = "Status",
    trouble: str | None = None,
) -> None:
    """Wait until a list has no such row any more.

    `trouble` names a field that has a text once it stays; WaitEnded with it.
    """

    def look() -> Seen:
        row = _only(api, listing, where)
        if row is None:
            return Seen("gone", True)
        if trouble is not None and row.get(trouble):
            raise WaitEnded(f"{what} stays: {row[trouble]}")
        return Seen(str(row[status]), False)

    wait(what, look)


def _only(api: Api, listing: Listing, where: Where) -> Row | None:
    try:
        return next(iter(api.rows(listing, **where)), None)
    except LandbridgeError as error:
        if error.id.endswith(".NotFound"):
            return None
        raise


def _patiently(look: Callable[[], Seen], shown: _Progress) -> Seen:
    """Look, and again while nobody answers."""
    end = time.monotonic() + _SILENCE
    while True:
        try:
            return look()
        except LandbridgeError as problem:
            if not problem.retryable or time.monotonic() > end:
                raise
            shown.show(Seen("asking again", False, trouble=problem.message))
            time.sleep(_PAUSE)


class _Progress:
    """Lines on stderr, one for each state; on a terminal the figures below them."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = harmless_console(stderr=True)
        self._begun = time.monotonic()
        self._said: tuple[str, str] | None = None
        self._live = self._console.status("") if sys.stderr.isatty() else None

    def __enter__(self) -> _Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, seen: Seen) -> None:
        from rich.text import Text

        said = (seen.state, seen.trouble)
        if said != self._said:
            self._said = said
            why = f" ({seen.trouble})" if seen.trouble else ""
            line = f"{time.monotonic() - self._begun:7.1f} s  {self._what}: {seen.state}{why}"
            self._console.print(Text(line), soft_wrap=True)
        if self._live:
            self._live.update(Text(seen.figures))
