"""What the procedure requires of source and destination.

Who the destination is, is decided when a task is ordered, and refused there. What it holds,
and how it fits the source, is a finding of the assessment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...assessment.model import Finding, Group, Level
from ...postgres.facts.directory import look_at
from ...postgres.osaccount import OsAccount
from ...postgres.units import size
from ..errors import CloudError
from ..instances.lifecycle import LOCAL_SSD
from ..instances.states import Role
from ..instances.tables import DBInstance

#: The vendor's: the source's data may fill so much of the destination's storage.
COMFORTABLE = 0.8


def check_destination(instance: DBInstance) -> None:
    """CloudError unless the instance may be a destination at all.

    IncorrectDBInstanceType (read-only), OperationDenied.LocalStorage.
    """
    if instance.role is not Role.PRIMARY:
        raise CloudError(
            "IncorrectDBInstanceType",
            f"{instance.id} is read-only; a migration needs a primary instance",
        )
    if instance.storage_type == LOCAL_SSD:
        raise CloudError(
            "OperationDenied.LocalStorage",
            f"{instance.id} has local disks; a migration needs cloud disks",
        )
    if instance.replicas:
        raise CloudError(
            "OperationDenied.ReadOnlyInstances",
            f"{instance.id} has the read-only {instance.replicas[0].id}, which could not follow"
            " another cluster",
        )


def contents(data: Path) -> tuple[str, ...]:
    """Some of what lies in a destination's data directory that initdb has not put there."""
    found = look_at(data, OsAccount.for_servers()).samples
    return tuple(name for name in found if name != "postmaster.pid")


def findings(
    data: Path, storage_gb: int, source: dict[str, Any], made: Sequence[str] = ()
) -> Sequence[Finding]:
    """The rules over a destination with its data in `data`; `source` is `Report.source`.

    `made`: what its server says that somebody has made there.
    """
    return [_empty(contents(data), made), *_storage(storage_gb << 30, source.get("size"))]


def unreachable(address: str, words: str) -> Finding:
    """What an assessment says of a source that the network leads to nowhere near."""
    return _finding(
        "connect.address", Level.ERROR, Group.CONNECTION, "Address",
        f"{address} does not answer: {words}",
        "Attach both VPCs to one CEN (the source's owner grants it first), and give the"
        " connection between their regions bandwidth.",
    )  # fmt: skip


def too_late(address: str, words: str) -> Finding:
    """What an assessment says of a source that keeps whoever asks it waiting."""
    return _finding(
        "connect.login", Level.ERROR, Group.CONNECTION, "Login",
        f"{address} has not told all that it was asked: {words}",
        "Look at the source's load and at the way to it, then assess again.",
    )  # fmt: skip


def _empty(others: Sequence[str], made: Sequence[str]) -> Finding:
    if not others:
        return _finding(
            "cloud.empty", Level.OK, Group.DESTINATION, "Contents of the destination",
            "the destination is empty",
        )  # fmt: skip
    return _finding(
        "cloud.empty", Level.ERROR, Group.DESTINATION, "Contents of the destination",
        "The destination holds databases or tables of its own"
        + (f": {', '.join(made)}." if made else "."),
        "Drop the databases and tables that were made there, or take another instance.",
        files=list(others),
    )  # fmt: skip


def _storage(storage: int, needed: int | None) -> list[Finding]:
    if needed is None:
        return []
    said = f"the source has {size(needed)} of data, the destination {size(storage)} of storage"
    level, cause, remedy = Level.OK, said, None
    if needed > storage:
        level, cause = Level.ERROR, f"{said[0].upper()}{said[1:]}."
        remedy = "Take a destination with more storage."
    elif needed > COMFORTABLE * storage:
        level = Level.WARNING
        cause = f"{said[0].upper()}{said[1:]}: more than {COMFORTABLE:.0%} of it."
        remedy = "Take a destination with more storage: tables grow."
    return [
        _finding(
            "cloud.storage", level, Group.DESTINATION, "Storage", cause, remedy,
            needed=needed, storage=storage,
        )
    ]  # fmt: skip


def _finding(
    id: str,
    level: Level,
    group: Group,
    title: str,
    cause: str,
    remedy: str | None = None,
    **data: Any,
) -> Finding:
    return Finding(id, level, title, cause, remedy, (), data, group)
