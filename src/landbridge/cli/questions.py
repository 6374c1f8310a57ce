"""Questions that a person answers by typing a word; nobody switches over by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError

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
    answer = out.console.input(f"Type [bold]{word}[/] to go on, anything else to leave it: ")
    return answer.strip().lower() == word
