"""The fence `manual`: a person stops the writes, we verify it and prove the rest.

For sources where no account of ours may change a setting or end a session, which
includes most managed services. That nobody happens to write proves nothing: the source must
refuse writes, unless the person takes that on with the word `unverified`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from ...errors import LandbridgeError, SwitchoverUndone
from ...postgres.positions import Connection
from ..journal import now
from ..locks import folder
from ..notes import FENCE_BY_HAND, FENCE_NOT_SEEN
from ..states import State
from ..task import Task
from .attempt import Attempt, Deadline
from .overrides import Watch
from .settings import READ_ONLY, SYNC_COMMIT, SYNC_NAMES, require, show
from .source import SERVICE_ROLES, SourceSide, who
from .waiting import is_synchronous, see_a_commit_wait

#: Seconds for which the source, fenced by a person already, is watched for writes.
_OBSERVE = 0.25
#: Seconds that a look at a source which is said to be fenced may take.
_LOOK_WITHIN = 10.0
#: ApsaraDB's own parameter: all transactions of non-superusers are read-only.
VENDOR = "rds_force_trans_ro_non_sup"
#: What lifts the fence that `statements` raise, and that in words.
LIFT = (f"ALTER SYSTEM RESET {READ_ONLY};", "SELECT pg_reload_conf();")
STAYS = (
    "What you have fenced on the source stays so until you lift it:"
    f" {' '.join(LIFT)} (on ApsaraDB, set {VENDOR} to off)"
)


class ManualFence:
    """Changes nothing; what a person did is verified, and to be taken back by a person."""

    def __init__(self, task: Task, attempt: Attempt, source: SourceSide) -> None:
        self.task = task
        self.attempt = attempt
        self.source = source
        self.is_proved = False
        self.is_synchronous = False
        source.terminates = False

    def prepare(self) -> None:
        """The person has done it already."""

    def close_writes(self) -> str:
        """Raise SwitchoverUndone (fence.not_effective) unless a new session cannot write.

        Or unless the person takes that on, and nobody else is connected: an alarm in the
        journal. Returns since when the source has been read-only at the latest; where it is
        not, when nobody was seen to write.
        """
        with self.source.fresh() as conn:
            since = self.source.note_fenced(conn)
            refused = _refuses_writes(self.source, conn, "fence.not_effective")
            closed = read_only_since(conn) if refused else now()
            self.is_synchronous = show(conn, SYNC_NAMES) == require(self.task.slot, "")
        if self.is_synchronous:
            since = self._see_commits_wait()
        self.is_proved = refused
        if not refused:
            self.task.journal.note(
                "fence.unverified",
                "The source would accept writes; that nobody writes is somebody's word alone."
                " What is written there after the promotion is lost: keep the applications"
                " stopped until they use the destination.",
                level="alarm",
            )
        Watch(self.source).refuse_overrides(since, _OBSERVE)
        return closed

    def _see_commits_wait(self) -> datetime:
        """Whoever fenced the source has made our standby synchronous too: see that it is.

        Returns from when on nothing is acknowledged that the standby lacks.
        """
        see_a_commit_wait(self.source)
        self.task.journal.note(
            "fence.synchronous",
            "Should somebody still commit at the source, that waits for the destination and is not"
            f" acknowledged, unless a client sets {SYNC_COMMIT} lower or cancels the wait.",
        )
        with self.source.fresh() as conn:
            return self.source.note_fenced(conn)

    def check(self) -> None:
        """Raise SwitchoverUndone (fence.broken) when it stands no more; it is not ours to keep."""
        _refuses_writes(self.source, self.source.control, "fence.broken")
        if self.is_synchronous and not is_synchronous(self.source):
            raise SwitchoverUndone(
                "commits on the source do not wait for the destination any more", id="fence.broken"
            )

    def lift(self) -> None:
        """Say how the person lifts the fence, and forget that it was said to stand."""
        forget_word(self.task)
        self.task.journal.note(
            "fence.lift_by_hand",
            f"The switchover was put back. {STAYS}",
            level="warning",
            statements=list(LIFT),
        )

    def release(self) -> None:
        """Nothing of ours is on the source."""


def wait_for_person(task: Task, check: Callable[[], None]) -> None:
    """Show the statements of the fence and wait until somebody says that they were run.

    Where that turns out to be untrue it is said what is still open, and waited on. Nothing
    has been changed so far and no time limit runs. Raises whatever `check` raises.
    """
    wanted = statements(task)
    if _signal_file(task).exists():
        return  # said with the order: there is nobody whom we wait for
    task.journal.note(FENCE_BY_HAND, "\n".join(wanted), statements=wanted)
    while True:
        while not _signal_file(task).exists():
            check()
            time.sleep(0.05)
        if (open_still := _still_open(task)) is None:
            return
        forget_word(task)
        task.journal.note(
            FENCE_NOT_SEEN,
            f"Not fenced yet: {open_still.message}. Nothing was changed; the switchover waits on.",
            level="alarm",
            error=open_still.as_dict(),
        )


def _refuses_writes(source: SourceSide, conn: Connection, id: str) -> bool:
    """Whether the source is read-only for everybody, or the person answers for it.

    Raises SwitchoverUndone (`id`) when neither is so, or others are connected to a
    source that is not read-only.
    """
    if is_read_only(conn):
        return True
    if not _unverified_file(source.task).exists():
        raise SwitchoverUndone(
            f"new sessions on the source may write: {READ_ONLY} is not on for the whole"
            " server (a setting of one role or database does not count)",
            id=id,
            remedy="Run the statements of the fence. Where the applications are stopped and"
            f" stay so: `landbridge switchover {source.task.id} --fenced --unverified`.",
        )
    if others := source.others():
        raise SwitchoverUndone(
            f"new sessions on the source may write, and others are connected: {who(others)}",
            id=id,
            remedy="Stop these too, or run the statements of the fence.",
        )
    return False


def is_read_only(conn: Connection) -> bool:
    """Whether new sessions of the whole server may not write, unless they override that."""
    # What is set for one role or one database says nothing about the others.
    row = conn.execute(
        "SELECT count(*) FROM pg_settings WHERE name = ANY(%s) AND setting = 'on'"
        " AND source NOT IN ('database', 'user', 'database user', 'client', 'session')",
        [[READ_ONLY, VENDOR]],
    ).fetchone()
    return row != (0,)


def read_only_since(conn: Connection) -> str:
    """Since when a source that `is_read_only` has been so, at the latest (UTC by our clock).

    `conn` is a new session: a setting of the whole server came with its last reload or before.
    """
    row = conn.execute(
        "SELECT extract(epoch FROM clock_timestamp() - pg_conf_load_time())::float"
    ).fetchone()
    assert row is not None
    since = datetime.now(UTC) - timedelta(seconds=max(0.0, row[0]))
    return since.isoformat(timespec="microseconds")


def _still_open(task: Task) -> SwitchoverUndone | None:
    """What a word that was given overlooks; None where nothing is found, or nobody answers."""
    deadline = Deadline(time.time() + _LOOK_WITHIN)
    try:
        with closing(SourceSide(task, task.conninfo(), deadline)) as source:
            _refuses_writes(source, source.control, "fence.not_effective")
    except SwitchoverUndone as error:
        return error
    except (LandbridgeError, psycopg.Error):
        return None  # the switchover looks again, and says so
    finally:
        deadline.disarm()
    return None


def statements(task: Task) -> list[str]:
    """What makes the source read-only by default and ends its sessions, except our stream.

    The vendor's own procedure, but sparing the migration account: ended twice within
    seconds, the stream was measured to pause for 3.8 s.
    """
    spared = sorted({*SERVICE_ROLES, task.conninfo().user})
    end = sql.SQL(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename NOT IN ({}) AND pid != pg_backend_pid();"
    ).format(sql.SQL(", ").join(map(sql.Literal, spared)))
    return [
        f"-- ApsaraDB: set {VENDOR} to on instead of the next two.",
        f"ALTER SYSTEM SET {READ_ONLY} = on;",
        "SELECT pg_reload_conf();",
        end.as_string(None),
    ]


def note_fenced(task: Task, *, unverified: bool = False) -> None:
    """Say, for a person, that the source is fenced.

    `unverified`: that it would accept writes, but that nobody writes any more.
    """
    if unverified:
        _unverified_file(task).touch()
    else:
        _unverified_file(task).unlink(missing_ok=True)
    _signal_file(task).touch()


def word_given(task: Task) -> float:
    """When somebody said that the source is fenced, or, where that was before the switchover
    began, when it did; Unix time."""
    states = (e for e in task.journal.entries() if e["kind"] == "state")
    begun = max((e["at"] for e in states if e["state"] == State.FENCING.value), default=now())
    return max(_signal_file(task).stat().st_mtime, datetime.fromisoformat(begun).timestamp())


def forget_word(task: Task) -> None:
    """What was said of the fence does not count for the next switchover."""
    _signal_file(task).unlink(missing_ok=True)
    _unverified_file(task).unlink(missing_ok=True)


def _signal_file(task: Task) -> Path:
    """The file whose existence says that the person has fenced the source."""
    return folder(task) / "fenced"


def _unverified_file(task: Task) -> Path:
    return folder(task) / "unverified"
