"""Whether the source writes, keeps and sends the WAL that a standby needs."""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Facts
from ..lines import alter_system
from ..model import Verdict, error, passed, warning
from ._of import server, source

#: The base backup, the stream beside it, and one for a reconnect whose predecessor the
#: source has not noticed to be gone.
SENDERS_NEEDED = 2
SENDERS_WANTED = 3


def level(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    setting = of.settings["wal_level"]
    if setting.value != "minimal":
        yield passed(f"wal_level is {setting.value}", wal_level=setting.value)
        return
    values = {"wal_level": "replica"}
    if of.number("max_wal_senders") < SENDERS_WANTED:
        values["max_wal_senders"] = "10"
    changed = " It has been changed already; only the restart is missing." * setting.pending_restart
    yield error(
        f"wal_level is minimal: the WAL does not hold what a standby needs.{changed}",
        "Set wal_level to replica and restart the source.",
        alter_system(facts, values, needs_restart=True),
        wal_level=setting.value,
    )


def senders(facts: Facts) -> Iterator[Verdict]:
    most = server(facts).number("max_wal_senders")
    used = len(source(facts).standbys or ())
    free = most - used
    if free >= SENDERS_WANTED:
        yield passed(f"{free} of {most} WAL senders are free", free=free, max=most)
        return
    said = f"{free} of {most} WAL sender processes are free ({used} in use)."
    fix = alter_system(facts, {"max_wal_senders": str(used + 10)}, needs_restart=True)
    if free < SENDERS_NEEDED:
        yield error(
            f"{said} The full copy takes two: the backup and the WAL beside it.",
            "Raise max_wal_senders and restart the source.", fix, free=free, max=most,
        )  # fmt: skip
    else:
        yield warning(
            f"{said} After a cut line the old one may still be taken when the new one starts.",
            "Raise max_wal_senders and restart the source.", fix, free=free, max=most,
        )  # fmt: skip


def slots(facts: Facts) -> Iterator[Verdict]:
    most = server(facts).number("max_replication_slots")
    used = len(source(facts).slots or ())
    if used < most:
        yield passed(f"{most - used} of {most} replication slots are free", free=most - used)
        return
    yield error(
        f"All {most} replication slots are in use.",
        "Raise max_replication_slots and restart the source, or drop a slot nobody uses.",
        alter_system(facts, {"max_replication_slots": str(used + 10)}, needs_restart=True),
        max=most,
        used=used,
    )
