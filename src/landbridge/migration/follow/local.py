"""What the standby says, through its private socket."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ...errors import ServerFailed
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn

_QUERY = """
SELECT pg_is_in_recovery(), pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text,
       CASE WHEN NOT pg_is_in_recovery() THEN 'not paused' ELSE {paused} END,
       w.status, extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time)::float,
       EXISTS (SELECT FROM pg_subscription)
           AND current_setting('max_logical_replication_workers') <> '0',
       to_jsonb(w), to_jsonb(pg_last_xact_replay_timestamp())
  FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver w ON true
"""
_PAUSED = {
    False: "CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END",
    True: "pg_get_wal_replay_pause_state()",
}


@dataclass(frozen=True)
class LocalView:
    """The standby at one moment."""

    in_recovery: bool
    received: Lsn | None
    replayed: Lsn | None
    paused: bool
    receiver: str | None
    """State of the walreceiver, e.g. streaming; None while there is none."""
    quiet_seconds: float | None
    """Since the last message of the source."""
    subscriptions_would_start: bool
    """Subscriptions have arrived that would begin to apply at the promotion."""
    stream: dict[str, Any] = field(default_factory=dict)
    """What the server says of its stream, under the names that it has there; moments as text."""


class LocalWatch:
    """Asks the standby, and connects again when that fails."""

    def __init__(self, cluster: Cluster, dbname: str) -> None:
        self._cluster = cluster
        self._dbname = dbname
        self._conn: psycopg.Connection[Any] | None = None

    def read(self) -> LocalView | None:
        """One look at the standby, or None if it is down or not yet consistent.

        A query may be cancelled by a recovery conflict, so it is tried twice.
        """
        for _ in range(2):
            try:
                return self._view()
            except (psycopg.Error, ServerFailed):
                self.close()
                if self._cluster.process() is None:
                    return None
        return None

    def close(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error):
                self._conn.close()
        self._conn = None

    def _view(self) -> LocalView:
        if self._conn is None or self._conn.closed:
            self._conn = self._cluster.connect_warily(self._dbname)
        query = _QUERY.replace("{paused}", _PAUSED[self._cluster.distribution.major >= 14])
        row = self._conn.execute(query.encode()).fetchone()
        assert row is not None
        recovery, received, replayed, paused, receiver, quiet, subscriptions, stream, at = row
        stream = {**(stream or {}), "is_slave": recovery, "replay_lsn": replayed}
        return LocalView(
            recovery, _lsn(received), _lsn(replayed), paused == "paused", receiver, quiet,
            subscriptions, stream | {"replay_timestamp": at},
        )  # fmt: skip


def is_gone(cluster: Cluster) -> bool:
    """Whether there is no data directory any more: removed, or its disk is not mounted."""
    return not (cluster.data / "global/pg_control").exists()


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)
