"""Lists of assessments and migrations of one destination."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from ..accounts import Account
from ..instances import lifecycle
from ..ownership import everything
from .tables import Migration, Task

_Kind = TypeVar("_Kind", bound=Task)


def wanted(
    session: Session,
    account: Account,
    kind: type[_Kind],
    instance_id: str,
    *,
    id: int | None = None,
    name: str | None = None,
    address: str | None = None,
    port: int | None = None,
) -> Select[_Kind]:
    """A query for the tasks of the account's instance, newest first; None leaves one open.

    Closed migrations are found by their id only. CloudError InvalidDBInstanceId.NotFound.
    """
    instance = lifecycle.find(session, account, instance_id)
    query = everything(kind, account).where(kind.instance_id == instance.id)
    given = {"name": name, "address": address, "port": port, "id": id and str(id)}
    for column, value in given.items():
        if value is not None:
            query = query.where(getattr(kind, column) == value)
    if kind is Migration and id is None:
        query = query.where(Migration.is_closed.is_(False))
    return query.order_by(kind.created_at.desc(), kind.id.desc())
