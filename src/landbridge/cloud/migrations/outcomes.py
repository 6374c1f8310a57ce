"""What came of an ordered switchover, for the audit trail: that it was ordered says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...migration.procedure import HELD
from ...migration.states import State
from .. import audit
from .tables import Migration

#: Who says so.
SOURCE = "service"
_ACTION = "landbridge.SwitchOverMigration"


def latest(entries: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """Moment and outcome (Success, or the id of the error) of the latest that is decided."""
    for entry in reversed(entries):
        if entry["kind"] == "error" and entry.get(HELD) == "switchover":
            return entry["at"], entry["id"]
        if entry["kind"] == "state" and entry["state"] == State.PROMOTED.value:
            return entry["at"], audit.SUCCESS
    return None


def tell(session: Session, row: Migration, moment: str, outcome: str) -> None:
    """Add it to the trail of the migration's owner, once: its moment stands for the request."""
    same = select(audit.AuditEntry.id).where(
        audit.AuditEntry.account_uid == row.owner_uid,
        audit.AuditEntry.resource == row.id,
        audit.AuditEntry.request_id == moment,
    )
    if session.scalar(same) is None:
        audit.record(
            session, _ACTION, SOURCE, account_uid=row.owner_uid, resource=row.id,
            request_id=moment, outcome=outcome,
        )  # fmt: skip
