"""Commits on the source that wait for our standby: seen with one of our own."""

from __future__ import annotations

import time
from contextlib import closing
from typing import LiteralString

import psycopg
from psycopg import pq

from ...errors import SwitchoverUndone
from ...postgres.positions import Connection
from .source import SourceSide

#: A commit of a MB cannot be written, sent and replayed unseen. Writes nothing but WAL.
PROBE: LiteralString = "SELECT pg_logical_emit_message(true, 'landbridge', repeat('x', 1048576))"
#: Seconds for which commits may hang on a standby that does not get ready.
_WITHIN = 10.0


def is_synchronous(source: SourceSide) -> bool:
    """Whether our standby is a synchronous one of those that stand first."""
    row = source.control.execute(
        "SELECT sync_state FROM pg_stat_replication WHERE application_name = %s",
        [source.task.slot],
    ).fetchone()
    return row == ("sync",)


def see_a_commit_wait(source: SourceSide) -> None:
    """Wait until we are synchronous and a commit of ours is seen waiting for the standby.

    pg_stat_replication says `sync` as soon as the asking session knows the new names,
    but commits begin to wait only when the checkpointer has read them too, which a
    running checkpoint's fsync can hold up for seconds. Raises SwitchoverUndone
    (fence.not_synchronous).
    """
    end = time.monotonic() + _WITHIN
    with closing(source.fresh()) as probe:
        source.deadline.watch(probe)
        probe.execute("SET synchronous_commit = remote_apply")
        while not (is_synchronous(source) and _one_waited(source, probe, end)):
            _in_time(source, end)
            time.sleep(0.001)


def _in_time(source: SourceSide, end: float) -> None:
    source.deadline.check()
    if time.monotonic() > end:
        raise SwitchoverUndone(
            "the destination did not become a synchronous standby that commits wait for"
            f" within {_WITHIN:.0f} s",
            id="fence.not_synchronous",
        )


def _one_waited(source: SourceSide, probe: Connection, end: float) -> bool:
    query = (
        "SELECT wait_event = 'SyncRep' FROM pg_stat_activity"
        " WHERE pid = %s AND wait_event IS NOT NULL"
    )
    conn, waited = probe.pgconn, False
    conn.send_query(PROBE.encode())
    conn.flush()
    while conn.is_busy():
        row = source.control.execute(query, [probe.info.backend_pid]).fetchone()
        waited = waited or row == (True,)
        _in_time(source, end)
        conn.consume_input()
    while (result := conn.get_result()) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.OperationalError(result.get_error_message())
    return waited
