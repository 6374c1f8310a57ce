"""One switchover of a source at a time, whoever works on the others, on whichever host.

Each says in the application name of its session how far it is, before it looks for others:
of two at the same moment at least one sees the other. The task whose id comes first goes on
once the others have said that they give way; whoever vanished without that may have
switched the source over.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum

from psycopg import sql

from ...errors import SwitchoverUndone
from ...postgres.positions import Connection
from ...postgres.process import wait_until
from ..task import Task
from .attempt import Deadline

OTHER = "fence.other_switchover"
#: What to do where the switchover of another migration has left its setting behind.
LEFT_REMEDY = (
    "Where its switchover is under way, wait for its end. Where it is over, run on the source:"
    " ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();"
)
#: A migration's standby in synchronous_standby_names (Task.slot).
STANDBY = re.compile(r"landbridge_m_[0-9a-f]+")
#: Application name of the session that acts on a source, before its task's id and its stage.
_MARK = "landbridge switchover "
#: Seconds that two may take to see what the other says; nothing is fenced meanwhile.
_PATIENCE = 15.0
_EVERY = 0.01


class Stage(StrEnum):
    """How far a migration is that acts on a source."""

    ASKS = "asks"
    HOLDS = "holds"
    YIELDS = "yields"


def mark(conn: Connection, task: Task, stage: Stage = Stage.ASKS) -> None:
    """Let the other migrations of this source see that `task` acts on it."""
    name = sql.Literal(f"{_MARK}{task.id} {stage}")
    conn.execute(sql.SQL("SET application_name = {}").format(name))


def claim(conn: Connection, task: Task, deadline: Deadline) -> None:
    """Be the only one who switches this source over; `mark` was called on `conn` before.

    Raises SwitchoverUndone (fence.other_switchover, switchover.time_limit); nothing was
    changed then.
    """
    owed: set[str] = set()
    end = time.monotonic() + _PATIENCE
    while True:
        others = _others(conn, task)
        asking = {id for id, stages in others.items() if stages == {Stage.ASKS}}
        owed = (owed | asking) - {id for id in others if id not in asking}
        first = {id for id in asking if id < task.id}
        holding = {id for id, stages in others.items() if Stage.HOLDS in stages}
        if first or holding or owed - asking or (owed and time.monotonic() > end):
            _give_way(conn, task, deadline)
            raise _refusal(sorted(first | holding | owed))
        if not owed:
            break
        deadline.check()
        time.sleep(_EVERY)
    mark(conn, task, Stage.HOLDS)


def _others(conn: Connection, task: Task) -> Mapping[str, set[Stage]]:
    """The other tasks that act on the source now, by id."""
    rows = conn.execute(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE %s",
        [f"{_MARK}%"],
    )
    found: defaultdict[str, set[Stage]] = defaultdict(set)
    for (name,) in rows:
        id, _, stage = name.removeprefix(_MARK).partition(" ")
        if id != task.id and stage in set(Stage):
            found[id].add(Stage(stage))
    return found


def _give_way(conn: Connection, task: Task, deadline: Deadline) -> None:
    """Say so until those who go first have seen it."""
    mark(conn, task, Stage.YIELDS)

    def is_seen() -> bool:
        others = _others(conn, task)
        return not any(id < task.id and stages == {Stage.ASKS} for id, stages in others.items())

    wait_until(is_seen, min(_PATIENCE, deadline.left()), _EVERY)


def _refusal(others: list[str]) -> SwitchoverUndone:
    return SwitchoverUndone(
        f"another migration switches this source over, or has just tried to ({', '.join(others)})",
        id=OTHER,
        remedy="Wait until that one has ended. One source has one successor: cancel the"
        " others once it is promoted.",
    )


def left_by(standbys: list[str]) -> str:
    """That the source waits for these standbys of other migrations, in words."""
    return f"commits on the source wait for another migration's destination ({', '.join(standbys)})"


def others_in(names: str, task: Task) -> list[str]:
    """The standbys of other migrations in a value of synchronous_standby_names."""
    return sorted(set(STANDBY.findall(names)) - {task.slot})
