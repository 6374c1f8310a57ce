"""A common point before the switchover: a position at which both sides show the same.

On the source, snapshot S and flush position L are read in one statement; the standby is
restarted with L as its recovery target and stops exactly before it (measured: 0.5 s).
S shows what had ended in the source's memory, the standby what had a commit record
before L, and the two need not agree about a transaction in between:

- it is flushed before L, but had not yet left the list of running transactions at S
  (group commit, or waiting for a synchronous standby): only the standby shows it;
- it committed with synchronous_commit=off and was not flushed at L: only S shows it.

Every id about which they could disagree is therefore looked up; if one of them is shown
by one side alone, the point is given up and another one taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...errors import ServerFailed, VerificationFailed
from ...postgres import positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn
from ...postgres.process import wait_until
from ..task import Task
from .hold import Hold
from .moment import Moment
from .sides import RECENT, Connection, Held, Side

#: Points taken in a row before giving up.
_TRIES = 10
#: Seconds without any replay after which the standby is taken to be stuck.
_STUCK = 60.0
#: Replay may end this many bytes before a target: a record begins after its page's header.
_PAGE_HEADER = 64
#: So many transactions between S and L: the sides are far apart, no need to look.
_FAR = 100_000


@contextlib.contextmanager
def common_point(
    task: Task, hold: Hold, source: Side, destination: Side, databases: Sequence[str]
) -> Iterator[Moment]:
    """Both sides at one position, in at least one of `databases`; the standby stays there.

    Raises VerificationFailed (verify.no_common_point, verify.point_not_reached),
    ServerFailed, ServerUnreachable.
    """
    for attempt in range(1, _TRIES + 1):
        # Snapshots of several databases are taken one after the other, and under load
        # only the last of them is likely to fit the position.
        wanted = databases if attempt == 1 else databases[:1]
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(contextlib.closing(Held(source, d))) for d in wanted]
            lsn = held[-1].lsn
            hold.stop_at(lsn)
            _wait_for(task.cluster(), destination, wanted[0], lsn)
            moment = Moment(lsn, attempt)
            stack.callback(moment.close)
            for ours in held:
                theirs = Held(destination, ours.dbname)
                if disagreement(ours, theirs, task.cluster()):
                    theirs.close()
                else:
                    moment.pairs.append((ours, theirs))
            if moment.pairs:
                yield moment
                return
    raise VerificationFailed(
        f"in {_TRIES} attempts there was no position at which both sides show the same"
        f" transactions of database {databases[0]}",
        id="verify.no_common_point",
        remedy="Verify when fewer transactions commit at a time, or after the switchover.",
        retryable=True,
    )


def disagreement(source: Held, standby: Held, cluster: Cluster) -> set[int]:
    """Transaction ids that are shown by one side alone; empty if both show the same.

    Ids are 64 bits. Subtransactions need no care: they are shown with their parents.
    """
    ours, theirs = Snapshot.parse(source.snapshot), Snapshot.parse(standby.snapshot)
    if abs(ours.xmax - theirs.xmax) > _FAR:
        return {min(ours.xmax, theirs.xmax)}
    hidden_here = ours.running | set(range(ours.xmax, theirs.xmax))
    only_there = committed(standby.conn, hidden_here)
    running_there = exported_running(cluster, standby.exported, theirs.xmax)
    hidden_there = running_there | set(range(theirs.xmax, ours.xmax))
    candidates = {x for x in hidden_there if x < ours.xmax} - ours.running
    recent = {x for x in candidates if x >= ours.xmax - RECENT}
    return only_there | (recent & source.committed) | committed(source.conn, candidates - recent)


@dataclass(frozen=True)
class Snapshot:
    """xmin:xmax:xip of a snapshot."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """
        >>> Snapshot.parse("100:105:100,103")
        Snapshot(xmin=100, xmax=105, running=frozenset({100, 103}))
        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))


def exported_running(cluster: Cluster, exported: str, xmax: int) -> frozenset[int]:
    """The transactions a standby's exported snapshot takes for running.

    txid_current_snapshot() does not list them on a standby; the file of the exported
    snapshot does (`sxp` lines), as 32-bit numbers. They are widened by `xmax`.
    """
    lines = (cluster.data / "pg_snapshots" / exported).read_text().splitlines()
    short = [int(line[4:]) for line in lines if line.startswith(("sxp:", "xip:"))]
    return frozenset(xmax - ((xmax - x) % 2**32) for x in short)


def committed(conn: Connection, xids: set[int] | frozenset[int]) -> set[int]:
    """Those of the transactions that the server knows as committed."""
    # The statement's own condition keeps out ids that the server has not reached.
    rows = conn.execute(
        "SELECT x FROM unnest(%s::bigint[]) x"
        " WHERE CASE WHEN x < txid_snapshot_xmax(txid_current_snapshot())"
        " THEN txid_status(x) = 'committed' END",
        [sorted(xids)],
    )
    return {int(row[0]) for row in rows}


def _wait_for(cluster: Cluster, destination: Side, dbname: str, lsn: Lsn) -> None:
    """Wait until the standby has replayed everything before `lsn`, as long as it proceeds."""
    last = Lsn(0)
    with destination.session(dbname) as conn:

        def moved() -> bool:
            nonlocal last
            before, last = last, positions.replay_lsn(conn) or Lsn(0)
            return last > before or _is_there(conn, last, lsn)

        while not _is_there(conn, last, lsn):
            if not wait_until(moved, _STUCK):
                raise VerificationFailed(
                    f"the standby stays at {last} and does not reach {lsn}: {cluster.last_words()}",
                    id="verify.point_not_reached",
                    retryable=True,
                )
            if cluster.process() is None:
                raise ServerFailed(f"the standby ended: {cluster.last_words()}")


def _is_there(conn: Connection, replayed: Lsn, lsn: Lsn) -> bool:
    """At the target; or nothing lies beyond it yet, and it will stop before that comes."""
    if replayed >= lsn:
        return True
    state = (
        "pg_get_wal_replay_pause_state() = 'paused'"
        if positions.server_major(conn) >= 14
        else "pg_is_wal_replay_paused()"
    )
    row = conn.execute(f"SELECT {state}".encode()).fetchone()
    return row == (True,) and lsn - replayed <= _PAGE_HEADER
