"""Questions that a person answers by typing a word; nobody switches over by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from .interrupt import Interrupted

if TYPE_CHECKING:
    from .output import Output


def confirmed(out: Output, question: str, word: str, *, yes: bool = False) -> bool:
    """Whether the person typed `word`; `yes` (the option --yes) answers beforehand.

    Raises UsageError where nobody can be asked.
    """
    if yes:
        return True
    if not out.can_ask:
        raise UsageError("nobody is there to confirm", remedy="Confirm with --yes.")
    out.show("", question)
    try:
        answer = out.console.input(f"Type [bold]{word}[/] to go on, anything else to leave it: ")
    except EOFError:
        answer = ""
        out.show("")
    return answer.strip().lower() == word


def agreed(out: Output, question: str, word: str, *, yes: bool = False, kept: str = "") -> bool:
    """`confirmed`, for a command that then does nothing else, and says so.

    `kept` tells what it has noted all the same. Raises UsageError, and Interrupted on Ctrl-C.
    """
    nothing = f"Nothing was done.{' ' if kept else ''}{kept}"
    try:
        if confirmed(out, question, word, yes=yes):
            return True
    except KeyboardInterrupt:
        raise Interrupted("interrupted at the question", remedy=nothing) from None
    out.show(nothing)
    return False
