"""Options that several commands share, each declared once.

Choices repeat the words of `migration.task` because help must not wait for its
imports; a test keeps the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import units

DESTINATION = "Destination"
COPYING = "Copy"
SWITCHOVER = "Switchover"
PROOF = "Proof"
OUTPUT = "Output"

#: Time limit of the switchover in seconds, as in `migration.task.Request`.
TIME_LIMIT = 60.0
#: Bytes of WAL our slot may keep on the source, as in `migration.task.Request`.
WAL_BUDGET = 16 * 1024**3


class Fence(StrEnum):
    """What keeps the source read-only from the switchover on."""

    sync = "sync"
    lockout = "lockout"
    manual = "manual"


class When(StrEnum):
    """Who decides the moment of the switchover."""

    ask = "ask"
    auto = "auto"
    wait = "wait"


class WalPolicy(StrEnum):
    """What happens when our slot keeps more WAL on the source than the budget."""

    protect_source = "protect-source"
    protect_migration = "protect-migration"


class Verify(StrEnum):
    """Whether all tables are compared before the switchover."""

    none = "none"
    before = "before"


def _size(text: str | int) -> int:
    if isinstance(text, int):  # a default
        return text
    try:
        return units.parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _compression(text: str) -> str:
    if not re.fullmatch(r"auto|none|(gzip|lz4|zstd)(:\d+(:\d+)?)?", text):
        raise typer.BadParameter(
            f"{text!r} is not auto, none or METHOD[:LEVEL[:WORKERS]] with gzip, lz4 or zstd"
        )
    return text


def _cidr(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="The source: 'host=... user=... dbname=...' or 'postgresql://user@host/dbname'."
        " The password comes from it, PGPASSWORD, a passfile or a prompt.",
        show_default=False,
    ),
]
TaskArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Task id, or its beginning.", show_default=False)
]


def _directory(text: str) -> Path:
    if not text.strip():
        raise UsageError("invalid value for --to: it names no directory")
    return Path(text)


To = Annotated[
    Path,
    typer.Option(
        "--to", metavar="DIR", parser=_directory,
        help="Data directory of the destination, on this host.",
        show_default=False, rich_help_panel=DESTINATION,
    ),
]  # fmt: skip
Port = Annotated[
    int,
    typer.Option(
        "--port", min=1, max=65535, metavar="N", help="Port of the destination.",
        rich_help_panel=DESTINATION,
    ),
]  # fmt: skip
Tablespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--tablespace", metavar="OLD=NEW", show_default=False, rich_help_panel=DESTINATION,
        help="Where a tablespace of the source goes on this host; may be repeated.",
    ),
]  # fmt: skip
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", show_default=False, rich_help_panel=DESTINATION,
        help="A postgresql.conf setting of the destination; may be repeated.",
    ),
]  # fmt: skip
MaxRate = Annotated[
    int | None,
    typer.Option(
        "--max-rate", parser=_size, metavar="SIZE", show_default=False, rich_help_panel=COPYING,
        help="Most bytes a second the copy takes from the source, like 50MB.",
    ),
]  # fmt: skip
Compression = Annotated[
    str,
    typer.Option(
        "--compression", parser=_compression, metavar="METHOD", rich_help_panel=COPYING,
        help="auto (measured), none, or METHOD[:LEVEL[:WORKERS]] with gzip, lz4, zstd.",
    ),
]  # fmt: skip
WalPolicyOption = Annotated[
    WalPolicy,
    typer.Option(
        "--wal-policy", rich_help_panel=COPYING,
        help="At the budget: drop our slot (protect-source) or keep it and alarm.",
    ),
]  # fmt: skip
WalBudget = Annotated[
    int,
    typer.Option(
        "--wal-budget", parser=_size, metavar="SIZE", rich_help_panel=COPYING,
        show_default="16GB",
        help="WAL that our slot may keep on the source.",
    ),
]  # fmt: skip
FenceOption = Annotated[
    Fence | None,
    typer.Option(
        "--fence", rich_help_panel=SWITCHOVER, show_default="sync with --fence-as, else manual",
        help="sync: no acknowledged commit can be lost; lockout: pg_hba refuses everybody;"
        " manual: you do it, we verify.",
    ),
]  # fmt: skip
FenceAs = Annotated[
    str | None,
    typer.Option(
        "--fence-as", metavar="CONNINFO", show_default=False, rich_help_panel=SWITCHOVER,
        help="Account that may fence the source (superuser); what it leaves out comes from"
        " SOURCE. Password: LANDBRIDGE_FENCE_PASSWORD, a passfile or a prompt.",
    ),
]  # fmt: skip
TimeLimit = Annotated[
    float,
    typer.Option(
        "--time-limit", min=1, metavar="SECONDS", rich_help_panel=SWITCHOVER,
        help="From the fence to the promotion; after it, everything is put back.",
    ),
]  # fmt: skip
Cidrs = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", parser=_cidr, metavar="CIDR", show_default=False, rich_help_panel=DESTINATION,
        help="Clients that the destination admits; may be repeated. Default: this host.",
    ),
]  # fmt: skip
ReplaceEmpty = Annotated[
    bool,
    typer.Option(
        "--replace-empty", metavar="", rich_help_panel=DESTINATION,
        help="Set an empty, stopped cluster in DIR aside; it is put back if this is given up.",
    ),
]  # fmt: skip
ArchiveCommand = Annotated[
    str | None,
    typer.Option(
        "--archive-command", metavar="COMMAND", show_default=False, rich_help_panel=DESTINATION,
        help="Archive the destination's WAL with it, from the promotion on.",
    ),
]  # fmt: skip
Reindex = Annotated[
    bool,
    typer.Option(
        "--reindex", metavar="", rich_help_panel=PROOF,
        help="Rebuild the indexes whose collation differs on this host.",
    ),
]  # fmt: skip
Detach = Annotated[
    bool,
    typer.Option(
        "--detach", metavar="", rich_help_panel=OUTPUT,
        help="Work in the background; follow it with `landbridge watch`.",
    ),
]  # fmt: skip
JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar="",
        help="One JSON object on stdout and nothing else.",
        rich_help_panel=OUTPUT,
    ),
]
EventsFlag = Annotated[
    bool,
    typer.Option(
        "--events",
        metavar="",
        help="One JSON object a line, as it happens.",
        rich_help_panel=OUTPUT,
    ),
]


def pairs(values: Iterable[str] | None, option: str) -> dict[str, str]:
    """`NAME=VALUE` arguments as a dict; UsageError names the option.

    >>> pairs(["work_mem=64MB", "search_path=a=b"], "--set")
    {'work_mem': '64MB', 'search_path': 'a=b'}
    """
    found = {}
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"invalid value for {option}: {value!r} is not of the form NAME=VALUE")
        found[name.strip()] = rest.strip()
    return found


def tablespaces(values: Iterable[str] | None) -> dict[str, str]:
    """The `--tablespace` arguments: location as the source writes it -> absolute path here.

    >>> tablespaces(["/disks/fast/=/srv/fast"])
    {'/disks/fast': '/srv/fast'}
    """
    found = pairs(values, "--tablespace")
    if empty := [old for old, new in found.items() if not new]:
        raise UsageError(f"invalid value for --tablespace: {empty[0]} goes to no directory")
    return {old.rstrip("/") or old: str(Path(new).absolute()) for old, new in found.items()}


#: Settings that are said in another way, or that Landbridge needs as they are.
_OURS = {
    "port": "--port", "listen_addresses": "--listen", "hba_file": "--hba-file",
    "ident_file": None, "data_directory": None, "config_file": None,
    "unix_socket_directories": None, "hot_standby": None, "archive_command": "--archive-command",
    "archive_mode": "--archive-command", "archive_cleanup_command": None, "restore_command": None,
    "standby_mode": None, "promote_trigger_file": None, "trigger_file": None,
    "synchronous_standby_names": None, "default_transaction_read_only": None,
}  # fmt: skip
#: Beginnings of those that make a server a standby.
_STANDBYS = ("primary_", "recovery_")


def settings(values: Iterable[str] | None) -> dict[str, str]:
    """`--set` arguments as a dict with names in lower case; UsageError names what is wrong.

    >>> settings(["Work_Mem=64MB"])
    {'work_mem': '64MB'}
    """
    found = {name.lower(): value for name, value in pairs(values, "--set").items()}
    for name in found:
        if not re.fullmatch(r"[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*", name):
            raise UsageError(f"invalid value for --set: {name!r} is not the name of a setting")
        if name in _OURS or name.startswith(_STANDBYS):
            other = _OURS.get(name)
            raise UsageError(
                f"invalid value for --set: {name} is Landbridge's to set",
                remedy=f"Use {other}." if other else None,
            )
    return found
