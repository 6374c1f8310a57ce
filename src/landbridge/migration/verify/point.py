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
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ...errors import VerificationFailed
from ...postgres import positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn
from ...postgres.process import wait_until
from ..standby.hold import Hold
from ..task import Task
from .commits import CommitLog
from .moment import TOGETHER, Moment, hold_open
from .sides import Connection, Held, Side
from .snapshot import Snapshot, disagreement

#: Points at which the standby is stopped before giving up.
_TRIES = 10
#: Seconds in which snapshots of the source are taken until one fits a position.
_CHOOSE_WITHIN = 60.0
#: Seconds in which they shall fit each other, too.
_TOGETHER_WITHIN = 5.0
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
        wanted = databases[:TOGETHER] if attempt == 1 else databases[:1]
        with contextlib.ExitStack() as stack:
            held = [hold_open(stack, source, name) for name in wanted]
            hold.follow(positions.flush_lsn(held[0].conn))
            with destination.session(wanted[0]) as standby:
                lsn = _choose(cluster, standby, held)
            hold.stop_at(lsn)
            moment = Moment(lsn, attempt)
            for ours in held:
                theirs = hold_open(stack, destination, ours.dbname).take()
                if not disagreement(ours, theirs, cluster):
                    moment.pairs.append((ours, theirs))
            if moment.pairs:
                yield moment
                return
    raise _none(databases[0], f"in {_TRIES} attempts")


def _choose(cluster: Cluster, standby: Connection, held: Sequence[Held]) -> Lsn:
    """Take snapshots of all databases until a position fits them.

    A snapshot belongs to one database, so those of several are taken at a time until no
    transaction ended between them. Where that does not happen soon, only the last fits.
    """
    start = positions.replay_lsn(standby)
    assert start is not None
    log = CommitLog.of(cluster, standby, start)

    def received(lsn: Lsn) -> bool:
        log.read(positions.receive_lsn(standby) or log.end)
        return log.end >= lsn

    begin = time.monotonic()
    with ThreadPoolExecutor(len(held)) as pool:
        while (waited := time.monotonic() - begin) < _CHOOSE_WITHIN:
            last = list(pool.map(Held.take, held))[-1]
            if waited < _TOGETHER_WITHIN and len({h.snapshot for h in held}) > 1:
                continue
            wait_until(partial(received, last.written), _RECEIVE_WITHIN)
            lsn = log.boundary(Snapshot.parse(last.snapshot))
            if lsn is not None:
                return lsn
    raise _none(held[-1].dbname, f"within {_CHOOSE_WITHIN:.0f} s")


def _none(database: str, effort: str) -> VerificationFailed:
    return VerificationFailed(
        f"{effort} there was no position at which both sides show the same transactions of"
        f" database {database}",
        id="verify.no_common_point",
        remedy="Verify when fewer transactions commit at a time, or after the switchover.",
        retryable=True,
    )
