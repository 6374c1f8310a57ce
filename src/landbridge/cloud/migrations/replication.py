"""`ReplicationInfo`: a JSON object of texts about the stream from the source.

It is pg_stat_wal_receiver of the destination's server, and how far it has replayed.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ...errors import LandbridgeError
from ...postgres import wary
from ...postgres.cluster import Cluster

#: Seconds for which an answer is given again (measured: a connection costs the service 2 ms).
_FRESH = 1.0
#: Servers whose last answers are kept.
_KNOWN = 1_000
#: What a connection string may show.
_SHOWN = ("user", "host", "port", "application_name", "sslmode")
_PAIR = re.compile(r"(?:^|(?<= ))(\w+)=(\S*)")
#: Name in ReplicationInfo -> what the query answers under it.
_NAMES = {
    "Status": "status",
    "ReceiveStartLsn": "receive_start_lsn",
    "ReceiveStartTli": "receive_start_tli",
    "ReceivedLsn": "received_lsn",
    "ReceivedTli": "received_tli",
    "LatestEndLsn": "latest_end_lsn",
    "LatestEndTime": "latest_end_time",
    "LastMsgSendTime": "last_msg_send_time",
    "LastMsgReceiptTime": "last_msg_receipt_time",
    "ReplayLsn": "replay_lsn",
    "ReplayTimestamp": "replay_timestamp",
}
_QUERY = """
SELECT r.*, {received} AS received_lsn, pg_is_in_recovery() AS is_slave,
       pg_last_wal_replay_lsn() AS replay_lsn,
       pg_last_xact_replay_timestamp() AS replay_timestamp
  FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver r ON true
"""
_RECEIVED = {False: "r.received_lsn", True: "r.flushed_lsn"}


@dataclass
class _Look:
    """What a server said last."""

    found: dict[str, Any] | None = None
    until: float = 0.0
    asking: threading.Lock = field(default_factory=threading.Lock)


#: By data directory.
_looks: dict[Path, _Look] = {}


def read(cluster: Cluster) -> dict[str, Any] | None:
    """What the destination's server says of its stream; None while it does not answer.

    It is asked once in _FRESH seconds, by one call at a time: others get its last answer.
    """
    if len(_looks) >= _KNOWN:
        _looks.clear()
    look = _looks.setdefault(cluster.data, _Look())
    if time.monotonic() >= look.until and look.asking.acquire(blocking=not look.until):
        try:
            if time.monotonic() >= look.until:
                look.found = _ask(cluster)
                look.until = time.monotonic() + _FRESH
        finally:
            look.asking.release()
    return look.found


def _ask(cluster: Cluster) -> dict[str, Any] | None:
    try:
        with cluster.connect(options=wary.options(), row_factory=dict_row) as conn:
            is_13 = conn.info.server_version >= 130000
            query = _QUERY.replace("{received}", _RECEIVED[is_13])
            found: Any = conn.execute(query.encode()).fetchone()
    except (LandbridgeError, psycopg.Error):
        return None
    return dict(found) if found else None


def info(standby: dict[str, Any] | None, lag_seconds: float | None, *, synced: bool) -> str:
    """ReplicationInfo; all values are texts, empty where nothing is known.

    `standby` is what `read` gave, `synced` whether everything of the source has arrived.
    """
    known = standby or {}
    told = {name: _text(known.get(column)) for name, column in _NAMES.items()}
    told |= {
        "ReplayLag": "" if lag_seconds is None else f"{lag_seconds:.3f}",
        "Synced": _text(synced),
        "IsSlave": _text(bool(known.get("is_slave"))),
        "Conninfo": conninfo(known.get("conninfo") or ""),
    }
    return json.dumps(told)


def conninfo(text: str) -> str:
    """A connection string of the stream, with what may be shown of it.

    >>> conninfo("user=mover password=s3cr3t host=10.0.0.5 port=5432 passfile=/x")
    'user=mover password=******** dbname=replication host=10.0.0.5 port=5432'
    """
    if not text:
        return ""
    # Values with spaces are not quoted there, so it is no connection string to be parsed.
    given = dict(_PAIR.findall(text))
    shown = {name: given[name] for name in _SHOWN if name in given}
    user = shown.pop("user", "")
    rest = [f"{name}={value}" for name, value in shown.items()]
    return " ".join([f"user={user}", "password=********", "dbname=replication", *rest])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    return str(value)
