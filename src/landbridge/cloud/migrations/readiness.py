"""What a switchover would meet, and what it would do in which order."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from ...errors import LandbridgeError
from ...migration.fence.manual import is_read_only, read_only_since
from ...migration.steps import plain
from ...migration.switchover import preflight
from ...migration.task import Task

#: Round trips to the source between its refusal of writes and the promotion (docs/switchover.md).
ROUND_TRIPS = 10
#: Seconds of a switchover by itself, measured with `./run bench switchover`: prove and promote,
#: medians; and how long a source that somebody else has fenced is watched.
PROVE, PROMOTE, WATCH = 0.053, 0.104, 0.25
#: Bytes a second that a destination replays (measured).
REPLAY = 335e6
_TRIALS = 3

#: What happens, who does it, and what clients notice of it.
ORDER = (
    ("close", "you", "The source refuses writes: rds_force_trans_ro_non_sup is set to on, or its"
     " applications are stopped.", "Writes are refused."),
    ("look", "service", "The guardrails are looked at again; one that blocks ends it here.", ""),
    ("verify", "service", "A new session must find the source read-only for everybody.", ""),
    ("watch", "service", "The source is watched for a quarter of a second: nobody writes.", ""),
    ("drain", "service", "The destination replays all that the source has acknowledged.", ""),
    ("prove", "service", "Same cluster, same timeline, same next transaction id on both sides.",
     ""),
    ("intent", "service", "One line is written down: from here on nothing is put back.",
     "The point of no return."),
    ("promote", "service", "The destination leaves recovery.",
     "The destination accepts writes."),
    ("release", "service", "The source is searched for commits that came later; it stays closed.",
     ""),
    ("repoint", "you", "The applications use the destination's endpoint.", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Outage:
    """For how long writes stand still from when the source is seen to refuse them; seconds."""

    watch: float
    round_trips: float
    """ROUND_TRIPS times the measured one."""
    drain: float
    """What the destination lacks now, at the measured speed of replay."""
    prove: float
    promote: float

    @classmethod
    def predicted(cls, round_trip: float, lag: int) -> Outage:
        return cls(WATCH, ROUND_TRIPS * round_trip, lag / REPLAY, PROVE, PROMOTE)

    @property
    def total(self) -> float:
        return self.watch + self.round_trips + self.drain + self.prove + self.promote


def look(task: Task) -> dict[str, Any]:
    """At the destination's place: `rails`, `round_trip` (seconds), `is_closed` and `closed_since`.

    `closed_since` (UTC, ISO 8601): the source has been read-only since then at the latest. The
    last three are None where the source does not answer.
    """
    rails = [asdict(rail) for rail in preflight(task)]
    round_trip, is_closed, since = None, None, None
    try:
        with closing(task.conninfo().connect(application_name="landbridge look")) as conn:
            is_closed = is_read_only(conn)
            since = read_only_since(conn) if is_closed else None
            round_trip = min(_round_trip(conn) for _ in range(_TRIALS))
    except (LandbridgeError, psycopg.Error):
        pass  # one of the rails says so
    return {
        "rails": plain(rails),
        "round_trip": round_trip,
        "is_closed": is_closed,
        "closed_since": since,
    }


def _round_trip(conn: psycopg.Connection[Any]) -> float:
    begun = time.monotonic()
    conn.execute("SELECT 1")
    return time.monotonic() - begun
