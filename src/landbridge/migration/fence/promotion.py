"""The destination's side: drain, promotion, and whether a promotion has happened."""

from __future__ import annotations

import contextlib
import time

import psycopg

from ...errors import LandbridgeError, ServerFailed, SwitchoverUndone
from ...postgres.cluster import Cluster
from ...postgres.lsn import Lsn
from ...postgres.positions import Connection, in_recovery, replay_lsn
from ...postgres.process import wait_until
from .attempt import Deadline

#: Promotion took 25-30 ms on an idle machine and 50-72 ms under load: poll tightly.
_EVERY = 0.0005
#: Seconds without an answer after which a promotion is looked at from outside.
_STUCK = 30.0


class Destination:
    """The standby and one session on it, which stays open through the promotion."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.conn: Connection = cluster.connect_warily()

    def close(self) -> None:
        self.conn.close()

    def drain(self, lsn: Lsn, deadline: Deadline) -> None:
        """Return as soon as everything before `lsn` is replayed."""
        while self._replayed() < lsn:
            deadline.check()
            time.sleep(_EVERY)

    def promote(self) -> None:
        """Promote and return when writes are accepted.

        Raises SwitchoverUndone (switchover.not_promoted) when the server will certainly
        not become writable: it is a standby still, and nothing is left that promotes it.
        """
        self.cluster.signal_promotion()
        with contextlib.suppress(psycopg.Error, ServerFailed):
            if wait_until(lambda: not in_recovery(self._open()), _STUCK, _EVERY):
                return
        if not settle_promotion(self.cluster):
            raise SwitchoverUndone(
                f"the destination did not promote itself: {self.cluster.last_words()}",
                id="switchover.not_promoted",
            )

    def _replayed(self) -> Lsn:
        try:
            return replay_lsn(self._open()) or Lsn(0)
        except psycopg.OperationalError:
            return Lsn(0)

    def _open(self) -> Connection:
        # Replay may end a session on a standby whose snapshot is in its way.
        if self.conn.broken:
            self.conn = self.cluster.connect_warily()
        return self.conn


def settle_promotion(cluster: Cluster) -> bool:
    """Make sure whether the destination is promoted; True if it is, now and for good.

    Where a promotion may be under way the server is restarted, which takes back what
    has not begun: it looks for the file `promote` only when it is signalled.
    """
    if cluster.left_recovery():
        return True
    if not (cluster.data / "PG_VERSION").exists():  # removed with a migration that was given up
        return False
    (cluster.data / "promote").unlink(missing_ok=True)
    cluster.stop()
    settled = cluster.left_recovery()
    with contextlib.suppress(LandbridgeError):
        cluster.start()
    return settled
