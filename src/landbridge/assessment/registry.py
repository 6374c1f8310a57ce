"""All checks in one table: id, group, title, what they need to have been seen, the rule's source.

Ids are stable: they are matched by programs and waived by people. `needs` names facts
of `Facts` (dotted); where one is None the check is skipped, and if the source refused
to tell it, a finding of level info says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .checks import connection, destination, platform, wal
from .facts import Facts
from .model import Group, Verdict


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    id: str
    group: Group
    title: str
    run: Callable[[Facts], Iterable[Verdict]]
    needs: tuple[str, ...]
    rule: str
    """Where the rule comes from."""


_DOC = "PostgreSQL documentation, "

CHECKS: tuple[Check, ...] = (
    Check("connect.address", Group.CONNECTION, "Address answers", connection.address, (),
          "the destination's host must reach the source"),
    Check("connect.port", Group.CONNECTION, "Port is open", connection.port, ("reached.port",),
          "the destination's host must reach the source"),
    Check("connect.login", Group.CONNECTION, "Account logs in", connection.login,
          ("reached.login",), _DOC + "The pg_hba.conf File"),
    Check("connect.replication", Group.CONNECTION, "Replication connection opens",
          connection.replication, ("reached.replication",),
          _DOC + "Streaming Replication Protocol; pg_hba.conf cannot be read, so it is tried"),
    Check("connect.createrole", Group.CONNECTION, "Account has CREATEROLE", connection.createrole,
          ("source.account",), "the privileged account of the migration procedure"),
    Check("connect.pg_monitor", Group.CONNECTION, "Account is in pg_monitor", connection.monitor,
          ("source.account",), _DOC + "Predefined Roles"),
    Check("version.major", Group.PLATFORM, "Same major version", platform.major, ("source",),
          _DOC + "Log-Shipping Standby Servers, Planning"),
    Check("version.minor", Group.PLATFORM, "Minor version not older", platform.minor,
          ("source", "destination.programs"), _DOC + "Log-Shipping Standby Servers, Planning"),
    Check("destination.empty", Group.DESTINATION, "Data directory is free", destination.empty, (),
          "nothing of anybody's is overwritten"),
    Check("destination.disk", Group.DESTINATION, "Room for the data", destination.disk,
          ("source.databases",), "measured: a copy without room fails after hours"),
    Check("wal.level", Group.WAL, "wal_level", wal.level, ("source.server.settings.wal_level",),
          _DOC + "wal_level"),
    Check("wal.senders", Group.WAL, "Free WAL senders", wal.senders, ("source.standbys",),
          _DOC + "max_wal_senders"),
    Check("wal.slots", Group.WAL, "Free replication slot", wal.slots, ("source.slots",),
          _DOC + "max_replication_slots"),
)  # fmt: skip
