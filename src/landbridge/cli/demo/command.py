"""`landbridge demo`: a real cluster moves under load, with a proof at the end."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ...errors import UsageError
from ..options import OUTPUT, JsonFlag
from ..output import Mode, Output

_CONSOLE = "Console"
ConsoleFlag = Annotated[
    bool,
    typer.Option(
        "--console",
        metavar="",
        help="Two accounts in two regions and a web console instead: the rest is yours.",
        rich_help_panel=_CONSOLE,
    ),
]
GuidedFlag = Annotated[
    bool,
    typer.Option(
        "--guided",
        metavar="",
        help="With --console: the clicks are made for you, at a person's pace.",
        rich_help_panel=_CONSOLE,
    ),
]
ListenOption = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="With --console: where the console is; port 0 takes a free one.",
        rich_help_panel=_CONSOLE,
    ),
]


class DemoFence(StrEnum):
    """The fences that need nobody's hands."""

    sync = "sync"
    lockout = "lockout"


def demo(
    major: Annotated[
        int | None,
        typer.Option(
            "--major",
            min=10,
            max=18,
            metavar="N",
            show_default="the best equipped here",
            help="PostgreSQL version, of those that `landbridge engines` lists.",
        ),
    ] = None,
    scale: Annotated[
        int, typer.Option("--scale", min=1, metavar="N", help="Amount of data: N times 25 MB.")
    ] = 6,
    clients: Annotated[
        int, typer.Option("--clients", min=0, max=64, metavar="N", help="Busy pgbench sessions.")
    ] = 4,
    rate: Annotated[
        float,
        typer.Option(
            "--rate",
            min=1,
            max=5000,
            metavar="N",
            help="Rows a second that the writer commits and keeps account of.",
        ),
    ] = 500,
    fence: Annotated[
        DemoFence, typer.Option("--fence", help="What keeps the source from taking writes.")
    ] = DemoFence.sync,
    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="DIR", help="Where the evidence is left.", rich_help_panel=OUTPUT
        ),
    ] = Path("landbridge-demo-evidence"),
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            metavar="",
            help="Leave both servers running, and say how to reach them.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    console: ConsoleFlag = False,
    guided: GuidedFlag = False,
    listen: ListenOption = "127.0.0.1:8450",
    json: JsonFlag = False,
) -> int:
    """Move a real cluster under load, and prove it.

    Starts a source with data of many kinds, a writer that keeps account of every
    acknowledged row, and busy clients; migrates; then looks for every single row.
    Everything but the evidence is removed at the end. Ends 1 if anything is missing.
    """  # fmt: skip
    if guided and not console:
        raise UsageError("--guided goes with --console")
    if console:
        from .console.run import Wishes as Console
        from .console.run import run

        return run(Console(guided, listen, major, output), Output(Mode.of(json)))
    from .run import Demo, Wishes

    wishes = Wishes(major, scale, clients, rate, fence.value, output, keep)
    return Demo(wishes, Output(Mode.of(json))).run()
