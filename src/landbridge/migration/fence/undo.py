"""Putting the source back, by whoever finds an attempt that nobody works on."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from ...errors import LandbridgeError
from ...postgres.conninfo import Conninfo
from ..journal import now
from ..states import State
from ..task import Task, read_json, write_json
from . import Fence
from .attempt import Attempt, Deadline, folder
from .promotion import left_recovery, promoted
from .source import SourceSide
from .sync import SyncFence

#: Seconds that one try at putting the source back may take.
_TRY = 30.0


def make_fence(task: Task, attempt: Attempt, source: SourceSide) -> Fence:
    """The fence of this attempt."""
    return {"sync": SyncFence}[attempt.fence](task, attempt, source)


def account_of(task: Task) -> Conninfo:
    """Whom the fence acts as: the fence account, without one the migration account."""
    return task.conninfo("fence_as" if task.request.fence_as else "source")


def settle_attempt(task: Task, *, by: str) -> bool:
    """Put back what an attempt left on the source unless the destination is promoted.

    To be called with the switch lock held. Returns whether the destination is promoted, in
    which case the migration can only go forward; raises LandbridgeError
    (switchover.undo_pending) when the source cannot be reached.
    """
    attempt = Attempt.load(task)
    if attempt is None:
        return False
    # Without the line of intent nobody asked for a promotion, and the server need not stop.
    if (promoted if attempt.intent(task) else left_recovery)(task.cluster()):
        return True
    undo(task, attempt, by=by, reason="nobody completed the switchover within its time limit")
    return False


def undo(task: Task, attempt: Attempt, *, by: str, reason: str) -> None:
    """Lift the fence over a fresh connection, journal it, and be back in synchronization.

    Raises LandbridgeError (switchover.undo_pending) when the source cannot be reached.
    """
    deadline = Deadline(time.time() + _TRY)
    try:
        source = SourceSide(task, account_of(task), deadline)
        try:
            make_fence(task, attempt, source).lift()
        finally:
            source.close()
    except (LandbridgeError, psycopg.Error) as error:
        raise LandbridgeError(
            f"the source could not be put back yet: {' '.join(str(error).split())}",
            id="switchover.undo_pending",
            remedy="The guard keeps trying until the source answers; `landbridge resume`"
            " tries at once.",
            retryable=True,
        ) from None
    finally:
        deadline.disarm()
    task.journal.append("step", name="fence", phase="undone", by=by, reason=reason)
    task.journal.enter(State.SYNCHRONIZING)
    if by != "worker":
        write_json(_notice(task), {"at": now(), "reason": reason, "by": by})
    attempt.close(task)


def take_notice(task: Task) -> dict[str, Any] | None:
    """What undid the caller's attempt while the caller was dead; told once.

    Nobody is told of it who asked for the switchover anew in the meantime.
    """
    notice: dict[str, Any] | None = read_json(_notice(task))
    if notice is None:
        return None
    drop_notice(task)
    later = (e for e in task.journal.entries() if e["kind"] == "signal" and e["at"] > notice["at"])
    return None if any(later) else notice


def drop_notice(task: Task) -> None:
    _notice(task).unlink(missing_ok=True)


def _notice(task: Task) -> Any:
    return folder(task) / "undone.json"
