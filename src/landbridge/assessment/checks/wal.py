"""Whether the source writes, keeps and sends the WAL that a standby needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...postgres.units import duration, rate, size
from ..facts import Facts
from ..lines import alter_system
from ..model import Act, Fix, Verdict, error, info, passed, warning
from ._of import copy_seconds, server, source

#: The base backup and the stream beside it; one more for a reconnect whose predecessor the
#: source has not noticed to be gone.
SENDERS_NEEDED = 2
SENDERS_WANTED = 3
#: Less than this is gone in a moment: a slot needs room for a few segments at least.
SMALLEST_KEPT = 64 * 1024**2
#: A cut line is mended within this time, one hopes.
CUT = 3600.0
#: A line slower than this (1 Gbit/s) profits from smaller WAL.
SLOW_LINE = 125e6


def level(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    setting = of.settings["wal_level"]
    if setting.value != "minimal":
        yield passed(f"wal_level is {setting.value}", wal_level=setting.value)
        return
    values = {"wal_level": "replica"}
    if of.number("max_wal_senders") < SENDERS_WANTED:
        values["max_wal_senders"] = "10"
    changed = " It has been changed already; only the restart is missing."
    yield error(
        "wal_level is minimal: the WAL does not hold what a standby needs."
        + (changed if setting.pending_restart else ""),
        "Set wal_level to replica and restart the source.",
        alter_system(facts, values, needs_restart=True),
        wal_level=setting.value,
    )


def senders(facts: Facts) -> Iterator[Verdict]:
    most = server(facts).number("max_wal_senders")
    used = len(source(facts).standbys or ())
    free = most - used
    data = {"free": free, "max": most}
    if free >= SENDERS_WANTED:
        yield passed(f"{free} of {most} WAL senders are free", **data)
        return
    said = f"{free} of {most} WAL sender processes are free."
    remedy = "Raise max_wal_senders and restart the source."
    fix = alter_system(facts, {"max_wal_senders": str(used + 10)}, needs_restart=True)
    if free < SENDERS_NEEDED:
        yield error(
            f"{said} The full copy takes two: the backup and the WAL beside it.",
            remedy, fix, **data,
        )  # fmt: skip
    else:
        yield warning(
            f"{said} After a cut line the old one may still be taken when the new one starts.",
            remedy, fix, **data,
        )  # fmt: skip


def slots(facts: Facts) -> Iterator[Verdict]:
    most = server(facts).number("max_replication_slots")
    used = len(source(facts).slots or ())
    if used < most:
        yield passed(f"{most - used} of {most} replication slots are free", free=most - used)
        return
    yield error(
        f"All {most} replication slots are in use."
        if most
        else "max_replication_slots is 0: there are no replication slots.",
        "Raise max_replication_slots and restart the source, or drop a slot nobody uses.",
        alter_system(facts, {"max_replication_slots": str(used + 10)}, needs_restart=True),
        max=most,
        used=used,
    )


def retention(facts: Facts) -> Iterator[Verdict]:
    """How long the source keeps WAL for us when the line is cut."""
    of, written = server(facts), source(facts).wal
    assert written is not None
    limits = []
    if facts.plan.wal_policy == "protect-source":
        limits.append((facts.plan.wal_budget, "--wal-budget"))
    capped = of.settings.get("max_slot_wal_keep_size")
    if capped is not None and capped.bytes >= 0:
        limits.append((capped.bytes, "max_slot_wal_keep_size"))
    expiry = of.settings.get("idle_replication_slot_timeout")
    if expiry is not None and 0 < expiry.seconds < 24 * CUT:
        yield warning(
            f"idle_replication_slot_timeout drops a slot after {duration(expiry.seconds)} without"
            " a connection: a cut as long as that ends the migration.",
            "Switch it off while the migration lasts.",
            alter_system(facts, {"idle_replication_slot_timeout": "0"}),
            seconds=expiry.seconds,
        )
    if not limits:
        yield passed("nothing limits the WAL a slot keeps; the source's disk does")
        return
    limit, name = min(limits)
    seconds = limit / written.per_second if written.per_second else float("inf")
    data = {"limit": limit, "rate": written.per_second, "hours": seconds / 3600}
    said = (
        f"{name} is {size(limit)}; at {rate(written.per_second)} written now, a cut line may last"
    )
    if limit < SMALLEST_KEPT:
        yield error(
            f"{name} is {size(limit)}: a slot loses its WAL, and with it the migration, at the"
            " first delay.",
            f"Raise {name}.",
            *_more_wal(facts, name),
            **data,
        )
    elif seconds < CUT:
        yield warning(
            f"{said} {duration(seconds)} before the slot is lost and the copy has to start again.",
            f"Raise {name}, as far as the source's disk allows.",
            *_more_wal(facts, name),
            **data,
        )
    else:
        lasts = "for ever" if seconds == float("inf") else duration(seconds)
        yield passed(f"{said} {lasts}", **data | {"hours": min(seconds / 3600, 1e6)})


def _more_wal(facts: Facts, name: str) -> list[Fix]:
    if name == "--wal-budget":
        return [Fix("shell", "destination", ("landbridge migrate ... --wal-budget 64GB",))]
    # How much the source's disk can take is not ours to decide.
    return [alter_system(facts, {name: "64GB"}, automatic=False)]


def write_rate(facts: Facts) -> Iterator[Verdict]:
    """Whether the destination can ever catch up."""
    written, line = source(facts).wal, facts.reached.line
    assert written is not None and line is not None
    if line.rate is None:
        return
    said = (
        f"The source writes {rate(written.per_second)} of WAL (sampled over"
        f" {written.seconds:.1f} s); the line carries {rate(line.rate)}"
    )
    data = {"wal_rate": written.per_second, "line_rate": line.rate}
    smaller = alter_system(facts, {"wal_compression": "on"}, automatic=False)
    if written.per_second >= line.rate:
        yield error(
            f"{said}: the destination would fall behind for ever.",
            "More bandwidth, smaller WAL, or a quieter time.",
            smaller,
            **data,
        )
    elif written.per_second > line.rate / 2:
        copy = copy_seconds(facts) or 0.0
        behind = written.per_second * copy
        seconds = behind / (line.rate - written.per_second)
        yield warning(
            f"{said}: after the copy, {size(behind)} behind, it needs another"
            f" {duration(seconds)} to catch up.",
            "Expect it, or make WAL smaller.",
            smaller,
            **data,
        )
    else:
        yield passed(said, **data)


def source_disk(facts: Facts) -> Iterator[Verdict]:
    """Room on the source for the WAL that our slot holds back."""
    of = source(facts)
    may = size(facts.plan.wal_budget)
    free = facts.source_free
    if free is None:
        held = of.wal.directory if of.wal else None
        now = "" if held is None else f" (pg_wal holds {size(held)} now)"
        data = of.server.value("data_directory")
        yield info(
            f"How much room the source's disk has cannot be seen from here{now}. While the line is"
            f" cut our slot keeps WAL there, up to {may}, after which it is"
            f" {'dropped' if facts.plan.wal_policy == 'protect-source' else 'kept with an alarm'}.",
            f"Make sure that the source's disk has {may} to spare, or lower --wal-budget.",
            *(
                (Fix("shell", "source", (f"df -h {shlex.quote(data)}",), act=Act.LOOK),)
                if data
                else ()
            ),
            wal_directory=held,
        )
    elif free < facts.plan.wal_budget:
        yield warning(
            f"The source's disk has {size(free)} free; our slot may keep up to {may} of WAL"
            " there while the line is cut.",
            "Lower --wal-budget below the free space, or make room.",
            Fix(
                "shell", "destination", (f"landbridge migrate ... --wal-budget {free // 2**21}MB",)
            ),
            free=free,
        )
    else:
        yield passed(f"the source's disk has {size(free)} free, our slot keeps at most {may}")


def sender_timeout(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    timeout = of.settings["wal_sender_timeout"]
    if timeout.seconds == 0:
        yield warning(
            "wal_sender_timeout is 0: the source never notices a dead connection, whose WAL"
            " sender stays taken until TCP gives up.",
            "Set a timeout.",
            alter_system(facts, {"wal_sender_timeout": "60s"}),
            seconds=0,
        )
    elif timeout.seconds < max(10.0, 20 * of.round_trip):
        yield warning(
            f"wal_sender_timeout is {duration(timeout.seconds)} with a round trip of"
            f" {duration(of.round_trip)}: a short delay ends the stream.",
            "Raise it.",
            alter_system(facts, {"wal_sender_timeout": "60s"}),
            seconds=timeout.seconds,
        )
    else:
        yield passed(f"wal_sender_timeout is {duration(timeout.seconds)}")


def compression(facts: Facts) -> Iterator[Verdict]:
    """A suggestion only: it costs the source's processor."""
    of = source(facts)
    line = facts.reached.line.rate if facts.reached.line else None
    if line is None:
        return
    busy = of.wal is not None and of.wal.per_second > line / 10
    if of.server.value("wal_compression") == "off" and (busy or line < SLOW_LINE):
        yield info(
            f"wal_compression is off and the line carries {rate(line)}: full-page images make up"
            " most of the WAL after each checkpoint.",
            "Consider it while the migration lasts; it costs the source some processor time.",
            alter_system(facts, {"wal_compression": "on"}, automatic=False),
        )


