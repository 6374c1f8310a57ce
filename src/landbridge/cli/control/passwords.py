"""Passwords that a command sends: from a file, stdin or a prompt; never an argument."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from ...errors import UsageError
from ..output import Output
from .connection import read_text

PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file", metavar="FILE", show_default="a prompt",
        help="Where the password stands, alone; - for stdin.",
    ),
]  # fmt: skip


def password(out: Output, file: str | None, of: str, *, new: bool = False) -> str:
    """The password of an account; a new one is asked for twice. UsageError."""
    if file is not None:
        return read_text(file)
    if not out.can_ask:
        raise UsageError(
            f"the password of {of} is needed", id="credentials.missing",
            remedy="Name a file that holds it: --password-file FILE, or - for stdin.",
        )  # fmt: skip
    given = getpass.getpass(f"Password of {of}: ")
    if new and getpass.getpass("The same again: ") != given:
        raise UsageError("the two passwords differ", id="credentials.differ")
    return given
