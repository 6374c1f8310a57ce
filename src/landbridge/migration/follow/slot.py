"""Our slot on the source: dropped, whoever holds it, or made again while its WAL is there."""

from __future__ import annotations

import psycopg
from psycopg import errors

from ...errors import FollowFailed, LandbridgeError
from ...postgres.lsn import Lsn, wal_file_name
from ...postgres.positions import Connection
from ...postgres.process import wait_until

#: Seconds to wait for a stream that holds the slot to end by itself, and then by force.
_PATIENCE = 2.0


def drop_slot(conn: Connection, slot: str) -> bool:
    """Drop the slot, ending the stream that holds it; False if it was gone already.

    The stream is our own account's, which therefore may end it. Raises LandbridgeError
    (slot.not_dropped) when the source keeps refusing.
    """
    existed = False

    def gone() -> bool:
        nonlocal existed
        holder = _holder(conn, slot)
        if holder is None:
            return True
        existed = True
        try:
            conn.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        except (errors.ObjectInUse, errors.UndefinedObject):
            return False
        return True

    if wait_until(gone, _PATIENCE, every=0.02):
        return existed
    for _ in range(5):
        if holder := _holder(conn, slot):
            conn.execute("SELECT pg_terminate_backend(%s)", [holder])
        if wait_until(gone, _PATIENCE, every=0.02):
            return existed
    raise LandbridgeError(
        f"the replication slot {slot} on the source is in use and cannot be dropped",
        id="slot.not_dropped",
        remedy=f"Run on the source: SELECT pg_drop_replication_slot('{slot}');",
    )


def _holder(conn: psycopg.Connection[tuple[int | None]], slot: str) -> int | None:
    """None without such a slot, 0 while nobody holds it, else the pid that does."""
    row = conn.execute(
        "SELECT coalesce(active_pid, 0) FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    return None if row is None else row[0]


def wal_is_there(conn: Connection, position: Lsn) -> bool:
    """Whether the source still has its WAL from the segment of `position` on."""
    row = conn.execute(
        "SELECT min(substr(name, 9)), pg_size_bytes(current_setting('wal_segment_size'))"
        " FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    ).fetchone()
    assert row is not None
    oldest, segment_size = row
    needed = wal_file_name(1, position.segment(segment_size), segment_size)[8:]
    return oldest is not None and str(oldest) <= needed


def recreate_slot(conn: Connection, slot: str, position: Lsn) -> None:
    """Make a lost slot again, so that a standby at `position` can go on.

    Raises FollowFailed (follow.slot_lost) when WAL that the standby needs is gone.
    """
    if wal_is_there(conn, position):
        drop_slot(conn, slot)
        conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
        # A checkpoint may have removed WAL between the look and the new slot.
        if wal_is_there(conn, position):
            return
    raise slot_lost(slot, position)


def slot_lost(slot: str, position: Lsn) -> FollowFailed:
    return FollowFailed(
        f"the source no longer has the WAL from {position} on, which the destination needs"
        f" (slot {slot})",
        id="follow.slot_lost",
        remedy="The copy has to be made anew: cancel this migration and begin another one.",
    )
