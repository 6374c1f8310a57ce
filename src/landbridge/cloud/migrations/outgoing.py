"""Migrations out of an account's own instances: what their owner may know, which is not whither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ...migration import task as records
from ..accounts import Account
from ..instances import lifecycle
from ..instances.tables import DBInstance
from ..ownership import everything
from .progress import Progress
from .tables import Migration


@dataclass(frozen=True)
class Outgoing:
    """A migration that reads from an instance, or with which the instance moved away."""

    instance_id: str
    """The source."""
    account: str
    """The database account that it uses."""
    moved_at: datetime | None
    """When its copy took over; None while it runs."""


def outgoing(
    session: Session, tasks: records.Tasks, account: Account, instance_id: str | None = None
) -> Iterator[Outgoing]:
    """Those of the account's instances, or of one: all that run, and the move that counts.

    What was migrated into an instance later is there again: that instance has not moved away.
    CloudError InvalidDBInstanceId.NotFound.
    """
    instances = everything(DBInstance, account).with_only_columns(DBInstance.id)
    if instance_id is not None:
        instances = instances.where(
            DBInstance.id == lifecycle.find(session, account, instance_id).id
        )
    ids = set(session.scalars(instances))
    about = or_(Migration.source_id.in_(ids), Migration.instance_id.in_(ids))
    settled: set[str] = set()
    for row in session.scalars(
        select(Migration).where(about).order_by(Migration.created_at.desc(), Migration.id.desc())
    ):
        moved_at = Progress.of(tasks, row).switched_at
        source = row.source_id if row.source_id in ids else None
        if source and moved_at and source not in settled:
            yield Outgoing(source, row.account, moved_at)
        elif source and row.is_active and not moved_at:
            yield Outgoing(source, row.account, None)
        if moved_at:
            settled |= {id for id in (source, row.instance_id) if id}
