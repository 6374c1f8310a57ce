"""The mark that a verification holds the standby at a position.

`verifying` in the task's folder exists from before the standby's replay is stopped until
it streams again: {"process": {pid, started}, "since": ISO 8601, "target": LSN or null}.

While `is_held(task)` the standby is down for moments and does not replay, on purpose:
whoever supervises it leaves it alone, and no switchover begins. If the process in the
mark has died, `release(task)` makes the standby stream again; a verification and whoever
resumes a task call it first.

Replay that stopped at a recovery target must not be resumed by pg_wal_replay_resume():
the server would take the target as the end of recovery and promote itself
(PostgreSQL documentation, recovery_target_action). It is restarted without the target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from ...errors import LandbridgeError
from ...postgres.lsn import Lsn
from ...postgres.process import ProcessId
from .. import standby
from ..journal import now
from ..standby.lifecycle import dbname
from ..task import Task, read_json, write_json


def is_held(task: Task) -> bool:
    """Whether a living process holds the task's standby for a verification."""
    mark = read_json(_path(task))
    return mark is not None and ProcessId(**mark["process"]).alive()


def release(task: Task) -> None:
    """Let a standby stream again that a verification left behind when it died; else nothing.

    Raises LandbridgeError (verify.in_progress) while that verification lives.
    """
    mark = read_json(_path(task))
    if mark is None:
        return
    if is_held(task):
        raise LandbridgeError(
            f"a verification of task {task.id} runs since {mark['since']}",
            id="verify.in_progress",
            remedy="Wait for it, or end it.",
            retryable=True,
        )
    _let_go(task, mark)


class Hold:
    """A standby whose replay this process has stopped."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def stop_at(self, lsn: Lsn) -> None:
        """Restart the standby so that it replays what lies before `lsn`, and no more.

        It may be up before it is there. Raises ServerFailed.
        """
        _write(self.task, target=lsn)
        standby.reconfigure(
            self.task,
            {
                "recovery_target_lsn": str(lsn),
                "recovery_target_inclusive": "off",
                "recovery_target_action": "pause",
            },
        )


@contextlib.contextmanager
def hold(task: Task) -> Iterator[Hold]:
    """Stop replay where it is now; at the end the standby streams again.

    Raises LandbridgeError (verify.in_progress), ServerFailed.
    """
    release(task)
    _write(task, target=None)
    try:
        with task.cluster().connect(dbname(task)) as conn:
            # Nothing received later is replayed, so the replay cannot pass a position
            # that is read on the source from now on.
            conn.execute("SELECT pg_wal_replay_pause()")
        yield Hold(task)
    finally:
        _let_go(task, read_json(_path(task)))


def _let_go(task: Task, mark: dict[str, Any]) -> None:
    if mark["target"] is None:
        with (
            contextlib.suppress(LandbridgeError, psycopg.Error),
            task.cluster().connect(dbname(task)) as conn,
        ):
            conn.execute("SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()")
    else:
        standby.reconfigure(task, {})
    _path(task).unlink(missing_ok=True)


def _write(task: Task, *, target: Lsn | None) -> None:
    process = ProcessId.of(os.getpid())
    assert process is not None
    write_json(
        _path(task),
        {"process": process.as_dict(), "since": now(), "target": target and str(target)},
    )


def _path(task: Task) -> Path:
    return task.folder / "verifying"
