"""Whitelists: named groups of addresses; merged they say who may connect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Network

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from .. import quotas
from ..errors import CloudError
from .tables import DBInstance, WhitelistGroup

DEFAULT_GROUP = "default"
#: Of a new instance: nobody. 127.0.0.1 is no address of a client that comes over a network.
NOBODY = ("127.0.0.1",)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}[a-z0-9]")


class Mode(Enum):
    """What a change does with the entries of a group."""

    COVER = "Cover"
    APPEND = "Append"
    DELETE = "Delete"


def modify(
    session: Session,
    instance: DBInstance,
    entries: Sequence[str],
    *,
    group: str | None = None,
    mode: Mode = Mode.COVER,
    attribute: str | None = None,
) -> None:
    """Change one group; an unknown one is made, and one without entries goes, unless it is the
    default group. Counts as soon as the server was told.

    Sessions that are open stay so, see `close_strangers`. CloudError:
    InvalidSecurityIPList.Format, .Duplicate, InvalidSecurityIPList.QuotaExceeded,
    InvalidDBInstanceIPArrayName.Format.
    """
    entries = [_entry(text) for text in entries]
    name = (group or DEFAULT_GROUP).lower()
    if not _NAME.fullmatch(name):
        raise CloudError(
            "InvalidDBInstanceIPArrayName.Format",
            "a group's name has 2 to 32 lower-case letters, digits and '_', a letter first",
        )
    row = next((g for g in instance.groups if g.name == name), None)
    if row is None:
        if mode is Mode.DELETE:
            raise CloudError("InvalidDBInstanceIPArrayName.Format", f"there is no group {name!r}")
        row = WhitelistGroup(name=name, attribute="", entries=[])
        instance.groups.append(row)
    row.entries = _changed(row.entries, entries, mode)
    if attribute is not None:
        row.attribute = attribute
    if not row.entries:
        _remove(instance, row)
    _check_quota(instance)
    session.flush()
    instance.change()


def entries(session: Session, instance: DBInstance) -> list[str]:
    """Those of all groups."""
    groups = session.connection().execute(_ENTRIES, {"id": instance.id}).scalars()
    return [entry for group in groups for entry in group]


_ENTRIES = (
    select(WhitelistGroup.entries)
    .where(WhitelistGroup.instance_id == bindparam("id"))
    .order_by(WhitelistGroup.name)
)


def close_strangers(instance: DBInstance) -> None:
    """Order that sessions whose address the whitelist does not admit are ended."""
    instance.closes_strangers = True
    instance.change()


def _changed(before: Sequence[str], entries: Sequence[str], mode: Mode) -> list[str]:
    if len(set(entries)) < len(entries):
        raise CloudError("InvalidSecurityIPList.Duplicate")
    if mode is Mode.COVER:
        after = list(entries)
    elif mode is Mode.APPEND:
        if doubled := sorted(set(before) & set(entries)):
            raise CloudError(
                "InvalidSecurityIPList.Duplicate", f"{', '.join(doubled)} is in the group already"
            )
        after = [*before, *entries]
    else:
        if absent := sorted(set(entries) - set(before)):
            raise CloudError(
                "InvalidSecurityIPList.Format", f"{', '.join(absent)} is not in the group"
            )
        after = [entry for entry in before if entry not in entries]
    return after


def _remove(instance: DBInstance, group: WhitelistGroup) -> None:
    if group.name == DEFAULT_GROUP:
        raise CloudError(
            "InvalidSecurityIPList.Format",
            "the default group keeps at least one entry",
            remedy="To let nobody in, cover it with 127.0.0.1.",
        )
    instance.groups.remove(group)


def _check_quota(instance: DBInstance) -> None:
    quotas.WHITELIST_GROUPS.require_room(0, len(instance.groups))
    quotas.WHITELIST_ENTRIES.require_room(0, sum(len(group.entries) for group in instance.groups))


def _entry(text: str) -> str:
    """An entry as it is kept: an address, or a block."""
    try:
        block = IPv4Network(text, strict=False)
        if "/" in text and not text.rpartition("/")[2].isdecimal():
            raise ValueError("a mask is written as a number")
        if block.prefixlen == 0 and text != "0.0.0.0/0":
            raise ValueError("a mask has 1 to 32 bits")
    except ValueError as problem:
        raise CloudError(
            "InvalidSecurityIPList.Format",
            f"{text!r} is neither an IPv4 address nor a CIDR block: {problem}",
        ) from None
    return text
