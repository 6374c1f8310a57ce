"""`landbridge rpc`: one signed call to any action, of Landbridge or of the cloud."""

from __future__ import annotations

import json as json_
from enum import StrEnum
from typing import Annotated

import typer

from ..errors import UsageError
from .control.connection import (
    HERE,
    CredentialsOption,
    EndpointOption,
    read_text,
    version_of,
)
from .control.connection import credentials as access_key
from .options import JsonFlag
from .output import Mode, Output


class Method(StrEnum):
    """How the parameters travel."""

    POST = "POST"
    GET = "GET"


def rpc(
    product: Annotated[
        str,
        typer.Argument(
            metavar="PRODUCT",
            help="sts, vpc, cbn, rds or landbridge; or a version, like 2014-08-15.",
            show_default=False,
        ),
    ],
    action: Annotated[
        str,
        typer.Argument(metavar="ACTION", help="Like DescribeVpcs.", show_default=False),
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Parameters. KEY=@FILE reads the value from a file, KEY=@- from stdin:"
            " for passwords.",
            show_default=False,
        ),
    ] = None,
    endpoint: EndpointOption = HERE,
    method: Annotated[
        Method, typer.Option("--method", help="POST: parameters in the body; GET: in the URL.")
    ] = Method.POST,
    credentials: CredentialsOption = None,
    json: JsonFlag = False,
) -> None:
    """Sign one call with an access key, send it, and print the answer as JSON."""
    from rich.text import Text

    from ..api.client import call

    version = version_of(product)
    answer = call(
        endpoint, access_key(credentials), version, action, _given(parameters or []), method.value
    )
    text = json_.dumps(answer, indent=2, ensure_ascii=False)
    Output(Mode.of(json)).result(answer, Text(text))  # no markup, no emoji: "acs:ram::..."


def _given(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is not KEY=VALUE")
        if key in found:
            raise UsageError(f"{key} is given twice")
        found[key] = read_text(value[1:]) if value.startswith("@") else value
    return found
