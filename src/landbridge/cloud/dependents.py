"""What still stands on a row, found by the tables' own foreign keys: no kind is forgotten."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from ..store import Base
from .errors import CloudError
from .ownership import Owned

#: Table -> how what stands in it uses a thing, and what to do about that.
_WORDS = {
    "vswitch": ("has vSwitch {user}", "Delete {user} first."),
    "db_instance": ("has instance {user}", "Delete {user} first."),
    "vpc_grant": ("is granted to {user}", "Revoke the grant to {user} first."),
    "vpc_attachment": ("has attachment {user}", "Delete attachment {user} first."),
    "vpc_attachment_zone": ("is used by attachment {user}", "Delete attachment {user} first."),
    "transit_router": ("has transit router {user}", "Delete {user} first."),
    "bandwidth_plan": ("has bandwidth plan {user}", "Take {user} from it first."),
    "inter_region_connection": (
        "has inter-region connection {user}",
        "Delete connection {user} first.",
    ),
}
_OTHERWISE = ("is in use by {user}", "Delete {user} first.")


def refuse_if_used(
    session: Session, thing: Owned, *, but: Collection[str] = (), code: str = "DependencyViolation"
) -> None:
    """CloudError with `code` while a row refers to `thing`; rows of the tables `but` may."""
    own = cast(Table, thing.__table__)  # type: ignore[attr-defined]
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column is not own.c.id or table.name in but:
                continue
            found = session.execute(
                select(*table.primary_key).where(key.parent == thing.id).limit(1)
            ).first()
            if found is not None:
                user = next(id for id in found if id != thing.id)
                said, remedy = _WORDS.get(table.name, _OTHERWISE)
                raise CloudError(
                    code, f"{thing.id} {said.format(user=user)}", remedy=remedy.format(user=user)
                )
