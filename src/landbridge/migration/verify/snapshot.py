"""Which transactions a snapshot shows, and whether two snapshots show the same."""

from __future__ import annotations

from dataclasses import dataclass

from ...postgres import careful
from ...postgres.cluster import Cluster
from .sides import RECENT, Connection, Held

#: So many transactions between two snapshots: far apart, no need to look.
_FAR = 100_000
#: Bytes of an exported snapshot: 15 for each transaction; a standby keeps track of 65 for each
#: of the source's processes.
_MOST = 32 << 20


@dataclass(frozen=True)
class Snapshot:
    """xmin:xmax:xip, with 64-bit ids."""

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

    def shows(self, short: int) -> bool:
        """Whether a transaction that has committed, of this 32-bit id, had ended by then.

        >>> s = Snapshot.parse("4294967290:4294967301:4294967298")
        >>> s.shows(4294967291), s.shows(2), s.shows(4), s.shows(5)
        (True, False, True, False)
        """
        xid = self.xmax + (short - self.xmax + 2**31) % 2**32 - 2**31
        return xid < self.xmax and xid not in self.running


def disagreement(source: Held, standby: Held, cluster: Cluster) -> set[int]:
    """Transaction ids that are shown by one side alone; empty if both show the same.

    Every id that the two could see differently is looked up. Subtransactions need no
    care: they are shown with their parents.
    """
    ours, theirs = Snapshot.parse(source.snapshot), Snapshot.parse(standby.snapshot)
    if abs(ours.xmax - theirs.xmax) > _FAR:
        return {min(ours.xmax, theirs.xmax)}
    hidden_here = ours.running | set(range(ours.xmax, theirs.xmax))
    running_there = _exported_running(cluster, standby.exported, theirs.xmax)
    hidden_there = running_there | set(range(theirs.xmax, ours.xmax))
    shown_here = {x for x in hidden_there if x < ours.xmax} - ours.running
    recent = {x for x in shown_here if x >= ours.xmax - RECENT}
    return (
        _committed(standby.conn, hidden_here)
        | (recent & source.committed)
        | _committed(source.conn, shown_here - recent)
    )


def _exported_running(cluster: Cluster, exported: str, xmax: int) -> frozenset[int]:
    """The transactions that a standby's exported snapshot takes for running.

    txid_current_snapshot() does not list them on a standby; the file of the exported
    snapshot does (`sxp` lines), as 32-bit numbers. They are widened by `xmax`.
    """
    text = careful.read(cluster.data, f"pg_snapshots/{exported}", _MOST).decode()
    lines = text.splitlines()
    short = [int(line[4:]) for line in lines if line.startswith(("sxp:", "xip:"))]
    return frozenset(xmax - ((xmax - x) % 2**32) for x in short)


def _committed(conn: Connection, xids: set[int] | frozenset[int]) -> set[int]:
    """Those of the transactions that the server knows as committed."""
    # The CASE keeps ids away from txid_status that the server has not reached.
    rows = conn.execute(
        "SELECT x FROM unnest(%s::bigint[]) x"
        " WHERE CASE WHEN x < txid_snapshot_xmax(txid_current_snapshot())"
        " THEN txid_status(x) = 'committed' END",
        [sorted(xids)],
    )
    return {int(row[0]) for row in rows}
