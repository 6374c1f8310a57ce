"""Putting the source back, by whoever finds an attempt that nobody works on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from ...errors import LandbridgeError, MigrationCancelled, SwitchoverUndone
from ...postgres.bounded import bounded
from ...postgres.conninfo import Conninfo
from ..journal import now
from ..locks import folder
from ..states import State, is_end
from ..task import Task, read_json, write_json
from . import Fence
from .attempt import Attempt, Deadline
from .lockout import LockoutFence
from .manual import ManualFence
from .promotion import settle_promotion
from .settings import READ_ONLY, alter_system
from .source import SourceSide
from .sync import SyncFence

_FENCES: dict[str, Callable[[Task, Attempt, SourceSide], Fence]] = {
    "sync": SyncFence,
    "lockout": LockoutFence,
    "manual": ManualFence,
}
#: Ids of the errors that say that nothing can be put back any more, and not yet.
ALREADY_PROMOTED, UNDO_PENDING = "switchover.promoted", "switchover.undo_pending"
#: Seconds that a try at putting the source back may take: over the open session, a new one.
_OPEN, _ANEW = 10.0, 30.0


def make_fence(task: Task, attempt: Attempt, source: SourceSide) -> Fence:
    """The fence of this attempt."""
    return _FENCES[attempt.fence](task, attempt, source)


def account_of(task: Task, attempt: Attempt) -> Conninfo:
    """Whom the fence acts as: the fence account, or where a person fences our own."""
    return task.conninfo(_role(attempt))


def _role(attempt: Attempt) -> str:
    return "source" if attempt.fence == "manual" else "fence_as"


def lift_statements(task: Task, attempt: Attempt, *, to_rest: bool = False) -> list[str]:
    """What a person runs on the source to lift this attempt's fence, as far as it stands.

    With `to_rest`, after a promotion: only what need not stay.
    """
    if to_rest and attempt.fence != "sync":
        return []
    kept = folder(task) / "hba.original"
    found = []
    if attempt.hba_file is not None and kept.exists():
        found.append(f"-- Put the content of {kept} back into {attempt.hba_file}")
    for name, value in attempt.settings.items():
        if not (to_rest and name == READ_ONLY):
            found.append(f"{alter_system(name, value).as_string(None)};")
    return [*found, "SELECT pg_reload_conf();"] if found else []


def leave_to_guard(task: Task) -> bool:
    """Whether an attempt is open that could not be put back: the guard goes on with that.

    Of the secrets the passfile of its account is kept, which the guard removes at the end.
    """
    attempt = Attempt.load(task)
    if attempt is None:
        return False
    wanted = lift_statements(task, attempt)
    task.journal.note(
        "switchover.fence_left",
        "The source could not be put back and may refuse writes. The guard keeps trying until"
        f" it answers. To lift the fence by hand, run on the source: {' '.join(wanted)}",
        level="alarm",
        statements=wanted,
    )
    keep = task.passfile(_role(attempt))
    for file in keep.parent.glob("*"):
        if file != keep:
            file.unlink()
    return True


def settle_destination(task: Task, attempt: Attempt) -> bool:
    """Make sure whether this attempt's destination is promoted; True if it is, for good.

    Without the line of intent we asked for no promotion, but somebody else may have; the
    server need not stop to see that.
    """
    cluster = task.cluster()
    return settle_promotion(cluster) if attempt.intent(task) else cluster.left_recovery()


def settle_attempt(task: Task, *, by: str) -> bool:
    """Put back what an attempt left on the source unless the destination is promoted.

    To be called with the switch lock held. Returns whether the destination is promoted, in
    which case the migration can only go forward; raises LandbridgeError
    (switchover.undo_pending) when the source cannot be reached.
    """
    attempt = Attempt.load(task)
    if attempt is None:
        return False
    if settle_destination(task, attempt):
        return True
    late = time.time() > attempt.deadline
    told = SwitchoverUndone(
        f"the switchover was {'not completed in time' if late else 'broken off'}; put back by"
        f" the {by}",
        id="switchover.time_limit" if late else "switchover.broken_off",
    )
    undo(task, attempt, told, by=by)
    return False


def undo(
    task: Task,
    attempt: Attempt,
    told: BaseException,
    *,
    by: str,
    source: SourceSide | None = None,
) -> None:
    """Lift the fence, journal why, and be back in synchronization.

    Over `source` if that session still works, otherwise over a new one. Raises
    LandbridgeError: switchover.undo_pending when the source cannot be reached,
    switchover.promoted when somebody else promoted the destination meanwhile: then the
    source must not be writable again.
    """
    if task.cluster().left_recovery():
        raise already_promoted()
    if source is None or not _lifted(task, attempt, source):
        _lift_anew(task, attempt, why=_text(told))
    journal = task.journal
    undone = as_undone(told)
    # A worker says itself what became of its attempt; the guard has nobody to tell.
    if by == "guard" and not is_end(task.state) and isinstance(undone, LandbridgeError):
        journal.append("error", **undone.as_dict())
        write_json(_notice(task), {"at": now(), **undone.as_dict()})
    journal.append("step", name="fence", phase="undone", by=by)
    if not is_end(task.state):
        journal.enter(State.SYNCHRONIZING)
    attempt.close(task)


def already_promoted() -> LandbridgeError:
    """The destination accepts writes: from here on only forward."""
    return LandbridgeError(
        "the destination is promoted: the switchover cannot be put back",
        id=ALREADY_PROMOTED,
        remedy="Continue with `landbridge resume`.",
    )


def as_undone(error: BaseException) -> BaseException:
    """What the caller sees for whatever ended an attempt that was put back."""
    if isinstance(error, SwitchoverUndone | MigrationCancelled) or not isinstance(
        error, psycopg.Error | OSError | LandbridgeError
    ):
        return error
    return SwitchoverUndone(f"the switchover was put back: {_text(error)}", id="switchover.failed")


def take_notice(task: Task) -> SwitchoverUndone | None:
    """Why the guard put the caller's attempt back while the caller was dead; told once.

    Nobody is told of it who asked for the switchover anew in the meantime.
    """
    notice: dict[str, Any] | None = read_json(_notice(task))
    if notice is None:
        return None
    drop_notice(task)
    later = (e for e in task.journal.entries() if e["kind"] == "signal" and e["at"] > notice["at"])
    if any(later):
        return None
    return SwitchoverUndone(notice["message"], id=notice["id"], remedy=notice["remedy"])


def drop_notice(task: Task) -> None:
    """Forget it: the migration is being cancelled."""
    _notice(task).unlink(missing_ok=True)


def _lifted(task: Task, attempt: Attempt, source: SourceSide) -> bool:
    try:
        with bounded(source.control, _OPEN):
            make_fence(task, attempt, source).lift()
    except (psycopg.Error, LandbridgeError):
        return False
    return True


def _lift_anew(task: Task, attempt: Attempt, *, why: str) -> None:
    deadline = Deadline(time.time() + _ANEW)
    try:
        with closing(SourceSide(task, account_of(task, attempt), deadline)) as source:
            make_fence(task, attempt, source).lift()
    except (LandbridgeError, psycopg.Error) as error:
        raise LandbridgeError(
            f"the source could not be put back yet: {_text(error)}. To be put back because: {why}",
            id=UNDO_PENDING,
            remedy="The guard keeps trying until the source answers; `landbridge resume`"
            " tries at once.",
            retryable=True,
        ) from None
    finally:
        deadline.disarm()


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())


def _notice(task: Task) -> Path:
    return folder(task) / "undone.json"
