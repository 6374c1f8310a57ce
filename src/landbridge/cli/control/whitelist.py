"""`landbridge whitelist`: who may connect to an instance."""

from __future__ import annotations

from typing import Annotated

import typer

from .api import Api
from .tables import Column, Listing
from .verbs import InstanceArgument, argument, group, verb

whitelist = group("whitelist", "Who may connect to an instance.")

_GROUPS = Listing(
    "groups", "rds", "DescribeDBInstanceIPArrayList", "Items.DBInstanceIPArray",
    (
        Column("Group", "DBInstanceIPArrayName"),
        Column("Admits", lambda row: row["SecurityIPList"].split(",")),
    ),
)  # fmt: skip

Entries = Annotated[list[str], argument("ENTRY...", "Addresses or CIDR blocks, like 10.1.0.0/16.")]
Group = Annotated[
    str, typer.Option("--group", metavar="NAME", help="Which group of the whitelist.")
]


@verb(whitelist)
def show(api: Api, instance: InstanceArgument) -> None:
    """Show the groups of an instance's whitelist."""
    api.show(_GROUPS, api.rows(_GROUPS, DBInstanceId=instance))


@verb(whitelist, "set")
def set_(api: Api, instance: InstanceArgument, entries: Entries, group: Group = "default") -> None:
    """Let a group hold these entries and no others; a new group is made."""
    _modify(api, instance, entries, group, "Cover")


@verb(whitelist)
def add(api: Api, instance: InstanceArgument, entries: Entries, group: Group = "default") -> None:
    """Add entries to a group; a new group is made."""
    _modify(api, instance, entries, group, "Append")


@verb(whitelist)
def remove(
    api: Api, instance: InstanceArgument, entries: Entries, group: Group = "default"
) -> None:
    """Take entries from a group. Open sessions stay, see `whitelist close-sessions`."""
    _modify(api, instance, entries, group, "Delete")


@verb(whitelist, "close-sessions")
def close_sessions(api: Api, instance: InstanceArgument) -> None:
    """End the sessions of clients that the whitelist does not admit any more."""
    answer = api.call("landbridge", "CloseForeignSessions", DBInstanceId=instance)
    api.done(answer, f"Sessions that the whitelist of {instance} does not admit are being ended.")


def _modify(api: Api, instance: str, entries: list[str], group: str, mode: str) -> None:
    answer = api.call(
        "rds", "ModifySecurityIps", DBInstanceId=instance, DBInstanceIPArrayName=group,
        SecurityIps=",".join(entries), ModifyMode=mode,
    )  # fmt: skip
    rows = api.rows(_GROUPS, DBInstanceId=instance)
    held = [row["SecurityIPList"] for row in rows if row["DBInstanceIPArrayName"] == group.lower()]
    admits = ", ".join(held[0].split(",")) if held else "nobody"
    api.done(answer, f"Group {group} of {instance} admits {admits}.")
