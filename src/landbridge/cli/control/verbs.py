"""Groups of commands that all take the service, the access key and `--json`."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from ..options import JsonFlag
from ..output import Mode, Output
from .api import Api
from .connection import HERE, CredentialsOption, EndpointOption

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SHARED: tuple[tuple[str, Any, Any], ...] = (
    ("endpoint", EndpointOption, HERE),
    ("credentials", CredentialsOption, None),
    ("json", JsonFlag, False),
)

Wait = Annotated[
    bool,
    typer.Option("--wait", metavar="", help="Go on until it is done, and say how far it is."),
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="A name for it.", show_default=False)
]
Description = Annotated[
    str | None,
    typer.Option("--description", metavar="TEXT", help="What it is for.", show_default=False),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="REGION", help="Of this region only.", show_default="all regions"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask whether it is meant.")]


def argument(metavar: str, help: str) -> Any:
    """A required argument."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


InstanceArgument = Annotated[str, argument("INSTANCE", "Id of an instance.")]


def group(name: str, help: str, epilog: str | None = None) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        name=name, help=help, epilog=epilog, no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip


def verb(group: typer.Typer, name: str | None = None) -> Callable[[_Function], _Function]:
    """Make a function a command of a group; see `with_service`."""

    def register(function: _Function) -> _Function:
        group.command(name or function.__name__.rstrip("_"))(with_service(function))
        return function

    return register


def with_service(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command from a function whose first parameter is the `Api`, the rest its own.

    The options that every verb shares come after its own.
    """
    hints = get_type_hints(function, include_extras=True)
    _, *own = signature(function).parameters.values()
    parameters = [
        *(p.replace(annotation=hints[p.name], kind=Parameter.KEYWORD_ONLY) for p in own),
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, kind, default in _SHARED
        ),
    ]

    def run(endpoint: str, credentials: Any, json: bool, **given: Any) -> Any:
        return function(Api(endpoint, credentials, Output(Mode.of(json))), **given)

    run.__doc__ = function.__doc__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run
