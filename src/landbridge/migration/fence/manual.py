"""The fence `manual`: a person stops the writes, we verify it and prove the rest.

For sources where no account of ours may change a setting or end a session, which
includes most managed services.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from ...errors import MigrationCancelled, SwitchoverUndone
from ..task import Task
from .attempt import Attempt, folder
from .overrides import Watch
from .settings import READ_ONLY, show
from .source import SERVICE_ROLES, SourceSide

#: Seconds for which the source, fenced by a person already, is watched for writes.
_OBSERVE = 0.25
_LIFT = (f"ALTER SYSTEM RESET {READ_ONLY};", "SELECT pg_reload_conf();")


class ManualFence:
    """Changes nothing; what a person did is verified, and to be taken back by a person."""

    def __init__(self, task: Task, attempt: Attempt, source: SourceSide) -> None:
        self.task = task
        self.attempt = attempt
        self.source = source
        source.terminates = False

    def prepare(self) -> None:
        """The person has done it already."""

    def close_writes(self) -> str:
        """Raise SwitchoverUndone (fence.not_effective) unless a new session cannot write.

        Returns when the person said that the source is fenced.
        """
        with self.source.fresh() as conn:
            read_only = show(conn, READ_ONLY) == "on"
            since = self.source.note_fenced(conn)
        if not read_only and (others := self.source.clients()):
            raise SwitchoverUndone(
                f"new sessions on the source may write ({READ_ONLY} is off), and {others} client"
                " sessions are open",
                id="fence.not_effective",
                remedy="Run the statements of the fence, or stop the applications.",
            )
        Watch(self.source).refuse_overrides(since, _OBSERVE)
        said = signal_file(self.task).stat().st_mtime
        return datetime.fromtimestamp(said, UTC).isoformat(timespec="microseconds")

    def check(self) -> None:
        """The fence is not ours to watch; the next transaction id tells."""

    def lift(self) -> None:
        """Say how the person lifts the fence, and forget that it was said to stand."""
        signal_file(self.task).unlink(missing_ok=True)
        self.task.journal.note(
            "fence.lift_by_hand",
            "The switchover was put back. The source stays as you fenced it until you lift"
            f" the fence: {' '.join(_LIFT)}",
            level="warning",
            statements=list(_LIFT),
        )

    def release(self) -> None:
        """Nothing of ours is on the source."""


def wait_for_person(task: Task, check_stop: Callable[[], None]) -> None:
    """Show the statements of the fence and wait until somebody says that they were run.

    Nothing has been changed so far and no time limit runs. Raises MigrationCancelled when
    somebody cancels the migration, and whatever `check_stop` raises.
    """
    wanted = statements(task)
    if not signal_file(task).exists():
        task.journal.note("fence.by_hand", "\n".join(wanted), statements=wanted)
    task.write_live(phase="fencing", statements=wanted)
    while not signal_file(task).exists():
        check_stop()
        if any(e["kind"] == "signal" and e["name"] == "cancel" for e in task.journal.entries()):
            raise MigrationCancelled("cancelled while waiting for the fence")
        time.sleep(0.05)
    task.write_live(phase="fencing")


def statements(task: Task) -> list[str]:
    """What makes the source read-only by default and ends its sessions, except our stream.

    The vendor's own procedure (and rds_force_trans_ro_non_sup=on where there is such a
    parameter), but sparing the migration account: ended twice within seconds, the stream
    was measured to pause for 3.8 s.
    """
    spared = sorted({*SERVICE_ROLES, task.conninfo().user})
    end = sql.SQL(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename NOT IN ({}) AND pid != pg_backend_pid();"
    ).format(sql.SQL(", ").join(map(sql.Literal, spared)))
    return [
        f"ALTER SYSTEM SET {READ_ONLY} = on;",
        "SELECT pg_reload_conf();",
        end.as_string(None),
    ]


def signal_file(task: Task) -> Path:
    """The file whose existence says that the person has fenced the source."""
    return folder(task) / "fenced"
