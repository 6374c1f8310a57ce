"""Replication that exists already, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

from ...postgres.units import size
from ..facts import Facts
from ..lines import ident, literal, source_sql
from ..model import Verdict, error, info, passed, warning
from ._of import listing, server, source

#: More WAL than this behind an inactive slot is worth a word.
HELD = 64 * 1024**2


def primary(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    if of.in_recovery:
        upstream = f" of {of.upstream}" if of.upstream else ""
        yield error(
            f"The source is itself a standby{upstream}: it cannot be fenced, its primary can. A"
            " copy taken from it also waits for the primary at its end, on an idle one without"
            " bound (measured).",
            "Migrate from its primary.",
            upstream=of.upstream,
        )
    else:
        yield passed("the source is a primary")


def logical_slots(facts: Facts) -> Iterator[Verdict]:
    found = [s for s in source(facts).slots or () if s.kind == "logical"]
    if found:
        names = listing(f"{s.name} ({s.database})" for s in found)
        yield warning(
            f"Logical slots are not carried over: {names}."
            " Their consumers do not find them at the destination.",
            "Recreate them right after the promotion, before anything is written, and point the"
            " consumers there; what a consumer had not confirmed by then is lost to it.",
            source_sql(
                "SELECT slot_name, plugin, database, confirmed_flush_lsn FROM pg_replication_slots"
                " WHERE slot_type = 'logical';"
            ),
            slots=[s.name for s in found],
        )


def held(facts: Facts) -> Iterator[Verdict]:
    found = [s for s in source(facts).slots or () if not s.active and (s.retained or 0) > HELD]
    if found:
        names = listing(f"{s.name} ({size(s.retained)})" for s in found)
        yield warning(
            f"Inactive slots hold back WAL on the source's disk: {names}.",
            "Drop those whose consumer is gone for good.",
            source_sql(*(f"SELECT pg_drop_replication_slot({literal(s.name)});" for s in found)),
            slots={s.name: s.retained for s in found},
        )


def standbys(facts: Facts) -> Iterator[Verdict]:
    physical = [s for s in source(facts).slots or () if s.kind == "physical"]
    found = [s for s in source(facts).standbys or () if s.state != "backup"]
    if found or physical:
        names = listing(
            [f"{s.application or s.user} at {s.address or 'a socket'}" for s in found]
            + [f"slot {s.name}" for s in physical]
        )
        yield info(
            f"Replicas and physical slots of the source do not move with it: {names}. They go on"
            " following the source, which stays read-only.",
            "Build new replicas of the destination after the switchover.",
            standbys=[s.application for s in found],
            slots=[s.name for s in physical],
        )


def publications(facts: Facts) -> Iterator[Verdict]:
    found = [p for c in source(facts).contents for p in c.publications]
    if found:
        names = listing(f"{p.name} in {p.database}" for p in found)
        yield info(
            f"Publications come with the copy: {names}."
            " Their subscribers go on reading from the source until they are told otherwise.",
            "After the promotion: a slot at the destination, then ALTER SUBSCRIPTION ... CONNECTION"
            " on each subscriber.",
            publications=[p.name for p in found],
        )


def subscriptions(facts: Facts) -> Iterator[Verdict]:
    """Their apply workers write through a read-only default (measured)."""
    found = source(facts).subscriptions or ()
    active = [s for s in found if s.enabled or s.running]
    if active:
        names = listing(f"{s.name} in {s.database or 'a database not told'}" for s in active)
        yield warning(
            f"Subscriptions write to the source: {names}. Their workers are not stopped by a"
            " read-only default, and the copy brings the same subscriptions to the destination.",
            "Disable them right before the switchover, and enable them at the destination after"
            " it.",
            *(
                source_sql(f"ALTER SUBSCRIPTION {ident(s.name)} DISABLE;", database=s.database)
                for s in active
            ),
            subscriptions=[s.name for s in active],
        )
    elif found:
        yield info(
            f"Disabled subscriptions come with the copy: {listing(s.name for s in found)}.",
            subscriptions=[s.name for s in found],
        )
