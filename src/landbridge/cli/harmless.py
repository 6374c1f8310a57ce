"""What is said to a person: names and texts of others do not steer the terminal.

Tenants choose names, sources answer what they like, and the operator reads it as root: an
escape sequence could rewrite lines that stand there, or fill the clipboard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

#: Control characters but line feed and tab, and what turns the direction of writing.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text with a sign in the place of each character that would steer a terminal.

    >>> harmless("a\\x1b[31mb\\n")
    'a\ufffd[31mb\\n'
    """
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def harmless_console(**options: Any) -> Console:
    """A console of `rich` that says only what is harmless; what steers is rich's own.

    Nothing that is said is a style or a symbol.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Harmless(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=harmless(segment.text))

    return Harmless(highlight=False, markup=False, emoji=False, **options)
