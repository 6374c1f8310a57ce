"""`landbridge rpc`: one signed call to any action, of Landbridge or of the cloud."""

from __future__ import annotations

import json as json_
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .options import JsonFlag
from .output import Mode, Output

if TYPE_CHECKING:
    from ..api.client import Credentials


class Method(StrEnum):
    """How the parameters travel."""

    POST = "POST"
    GET = "GET"


def rpc(
    product: Annotated[
        str,
        typer.Argument(
            metavar="PRODUCT",
            help="sts, vpc, cbn or rds; or a version, like 2014-08-15.",
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
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="HOST:PORT",
            help="The service, or a URL. Without a scheme https, on this machine http.",
        ),
    ] = "127.0.0.1:8450",
    method: Annotated[
        Method, typer.Option("--method", help="POST: parameters in the body; GET: in the URL.")
    ] = Method.POST,
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            metavar="FILE",
            help="Access key: what `landbridge account create --json` printed, mode 0600."
            " Without it LANDBRIDGE_ACCESS_KEY_ID and LANDBRIDGE_ACCESS_KEY_SECRET.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Sign one call with an access key, send it, and print the answer as JSON."""
    from rich.text import Text

    from ..api.action import Product
    from ..api.client import call

    versions = {known.label: known.value for known in Product}
    version = versions.get(product.lower(), product)
    if not version[:1].isdecimal():
        raise UsageError(f"{product!r} is none of {', '.join(versions)}, and no version")
    answer = call(
        endpoint, _credentials(credentials), version, action, _given(parameters or []), method.value
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
        found[key] = _read(value[1:]) if value.startswith("@") else value
    return found


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read().removesuffix("\n")
    try:
        return Path(path).read_text().removesuffix("\n")
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path} cannot be read: {problem}") from None


def _credentials(file: Path | None) -> Credentials:
    from ..api.client import Credentials
    from ..postgres.conninfo import Secret

    if file is not None:
        return _from_file(file)
    id = os.environ.get("LANDBRIDGE_ACCESS_KEY_ID")
    secret = os.environ.get("LANDBRIDGE_ACCESS_KEY_SECRET")
    if not id or not secret:
        raise UsageError(
            "there is no access key to sign with",
            id="rpc.credentials",
            remedy="Set LANDBRIDGE_ACCESS_KEY_ID and LANDBRIDGE_ACCESS_KEY_SECRET, or name a file"
            " with --credentials.",
        )
    return Credentials(id, Secret(secret))


def _from_file(file: Path) -> Credentials:
    from ..api.client import Credentials
    from ..postgres.conninfo import Secret

    try:
        if (mode := file.stat().st_mode & 0o777) & 0o077:
            raise UsageError(
                f"{file} is open to other accounts (mode {mode:04o})",
                id="rpc.credentials",
                remedy=f"chmod 600 {file}",
            )
        key = json_.loads(file.read_text())["access_key"]
        return Credentials(str(key["id"]), Secret(str(key["secret"])))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(
            f"{file} holds no access key: {type(problem).__name__}",
            id="rpc.credentials",
            remedy="Make one: (umask 077; landbridge account create NAME --json > FILE)",
        ) from None
