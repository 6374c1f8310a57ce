"""Our slot on the source: made again while its WAL is there."""

from __future__ import annotations

from ...errors import FollowFailed
from ...postgres.lsn import Lsn, wal_file_name
from ...postgres.positions import Connection
from ...postgres.slots import drop_slot


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
