"""A common point before the switchover: a position at which both sides show the same.

A snapshot S of the source shows the transactions that had ended in its memory; a standby
that stops at position L shows those with a commit record before L. In between lie

- a transaction that is flushed, but had not left the list of running transactions at S
  (group commit, or waiting for a synchronous standby);
- one that committed with synchronous_commit=off, is shown by S and not flushed yet.

So L is chosen to fit S: from the WAL that the standby receives while its replay is paused,
between the last commit that S shows and the first that it does not. Where they are
interleaved another S is taken, which costs milliseconds. The standby is then restarted
with L as its recovery target and stops exactly before it (measured: 0.5 s), and every
transaction id that the two sides could see differently is looked up on both.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial

from ...errors import VerificationFailed
from ...postgres import positions
from ...postgres.lsn import Lsn
from ...postgres.process import wait_until
from ..task import Task
from .commits import CommitLog
from .hold import Hold
from .moment import Moment
from .sides import Held, Side
from .snapshot import Snapshot, disagreement

#: Points at which the standby is stopped before giving up.
_TRIES = 10
#: Seconds in which snapshots of the source are taken until one fits a position.
_CHOOSE_WITHIN = 60.0
#: Seconds for the standby to receive what the source had written at a snapshot. An
#: asynchronous commit is flushed after three times wal_writer_delay (200 ms) at the latest.
_RECEIVE_WITHIN = 1.0


@contextlib.contextmanager
def common_point(
    task: Task, hold: Hold, source: Side, destination: Side, databases: Sequence[str]
) -> Iterator[Moment]:
    """Both sides at one position, in at least one of `databases`; the standby stays there.

    Raises VerificationFailed (verify.no_common_point, verify.standby_stuck),
    ServerFailed, ServerUnreachable.
    """
    cluster = task.cluster()
    for attempt in range(1, _TRIES + 1):
        # Snapshots of several databases are taken one after the other; under load only
        # the last of them is likely to fit the position.
        wanted = databases if attempt == 1 else databases[:1]
        with source.session(wanted[0]) as conn:
            hold.follow(positions.flush_lsn(conn))
        with contextlib.ExitStack() as stack:
            held, lsn = _choose(CommitLog(cluster, wanted[0]), source, wanted)
            for each in held:
                stack.callback(each.close)
            hold.stop_at(lsn)
            moment = Moment(lsn, attempt)
            stack.callback(moment.close)
            for ours in held:
                theirs = Held(destination, ours.dbname)
                if disagreement(ours, theirs, cluster):
                    theirs.close()
                else:
                    moment.pairs.append((ours, theirs))
            if moment.pairs:
                yield moment
                return
    raise _none(databases[0], f"in {_TRIES} attempts")


def _choose(log: CommitLog, source: Side, databases: Sequence[str]) -> tuple[list[Held], Lsn]:
    """Snapshots of the databases, and a position that fits the last of them."""
    end = time.monotonic() + _CHOOSE_WITHIN
    with contextlib.closing(log):
        while time.monotonic() < end:
            with contextlib.ExitStack() as stack:
                held = []
                for dbname in databases:
                    held.append(Held(source, dbname))
                    stack.callback(held[-1].close)
                last = held[-1]
                wait_until(partial(log.has, last.written), _RECEIVE_WITHIN)
                lsn = log.boundary(Snapshot.parse(last.snapshot))
                if lsn is not None:
                    stack.pop_all()
                    return held, lsn
    raise _none(databases[-1], f"within {_CHOOSE_WITHIN:.0f} s")


def _none(database: str, effort: str) -> VerificationFailed:
    return VerificationFailed(
        f"{effort} there was no position at which both sides show the same transactions of"
        f" database {database}",
        id="verify.no_common_point",
        remedy="Verify when fewer transactions commit at a time, or after the switchover.",
        retryable=True,
    )
