"""Lists of assessments and migrations, of one destination or of all."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session, defer

from ..accounts import Account
from ..instances import lifecycle
from ..ownership import newest_first
from ..paging import Listing, listing
from .tables import Assessment, Migration, Task

_Kind = TypeVar("_Kind", bound=Task)


def wanted(
    session: Session,
    account: Account,
    kind: type[_Kind],
    instance_id: str | None = None,
    *,
    id: int | None = None,
    name: str | None = None,
    address: str | None = None,
    port: int | None = None,
    closed: bool = False,
) -> Listing[_Kind]:
    """The tasks of the account's instance, newest first; None leaves one open.

    Closed migrations are found by their id, or with `closed`. CloudError
    InvalidDBInstanceId.NotFound.
    """
    if instance_id is not None:
        instance_id = lifecycle.find(session, account, instance_id).id
    hides = kind is Migration and id is None and not closed
    is_listed = {"is_closed": False} if hides else {}
    return listing(
        kind, account, newest_first, instance_id=instance_id, name=name, address=address,
        port=port, id=None if id is None else str(id), **is_listed,
    )  # fmt: skip


def in_short(
    session: Session, account: Account, instance_id: str | None = None
) -> Listing[Assessment]:
    """The assessments into the account's instance, or all, without what was found and done.

    CloudError InvalidDBInstanceId.NotFound.
    """
    if instance_id is not None:
        instance_id = lifecycle.find(session, account, instance_id).id
    return listing(Assessment, account, _newest_in_short, instance_id=instance_id)


def _newest_in_short(query: Select[Any]) -> Select[Any]:
    left_out = (Assessment.report, Assessment.fixes, Assessment.rechecked)
    return newest_first(query).options(*(defer(each, raiseload=True) for each in left_out))
