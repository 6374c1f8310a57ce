"""Every lookup by id: an account finds what is its own, and cannot tell the rest from nothing."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from sqlalchemy import ForeignKey, Select, String, bindparam, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .accounts import Account
from .errors import CloudError


class Owned:
    """Mixed into a table of things that have an id and belong to one account."""

    #: The vendor's code when there is no such thing.
    not_found: ClassVar[str]

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), index=True)


_Thing = TypeVar("_Thing", bound=Owned)


def owned(session: Session, kind: type[_Thing], account: Account, id: str) -> _Thing:
    """The account's thing of that id; CloudError with the kind's NotFound code otherwise.

    Another account's thing is answered exactly like one that does not exist.
    """
    found: _Thing | None = session.scalar(_one_of(cast(Any, kind)), {"uid": account.uid, "id": id})
    if found is None:
        raise CloudError(kind.not_found)
    return found


@cache
def _one_of(kind: type[Any]) -> Select[Any]:
    """Built once, as nearly every call looks up something."""
    return of_owner(kind).where(kind.id == bindparam("id"))


@cache
def oldest_first(kind: type[Any]) -> Select[Any]:
    """All things of a kind that the account `uid`, a parameter, has. Built once."""
    return of_owner(kind).order_by(kind.created_at, kind.id)


def newest_first(query: Select[Any]) -> Select[Any]:
    """A query for things of one kind, in the order in which they are shown to people."""
    kind = query.column_descriptions[0]["entity"]
    return query.order_by(kind.created_at.desc(), kind.id.desc())


def of_owner(kind: type[Any]) -> Select[Any]:
    """`everything` for a statement that is built once: the account is the parameter `uid`."""
    return select(kind).where(kind.owner_uid == bindparam("uid"))


def everything(kind: type[_Thing], account: Account) -> Select[_Thing]:
    """A query for all of the account's things of a kind, to be narrowed and ordered."""
    return select(kind).where(kind.owner_uid == account.uid)


def count(session: Session, query: Select[_Thing]) -> int:
    """How many things a query finds."""
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
