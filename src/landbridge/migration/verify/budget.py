"""While the standby is stopped, the source keeps all WAL for it: that has a limit."""

from __future__ import annotations

import time

from ...errors import VerificationFailed
from ..task import Task
from .sides import Connection

#: Seconds between two looks at the source.
_EVERY = 2.0
#: Part of the budget at which a verification gives up, so that the slot need not be dropped.
_SHARE = 0.8


class WalBudget:
    """Looks now and then how much WAL our slot holds on the source; `conn` is a session there."""

    def __init__(self, task: Task, conn: Connection) -> None:
        self._slot = task.slot
        self._limit = int(task.request.wal_budget * _SHARE)
        self._conn = conn
        self._due = 0.0

    def look(self) -> None:
        """Raise VerificationFailed (verify.wal_budget) before the budget is spent."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY
        row = self._conn.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint"
            " FROM pg_replication_slots WHERE slot_name = %s",
            [self._slot],
        ).fetchone()
        kept = row[0] if row else None
        if kept is not None and kept > self._limit:
            raise VerificationFailed(
                f"the source keeps {kept} bytes of WAL while the destination stands still,"
                f" more than {self._limit} bytes ({_SHARE:.0%} of the budget)",
                id="verify.wal_budget",
                remedy="Raise --wal-budget if the source has the space, verify at a quieter time,"
                " or after the switchover.",
                retryable=True,
            )
