"""What the procedure forbids while a migration runs, refused where the instance is ours.

A source that is not ours is only watched: see `migration.follow.disturbance`.
"""

from __future__ import annotations

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, object_session

from ..errors import CloudError
from ..ownership import Owned
from .tables import Migration


def active(session: Session, destination: str) -> Migration | None:
    """The migration that an instance belongs to as its destination."""
    return session.scalar(
        select(Migration).where(Migration.instance_id == destination, Migration.is_active)
    )


def is_source(session: Session, instance: Owned) -> bool:
    """Whether data are migrated out of an instance."""
    query = select(Migration).where(Migration.source_id == instance.id, Migration.is_active)
    return session.scalar(query) is not None


def refuse_while_source(instance: Owned, what: str) -> None:
    """CloudError IncorrectDBInstanceState while data are migrated out of an instance."""
    session = object_session(instance)
    assert session is not None
    if is_source(session, instance):
        raise CloudError(
            "IncorrectDBInstanceState",
            f"data are migrated from {instance.id}: it cannot be {what} until that is over",
        )


def refuse_second(
    session: Session, destination: Owned, source_id: str | None, address: str, port: int
) -> None:
    """CloudError OperationDenied.SourceInMigration where either side is in use already.

    A source that is not ours counts as the same if it has the same address and port in the same
    account: another account's private address is another host.
    """
    same = Migration.source_id == source_id
    if source_id is None:
        same = and_(
            Migration.owner_uid == destination.owner_uid,
            Migration.address == address,
            Migration.port == port,
        )
    found = session.scalar(select(Migration).where(Migration.is_active, same))
    if found is not None:
        raise CloudError(
            "OperationDenied.SourceInMigration",
            "data are migrated from this source already; a source has one migration at a time",
        )
    chained = or_(Migration.source_id == destination.id, Migration.instance_id == source_id)
    if session.scalar(select(Migration).where(Migration.is_active, chained)) is not None:
        raise CloudError(
            "OperationDenied.SourceInMigration",
            "source or destination takes part in another migration the other way round",
        )