def archive(facts: Facts) -> Iterator[Verdict]:
    """The copy would archive into the source's archive if it kept the source's settings."""
    of = server(facts)
    if of.value("archive_mode") in ("off", ""):
        yield passed("the source does not archive")
        return
    commands = {of.value("archive_command"), of.value("archive_library")} - {"", "(disabled)"}
    ours = facts.plan.archive_command or facts.plan.settings.get("archive_command")
    if ours in commands:
        yield error(
            "The archive_command given for the destination is the source's own: both would write"
            " files of the same names into one archive.",
            "Give the destination an archive of its own (--archive-command).",
        )
    elif ours is None:
        yield warning(
            "The source archives its WAL. Landbridge does not carry archive_command over (the copy"
            " would write into the source's archive), so the destination will not archive.",
            "Give the destination's own command, and take a base backup after the switchover.",
            Fix("shell", "destination", ("landbridge migrate ... --archive-command 'COMMAND'",)),
        )
    else:
        yield passed("the destination gets an archive of its own")


def archiver(facts: Facts) -> Iterator[Verdict]:
    state = source(facts).archiver
    assert state is not None
    if state.failing:
        yield warning(
            f"The source's archiver is failing (last: {state.last_failed}, {state.failed} times):"
            " WAL piles up on its disk already.",
            "Repair the archive first; the server's log has the command's words.",
            Fix("sql", "source", ("SELECT * FROM pg_stat_archiver;",)),
            failed=state.failed,
        )
