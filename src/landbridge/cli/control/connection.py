"""Where the service is and which access key signs, as options and the environment say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError

if TYPE_CHECKING:
    from ...api.client import Credentials

SERVICE = "Service"
#: Where `landbridge serve` listens by default.
HERE = "127.0.0.1:8450"

EndpointOption = Annotated[
    str,
    typer.Option(
        "--endpoint",
        envvar="LANDBRIDGE_ENDPOINT",
        show_envvar=False,
        metavar="HOST:PORT",
        help="The service, or a URL. Without a scheme https, on this machine http."
        " LANDBRIDGE_ENDPOINT says it too.",
        rich_help_panel=SERVICE,
    ),
]
CredentialsOption = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        envvar="LANDBRIDGE_CREDENTIALS",
        show_envvar=False,
        metavar="FILE",
        help="Access key: what `landbridge account create --json` printed, mode 0600."
        " LANDBRIDGE_CREDENTIALS names it too; without both LANDBRIDGE_ACCESS_KEY_ID and"
        " LANDBRIDGE_ACCESS_KEY_SECRET.",
        show_default=False,
        rich_help_panel=SERVICE,
    ),
]


def credentials(file: Path | None) -> Credentials:
    """The access key in a file, or in the environment. UsageError (rpc.credentials)."""
    from ...api.client import Credentials
    from ...postgres.conninfo import Secret

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


def version_of(product: str) -> str:
    """The API version of a product's name, or of itself. UsageError."""
    from ...api.action import Product

    versions = {known.label: known.value for known in Product}
    version = versions.get(product.lower(), product)
    if not version[:1].isdecimal():
        raise UsageError(f"{product!r} is none of {', '.join(versions)}, and no version")
    return version


def read_text(path: str) -> str:
    """What a file, for `-` stdin, holds, without the line's end. UsageError."""
    if path == "-":
        return sys.stdin.read().removesuffix("\n")
    try:
        return Path(path).read_text().removesuffix("\n")
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path} cannot be read: {problem}") from None


def _from_file(file: Path) -> Credentials:
    from ...api.client import Credentials
    from ...postgres.conninfo import Secret

    try:
        if (mode := file.stat().st_mode & 0o777) & 0o077:
            raise UsageError(
                f"{file} is open to other accounts (mode {mode:04o})",
                id="rpc.credentials",
                remedy=f"chmod 600 {file}",
            )
        key = json.loads(file.read_text())["access_key"]
        return Credentials(str(key["id"]), Secret(str(key["secret"])))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(
            f"{file} holds no access key: {type(problem).__name__}",
            id="rpc.credentials",
            remedy="Make one: (umask 077; landbridge account create NAME --json > FILE)",
        ) from None
