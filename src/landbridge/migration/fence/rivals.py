"""One switchover of a source at a time, whoever works on the others, on whichever host.

Each names itself, in the application name of its session, before it looks for others: of
two at the same moment at least one sees the other. The task whose id comes first stays.
"""

from __future__ import annotations

import re

from psycopg import sql

from ...errors import SwitchoverUndone
from ...postgres.positions import Connection
from ...postgres.process import wait_until
from ..task import Task

#: Application name of the session that acts on a source, before the id of its task.
MARK = "landbridge switchover "
OTHER = "fence.other_switchover"
#: Seconds that one which has to give way may take for that.
_GIVES_WAY = 5.0
#: What to do where the switchover of another migration has left its setting behind.
LEFT_REMEDY = (
    "Where its switchover is under way, wait for its end. Where it is over, run on the source:"
    " ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();"
)
#: A migration's standby in synchronous_standby_names (Task.slot).
STANDBY = re.compile(r"landbridge_m_[0-9a-f]+")


def mark(conn: Connection, task: Task) -> None:
    """Let the other migrations of this source see that `task` acts on it."""
    name = sql.Literal(MARK + task.id)
    conn.execute(sql.SQL("SET application_name = {}").format(name))


def acting(conn: Connection, task: Task) -> list[str]:
    """Ids of the other tasks that act on the source now."""
    rows = conn.execute(
        "SELECT DISTINCT substr(application_name, %s) FROM pg_stat_activity"
        " WHERE application_name LIKE %s",
        [len(MARK) + 1, f"{MARK}%"],
    )
    return sorted({str(id) for (id,) in rows} - {task.id})


def claim(conn: Connection, task: Task) -> None:
    """Be the only one who switches this source over; `mark` was called on `conn` before.

    Raises SwitchoverUndone (fence.other_switchover); nothing was changed then.
    """

    def goes_first() -> bool:
        others = acting(conn, task)
        return not others or others[0] < task.id

    wait_until(goes_first, _GIVES_WAY, 0.01)
    if others := acting(conn, task):
        raise SwitchoverUndone(
            f"another migration switches this source over ({', '.join(others)})",
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
