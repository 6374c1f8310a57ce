"""What still stands on a row, found by the tables' own foreign keys: no kind is forgotten."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from ..store import Base
from .errors import CloudError
from .ownership import Owned


def refuse_if_used(
    session: Session, thing: Owned, *, but: Collection[str] = (), code: str = "DependencyViolation"
) -> None:
    """CloudError with `code` while a row refers to `thing`; rows of the tables `but` may."""
    own = cast(Table, thing.__table__)  # type: ignore[attr-defined]
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column is not own.c.id or table.name in but:
                continue
            user = session.execute(
                select(*table.primary_key).where(key.parent == thing.id).limit(1)
            ).first()
            if user is not None:
                raise CloudError(code, f"{thing.id} is in use by {user[0]} ({table.name})")
