"""A replication slot dropped, whoever holds it."""

from __future__ import annotations

import psycopg
from psycopg import errors

from ..errors import LandbridgeError
from .bounded import bounded
from .conninfo import Conninfo, unreachable
from .positions import Connection
from .process import wait_until

#: Seconds to wait for a stream that holds the slot to end by itself, and then by force.
_PATIENCE = 2.0
#: Seconds for a connection, and for everything asked over it.
_CONNECT_TIMEOUT, _WITHIN = 3, 20.0


def drop_statement(slot: str) -> str:
    """What a person runs to drop the slot; its name needs no quoting."""
    return f"SELECT pg_drop_replication_slot('{slot}');"


def drop_slot_at(source: Conninfo, slot: str) -> bool:
    """`drop_slot` over a connection of its own; fails after 23 s at the latest.

    Raises ServerUnreachable, LandbridgeError (slot.not_dropped).
    """
    with source.with_(connect_timeout=_CONNECT_TIMEOUT).connect() as conn:
        try:
            with bounded(conn, _WITHIN):
                return drop_slot(conn, slot)
        except psycopg.Error as error:
            raise unreachable(source, str(error)) from None


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
        remedy=f"Run on the source: {drop_statement(slot)}",
        retryable=True,
    )


def _holder(conn: psycopg.Connection[tuple[int | None]], slot: str) -> int | None:
    """None without such a slot, 0 while nobody holds it, else the pid that does."""
    row = conn.execute(
        "SELECT coalesce(active_pid, 0) FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    return None if row is None else row[0]
