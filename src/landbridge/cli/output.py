"""Where output goes: one door for people, JSON objects and event lines.

stdout belongs to the result. With `--json` it holds exactly one object, with
`--events` one object a line; everything said to a person goes to stderr then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import LandbridgeError, UsageError
from .harmless import harmless, harmless_console

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Columns of tables that go into a file or a pipe.
_WIDTH_OF_FILES = 120


class Mode(Enum):
    """For whom stdout is."""

    HUMAN = "human"
    """Tables and sentences."""
    JSON = "json"
    """One object at the end."""
    EVENTS = "events"
    """One object a line, as things happen; the last has kind `result` or `error`."""

    @classmethod
    def of(cls, json: bool, events: bool = False) -> Mode:
        """The mode that the options ask for; UsageError if they ask for two."""
        if json and events:
            raise UsageError("--json and --events exclude each other")
        return cls.JSON if json else cls.EVENTS if events else cls.HUMAN


class OutputFailed(LandbridgeError):
    """stdout takes no more: its disk is full, or nobody reads it. Said on stderr."""

    id = "output.failed"


class OutputUnread(OutputFailed):
    """Whoever read stdout has gone, as in `landbridge watch ID | head`: no error of anybody's."""

    exit_code = 141


class Output:
    """The two streams of one command."""

    def __init__(self, mode: Mode = Mode.HUMAN) -> None:
        self.mode = mode

    @cached_property
    def console(self) -> Console:
        """stdout for people; in the other modes stderr, so that stdout stays pure."""
        console = harmless_console(stderr=self.mode is not Mode.HUMAN)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _WIDTH_OF_FILES
        return console

    @property
    def is_live(self) -> bool:
        """Whether a person watches a terminal that can be redrawn."""
        return self.mode is Mode.HUMAN and self.console.is_terminal

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer a question."""
        return self.is_live and sys.stdin.isatty()

    def show(self, *renderables: RenderableType) -> None:
        """Show something to a person; nothing in the other modes."""
        from rich.text import Text

        if self.mode is Mode.HUMAN:
            with _written():
                for part in renderables:
                    is_text = isinstance(part, str | Text)
                    if is_text and self.console.is_terminal:
                        plain = wrapped(str(part), self.console.width)
                        part = part if plain == str(part) else plain
                    self.console.print(part, soft_wrap=is_text, crop=False)

    def line(self, text: str) -> None:
        """One plain line for a person, flushed at once and never wrapped."""
        if self.mode is Mode.HUMAN:
            _print(harmless(text))

    def result(self, value: dict[str, Any], *renderables: RenderableType) -> None:
        """The result of the command: an object for programs, renderables for people."""
        if self.mode is Mode.JSON:
            _print(json.dumps(value, default=str, indent=2))
        elif self.mode is Mode.EVENTS:
            self.event("result", **value)
        else:
            self.show(*renderables)

    def event(self, kind: str, **facts: Any) -> None:
        """One line of `--events`; nothing in the other modes."""
        if self.mode is Mode.EVENTS:
            _print(json.dumps({"kind": kind, **facts}, default=str))

    def warn(self, text: str) -> None:
        """Say something that needs attention, on stderr."""
        print(f"landbridge: warning: {harmless(text)}", file=sys.stderr, flush=True)

    def error(self, error: LandbridgeError) -> None:
        """Say once what went wrong: on stderr for people, as an object for programs."""
        if self.mode is Mode.JSON and not isinstance(error, OutputFailed):
            _print(json.dumps({"error": error.as_dict()}, indent=2))
        elif self.mode is Mode.EVENTS and not isinstance(error, OutputFailed):
            self.event("error", **error.as_dict())
        else:
            remedy = [f"  {line.strip()}" for line in (error.remedy or "").splitlines()]
            text = "\n".join((f"landbridge: {error.message} [{error.id}]", *remedy))
            if sys.stderr.isatty():
                text = wrapped(text, shutil.get_terminal_size().columns)
            print(harmless(text), file=sys.stderr)
            sys.stderr.flush()


def wrapped(text: str, width: int) -> str:
    """Sentences broken between words; lines that hold a command or a statement stay whole.

    >>> print(wrapped("one two three\\n  SELECT 1, 2, 3;", 8))
    one two
    three
      SELECT 1, 2, 3;
    """
    found = []
    for line in text.splitlines():
        whole = len(line) <= width or _WHOLE.search(line)
        lead = " " * (len(line) - len(line.lstrip()))
        found += [line] if whole else textwrap.wrap(
            line, width, subsequent_indent=lead, break_long_words=False, break_on_hyphens=False
        )  # fmt: skip
    return "\n".join(found)


#: What marks a line that is to be copied as it stands.
_WHOLE = re.compile(r"landbridge (?:[a-z]+ m-|\w+ \.\.\.)|pg_ctl|;$|^Evidence:|^  (?:shell|SQL)  ")


def _print(text: str) -> None:
    with _written():
        print(text, flush=True)


@contextmanager
def _written() -> Iterator[None]:
    """Turn what the system says to a write on stdout into OutputFailed."""
    try:
        yield
    except (OSError, SystemExit) as problem:  # SystemExit: what rich makes of a broken pipe
        # What is left in the buffer must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(problem, BrokenPipeError | SystemExit):
            raise OutputUnread("nobody reads the output any more") from None
        raise OutputFailed(f"the output cannot be written: {problem.strerror}") from None
