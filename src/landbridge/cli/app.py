"""The commands in the order of `landbridge --help`.

A command's file imports nothing heavy before it is called, so that help is quick.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, cast

import typer
from typer.core import TyperGroup

from . import (
    assess,
    cancel,
    engines,
    forget,
    migrate,
    resume,
    rpc,
    serve,
    switchover,
    tasks,
    verify,
)
from .account import account
from .control.cen import cen
from .control.instance import instance
from .control.migration import migration
from .control.verbs import with_service
from .control.vpc import vpc
from .control.whitelist import whitelist
from .control.whoami import whoami
from .demo import command as demo
from .lab.group import lab
from .service import service

_app = typer.Typer(
    name="landbridge",
    help="Move a whole PostgreSQL cluster to another server, and prove that nothing was lost.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong call, 3 the assessment found errors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_MOVE = "Move a cluster"
_FOLLOW = "Follow and steer a migration"
_CONTROL = "Control plane"
_MORE = "More"

for _panel, _name, _function in (
    (_MOVE, "assess", assess.assess),
    (_MOVE, "migrate", migrate.migrate),
    (_MOVE, "verify", verify.verify),
    (_FOLLOW, "tasks", tasks.tasks),
    (_FOLLOW, "show", tasks.show),
    (_FOLLOW, "watch", tasks.watch),
    (_FOLLOW, "switchover", switchover.switchover),
    (_FOLLOW, "cancel", cancel.cancel),
    (_FOLLOW, "resume", resume.resume),
    (_FOLLOW, "forget", forget.forget),
    (_CONTROL, "serve", serve.serve),
    (_CONTROL, "rpc", rpc.rpc),
    (_CONTROL, "whoami", with_service(whoami)),
    (_MORE, "demo", demo.demo),
    (_MORE, "engines", engines.engines),
):
    _app.command(_name, rich_help_panel=_panel)(_function)
for _group in (service, account, vpc, cen, instance, whitelist, migration):
    _app.add_typer(_group, rich_help_panel=_CONTROL)
_app.add_typer(lab, rich_help_panel=_MORE)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"landbridge {version('landbridge')}")
        raise typer.Exit


@_app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    pass


def command() -> TyperGroup:
    """All commands as one click-like group."""
    return cast(TyperGroup, typer.main.get_command(_app))
