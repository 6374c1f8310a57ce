"""A moment at which both sides can be compared.

`at_rest` serves the time after the switchover: the source is fenced, the
destination has not been written yet, so both show what was there at the fence.
Before the switchover a moment has to be made (point.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...errors import VerificationFailed
from ...postgres import positions
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn
from ..divergence import fork_of
from ..standby.lifecycle import dbname
from ..task import Task, read_json
from .commits import CommitLog
from .sides import Connection, Held, Side

#: Databases compared at one moment: each takes a connection to either side besides the jobs'.
TOGETHER = 8


@dataclass
class Moment:
    """Both sides, held at one state of the data, in one or more databases."""

    lsn: Lsn
    tries: int = 1
    pairs: list[tuple[Held, Held]] = field(default_factory=list)
    """Source and destination, per database."""


@contextlib.contextmanager
def at_rest(
    task: Task, source: Side, destination: Side, databases: Sequence[str]
) -> Iterator[Moment]:
    """Both servers after the promotion, checked before and after to be where they were then.

    Raises VerificationFailed: verify.destination_moved, verify.source_moved.
    """
    require_rest(task, source, destination)
    lsn, _ = fence(task)
    with contextlib.ExitStack() as stack:
        moment = Moment(lsn)
        for name in databases[:TOGETHER]:
            here, there = (hold_open(stack, side, name).take() for side in (source, destination))
            moment.pairs.append((here, there))
        yield moment
        require_rest(task, source, destination)


def hold_open(stack: contextlib.ExitStack, side: Side, dbname: str) -> Held:
    """A database whose present can be held, until the stack is closed."""
    return stack.enter_context(contextlib.closing(Held(side, dbname)))


def require_rest(task: Task, source: Side, destination: Side) -> None:
    """Raise VerificationFailed unless both sides are where they were at the fence.

    Of the destination the WAL since its promotion is looked at too: it need not have known
    of the last transaction ids of the source, so a first write may go unnoticed in them.
    """
    _, expected = fence(task)
    with source.session(dbname(task)) as conn:
        found = positions.next_xid(conn)
    if found > expected:
        raise VerificationFailed(
            f"the source has been written since the switchover: its next transaction id is"
            f" {found}, it was {expected} at the fence; the two sides can no longer be compared",
            id="verify.source_moved",
            remedy="Look for sessions that override read-only, and at the diverged commits in the"
            " evidence; vacuum and analyze use transaction ids too.",
        )
    with destination.session(dbname(task)) as conn:
        found = positions.next_xid(conn)
        moved = first_commit(task.cluster(), conn)
    if moved or found > expected + sum(x >= expected for x in own_xids(task)):
        raise VerificationFailed(
            "the destination has been written since the switchover:"
            f" {moved or f'its next transaction id is {found}, it was {expected} at the fence'};"
            " the two sides can no longer be compared",
            id="verify.destination_moved",
            remedy="A comparison after the switchover is possible only until the first write;"
            " next time use --verify before. `landbridge verify --no-compare` still examines the"
            " pages and indexes of the destination.",
        )


def first_commit(cluster: Cluster, conn: Connection) -> str | None:
    """The first transaction that committed after the promotion, in words; None without one."""
    timeline = positions.identity(conn).timeline
    log = CommitLog.of(cluster, conn, fork_of(cluster, timeline))
    try:
        log.read(positions.flush_lsn(conn))
    except FileNotFoundError:
        return "the WAL since then has been recycled"
    if not log.commits:
        return None
    lsn, xid = log.commits[0]
    return f"transaction {xid} committed at {lsn}"


def fence(task: Task) -> tuple[Lsn, int]:
    """Fence LSN and next transaction id before the promotion, from the switchover's result.

    Raises VerificationFailed (verify.no_fence) if there is none.
    """
    result = read_json(task.folder / "switchover/result.json")
    if result is None:
        raise VerificationFailed(
            f"task {task.id} has no result of a switchover", id="verify.no_fence", retryable=True
        )
    return Lsn.parse(result["fence_lsn"]), int(result["promote_next_xid"])


def own_xids(task: Task) -> list[int]:
    """Transaction ids that verifications used on the destination (index checks)."""
    steps = (e for e in task.journal.entries() if e.get("name") in ("verify", "examine"))
    return [int(x) for step in steps for x in step.get("own_xids", ())]
