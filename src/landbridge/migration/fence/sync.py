"""The fence `sync`: our standby becomes synchronous, then the source read-only by default.

A client may override the read-only default, but then its commit waits for our standby,
and once that is promoted nobody acknowledges it any more. Measured without this: 5,661 to
6,642 acknowledged commits lost per switchover with six such clients; with it none.
What remains are clients that also set synchronous_commit to off or local, and commits
whose wait is cancelled: both take a transaction id, by which they are noticed.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ...errors import SwitchoverUndone
from ...postgres.positions import Connection
from ...postgres.process import wait_until
from ..journal import now
from ..task import Task
from .attempt import Attempt
from .overrides import Watch
from .rivals import LEFT_REMEDY, OTHER, left_by, others_in
from .settings import READ_ONLY, SYNC_COMMIT, SYNC_NAMES, put, reload_conf, remember, require, show
from .source import PATIENCE, SourceSide
from .waiting import see_a_commit_wait

#: Values of synchronous_commit with which a commit waits for no standby.
_WEAK = ("off", "local")
#: Seconds for which clients, still connected, are watched for overriding the fence.
_OBSERVE = 0.008
#: Seconds without a writer after which commits need not wait any more.
_QUIET = 1.0
#: Seconds after which commits go on waiting, because writers keep coming.
_RELEASE_WITHIN = 4.0


class SyncFence:
    """Raises and lifts the fence through ALTER SYSTEM; the previous values go to the attempt."""

    def __init__(self, task: Task, attempt: Attempt, source: SourceSide) -> None:
        self.task = task
        self.attempt = attempt
        self.source = source
        self.is_proved = True
        self.is_synchronous = True

    def prepare(self) -> None:
        """Make our standby synchronous and see a commit wait for it; writes go on meanwhile."""
        control, attempt = self.source.control, self.attempt
        if not attempt.settings:
            attempt.settings = remember(control, (SYNC_NAMES, READ_ONLY, SYNC_COMMIT))
            attempt.sync_names = show(control, SYNC_NAMES)
            self._refuse_leftovers()
            attempt.save(self.task)
        values: dict[str, str | None] = {SYNC_NAMES: require(self.task.slot, attempt.sync_names)}
        if _server_value(control, SYNC_COMMIT) in _WEAK:
            values[SYNC_COMMIT] = "on"
        put(control, values)
        see_a_commit_wait(self.source)
        # Written now, which costs two fsyncs, and read with the reload that closes.
        put(control, {READ_ONLY: "on"}, reload=False)

    def _refuse_leftovers(self) -> None:
        """What another migration left there is nothing to go back to; nor may it be undone."""
        before = f"{self.attempt.settings[SYNC_NAMES]} {self.attempt.sync_names}"
        if others := others_in(before, self.task):
            self.attempt.settings = {}
            raise SwitchoverUndone(left_by(others), id=OTHER, remedy=LEFT_REMEDY)

    def close_writes(self) -> str:
        """Make new transactions read-only, and prove it by a session opened afterwards."""
        begin = now()
        reload_conf(self.source.control)
        watch = Watch(self.source)
        with ThreadPoolExecutor(1) as pool:
            confirmed = pool.submit(self._confirm)
            while not confirmed.done():
                watch.look()
        watch.refuse_overrides(confirmed.result(), _OBSERVE)
        return begin

    def _confirm(self) -> datetime:
        """The begin of a session that is read-only, opened after the reload."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with self.source.fresh() as conn:
                if show(conn, READ_ONLY) == "on":
                    return self.source.note_fenced(conn)
        raise SwitchoverUndone(
            f"{READ_ONLY} is off for a new session of {self.source.account.user} although the"
            " server was told otherwise",
            id="fence.not_effective",
            remedy=f"Look for {READ_ONLY} in ALTER ROLE/DATABASE settings and on the server's"
            " command line.",
        )

    def check(self) -> None:
        """Raise SwitchoverUndone (fence.broken) when the fence does not stand any more."""
        row = self.source.control.execute(
            "SELECT current_setting(%s) = 'on' AND sync_state = 'sync'"
            " FROM pg_stat_replication WHERE application_name = %s",
            [READ_ONLY, self.task.slot],
        ).fetchone()
        if row != (True,):
            raise SwitchoverUndone(
                "the destination is no longer a synchronous standby of a read-only source",
                id="fence.broken",
            )

    def lift(self) -> None:
        """Put back every setting as it stood before the attempt."""
        if self.attempt.settings:
            put(self.source.control, self.attempt.settings)

    def release(self) -> str | None:
        """After the promotion: commits need not wait any more; read-only stays.

        Whoever waits for the standby now would be acknowledged by this, so waiting sessions
        are ended first; while others keep coming the setting stays, and nothing is
        acknowledged.
        """
        end = time.monotonic() + _RELEASE_WITHIN
        while not self._nobody_came():
            if time.monotonic() > end:
                return (
                    f"somebody still writes to the source; {SYNC_NAMES} stays there, so that no"
                    " commit is acknowledged. When these clients are gone: ALTER SYSTEM RESET"
                    f" {SYNC_NAMES}; SELECT pg_reload_conf()"
                )
        put(
            self.source.control,
            {name: old for name, old in self.attempt.settings.items() if name != READ_ONLY},
        )
        return None

    def _nobody_came(self) -> bool:
        """Whether nobody tries to write for a while; who does has its session ended, if we may."""
        before = self.source.stillness()
        if before.movers:
            self.source.terminate()
            return False

        def came() -> bool:
            still = self.source.stillness()
            return bool(still.movers) or still.next_xid != before.next_xid

        return not wait_until(came, _QUIET, 0.05)


def _server_value(conn: Connection, name: str) -> str:
    """What a session without settings of its own has."""
    row = conn.execute("SELECT reset_val FROM pg_settings WHERE name = %s", [name]).fetchone()
    assert row is not None
    return str(row[0])
