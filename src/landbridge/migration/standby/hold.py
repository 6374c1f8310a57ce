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

from ... import lock
from ...errors import LandbridgeError, VerificationFailed
from ...postgres import positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn
from ...postgres.process import ProcessId, wait_until
from ..journal import now
from ..locks import switch_lock
from ..states import State
from ..task import Task, read_json, write_json
from .lifecycle import dbname, reconfigure

#: Seconds without any replay after which the standby is taken to be stuck.
_STUCK = 60.0
#: Replay may end this many bytes before a target: a record begins after its page's header.
_PAGE_HEADER = 64
#: So many bytes behind the source is close enough to look at the order of commits.
_CLOSE = 1 << 20

#: Seconds for the standby to connect to a source that can be reached.
_STREAMS_WITHIN = 5.0


def is_held(task: Task) -> bool:
    """Whether a living process holds the task's standby for a verification."""
    mark = read_json(_path(task))
    return mark is not None and ProcessId(**mark["process"]).alive()


def left_held(task: Task) -> bool:
    """Whether a verification has died and left the standby held: `release` is called for."""
    return _path(task).exists() and not is_held(task)


def release(task: Task) -> None:
    """Let a standby stream again that a verification left behind when it died; else nothing.

    Raises LandbridgeError (verify.in_progress) while that verification lives.
    """
    with _alone(task):
        _release(task)


class Hold:
    """A standby whose replay this process has stopped."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._target: Lsn | None = None

    def follow(self, goal: Lsn) -> None:
        """Let the standby stream until it is close to `goal`, then pause its replay there.

        It goes on receiving. Raises ServerFailed, VerificationFailed (verify.standby_stuck).
        """
        if self._target is not None:
            reconfigure(self.task, {})
            self._target = None
            _write(self.task, target=None)
        cluster = self.task.cluster()
        with cluster.connect_warily(dbname(self.task)) as conn:
            _wait_replayed(cluster, conn, Lsn(max(0, goal - _CLOSE)))
            conn.execute("SELECT pg_wal_replay_pause()")
            # The record in hand is still replayed.
            seen: list[Lsn | None] = []

            def still() -> bool:
                seen.append(positions.replay_lsn(conn))
                return len(seen) > 1 and seen[-1] == seen[-2]

            wait_until(still, _STUCK, every=0.02)

    def stop_at(self, lsn: Lsn) -> None:
        """Restart the standby so that it replays what lies before `lsn`, and no more.

        Raises ServerFailed, VerificationFailed (verify.standby_stuck).
        """
        _write(self.task, target=lsn)
        self._target = lsn
        reconfigure(
            self.task,
            {
                "recovery_target_lsn": str(lsn),
                "recovery_target_inclusive": "off",
                "recovery_target_action": "pause",
            },
        )
        cluster = self.task.cluster()
        with cluster.connect_warily(dbname(self.task)) as conn:
            _wait_replayed(cluster, conn, lsn)


@contextlib.contextmanager
def hold(task: Task) -> Iterator[Hold]:
    """Take hold of the standby; at the end it streams again.

    Raises LandbridgeError (verify.in_progress, verify.switching), ServerFailed.
    """
    with _alone(task):
        # From the mark on a switchover is refused, which looks for it under this lock.
        with _no_switchover(task):
            _release(task)
            _write(task, target=None)
        try:
            yield Hold(task)
        finally:
            _release(task)


@contextlib.contextmanager
def _no_switchover(task: Task) -> Iterator[None]:
    """See that none is under way or begins; LandbridgeError (verify.switching) otherwise."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(switch_lock(task, patience=0))
            free = task.state is State.SYNCHRONIZING
        except LandbridgeError:
            free = False
        if not free:
            raise LandbridgeError(
                f"task {task.id} is {task.state.value}, or about to switch over: it can be"
                " compared while it is synchronizing, or after the switchover",
                id="verify.switching",
                remedy="Wait until the switchover is over.",
                retryable=True,
            )
        yield


@contextlib.contextmanager
def _alone(task: Task) -> Iterator[None]:
    """Be the only one that stops the standby or lets it go; verify.in_progress otherwise."""
    if (fd := lock.take(task.folder / "verify.lock")) is None:
        raise LandbridgeError(
            f"a verification of task {task.id} is under way",
            id="verify.in_progress",
            remedy="Wait for it, or end it.",
            retryable=True,
        )
    try:
        yield
    finally:
        os.close(fd)


def _release(task: Task) -> None:
    mark = read_json(_path(task))
    if mark is not None:
        _let_go(task, mark)


def _let_go(task: Task, mark: dict[str, Any]) -> None:
    cluster = task.cluster()
    if mark["target"] is not None:
        reconfigure(task, {})
    with (
        contextlib.suppress(LandbridgeError, psycopg.Error),
        cluster.connect_warily(dbname(task)) as conn,
    ):
        if mark["target"] is None:
            conn.execute("SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()")
        # Whoever watches shall not take the beginning for a broken line.
        wait_until(lambda: _streams(conn), _STREAMS_WITHIN)
    _path(task).unlink(missing_ok=True)


def _streams(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SELECT status = 'streaming' FROM pg_stat_wal_receiver").fetchone()
    return row == (True,)


def _wait_replayed(cluster: Cluster, conn: psycopg.Connection[Any], lsn: Lsn) -> None:
    """Wait until the standby has replayed what lies before `lsn`, as long as it proceeds."""
    last = Lsn(-1)

    def moved() -> bool:
        nonlocal last
        before, last = last, positions.replay_lsn(conn) or Lsn(0)
        return last > before or _is_there(conn, last, lsn)

    while not _is_there(conn, last, lsn):
        if not wait_until(moved, _STUCK):
            raise VerificationFailed(
                f"the standby stays at {last} and does not reach {lsn}: {cluster.last_words()}",
                id="verify.standby_stuck",
                retryable=True,
            )


def _is_there(conn: psycopg.Connection[Any], replayed: Lsn, lsn: Lsn) -> bool:
    """At a target; or nothing lies beyond it yet, and the standby will stop before that."""
    if replayed >= lsn:
        return True
    state = (
        "pg_get_wal_replay_pause_state() = 'paused'"
        if positions.server_major(conn) >= 14
        else "pg_is_wal_replay_paused()"
    )
    row = conn.execute(f"SELECT {state}".encode()).fetchone()
    return row == (True,) and lsn - replayed <= _PAGE_HEADER


def _write(task: Task, *, target: Lsn | None) -> None:
    process = ProcessId.of(os.getpid())
    assert process is not None
    write_json(
        _path(task),
        {"process": process.as_dict(), "since": now(), "target": target and str(target)},
    )


def _path(task: Task) -> Path:
    return task.folder / "verifying"
