"""The options that `landbridge migrate` alone has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import DESTINATION, OUTPUT, PROOF, SWITCHOVER, Verify, When

Listen = Annotated[
    str,
    typer.Option(
        "--listen", metavar="ADDRESSES", rich_help_panel=DESTINATION,
        help="Addresses the destination listens on.",
    ),
]  # fmt: skip
HbaFile = Annotated[
    Path | None,
    typer.Option(
        "--hba-file", metavar="FILE", exists=True, dir_okay=False, show_default=False,
        help="pg_hba lines of your own, instead of those made from --allow.",
        rich_help_panel=DESTINATION,
    ),
]  # fmt: skip
Switchover = Annotated[
    When | None,
    typer.Option(
        "--switchover", rich_help_panel=SWITCHOVER, show_default="ask on a terminal, else wait",
        help="ask: once caught up, show the guardrails and ask; auto: at once;"
        " wait: until `landbridge switchover` is called.",
    ),
]  # fmt: skip
VerifyOption = Annotated[
    Verify,
    typer.Option(
        "--verify", rich_help_panel=PROOF,
        help="before: compare every table at one position before the fence.",
    ),
]  # fmt: skip
VerifyAs = Annotated[
    str | None,
    typer.Option(
        "--verify-as", metavar="CONNINFO", show_default=False, rich_help_panel=PROOF,
        help="Account that may read every table of the source; what it leaves out comes from"
        " SOURCE. Password: LANDBRIDGE_VERIFY_PASSWORD, a passfile or a prompt.",
    ),
]  # fmt: skip
Waive = Annotated[
    list[str] | None,
    typer.Option(
        "--waive", metavar="ID", show_default=False, rich_help_panel=PROOF,
        help="Accept the assessment's error of this id; may be repeated.",
    ),
]  # fmt: skip
Plan = Annotated[
    bool,
    typer.Option(
        "--plan", metavar="", rich_help_panel=OUTPUT,
        help="Assess, and say what would be done; changes nothing.",
    ),
]  # fmt: skip


def read_hba(file: Path | None) -> str | None:
    """The lines of `--hba-file`, if it was given; UsageError if they cannot be read."""
    try:
        return file.read_text() if file else None
    except (OSError, UnicodeError) as problem:
        raise UsageError(f"--hba-file {file} cannot be read: {problem}") from None
