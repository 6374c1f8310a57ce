"""`ReplicationInfo`: a JSON object of texts about the stream from the source.

It is pg_stat_wal_receiver of the destination's server, and how far it has replayed: as the
migration's worker saw it last, so that a call waits for no server.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

#: What a connection string may show.
_SHOWN = ("user", "host", "port", "application_name", "sslmode")
_PAIR = re.compile(r"(?:^|(?<= ))(\w+)=(\S*)")
#: Name in ReplicationInfo -> what the server calls it; servers before 13 have `received_lsn`.
_NAMES = {
    "Status": "status",
    "ReceiveStartLsn": "receive_start_lsn",
    "ReceiveStartTli": "receive_start_tli",
    "ReceivedLsn": "flushed_lsn",
    "ReceivedTli": "received_tli",
    "LatestEndLsn": "latest_end_lsn",
    "LatestEndTime": "latest_end_time",
    "LastMsgSendTime": "last_msg_send_time",
    "LastMsgReceiptTime": "last_msg_receipt_time",
    "ReplayLsn": "replay_lsn",
    "ReplayTimestamp": "replay_timestamp",
}
_MOMENTS = ("latest_end_time", "last_msg_send_time", "last_msg_receipt_time", "replay_timestamp")


def info(standby: dict[str, Any] | None, lag_seconds: float | None, *, synced: bool) -> str:
    """ReplicationInfo; all values are texts, empty where nothing is known.

    `standby` is the `stream` of a worker's figures, None where it has seen none; `synced` whether
    everything of the source has arrived.
    """
    known = standby or {}
    known = {"flushed_lsn": known.get("received_lsn"), **known}
    known |= {name: _moment(known[name]) for name in _MOMENTS if known.get(name)}
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
    return str(value)


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds")
