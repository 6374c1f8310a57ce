"""Accounts: the tenants of a control plane. Only its operator makes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..store import Base, utcnow
from . import ids
from .errors import CloudError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Account(Base):
    """A tenant, known to others by its 16-digit UID."""

    __tablename__ = "account"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


def create(session: Session, name: str) -> Account:
    """A new account. CloudError: InvalidParameter, EntityAlreadyExists.Account."""
    if not _NAME.fullmatch(name):
        raise CloudError(
            "InvalidParameter",
            f"{name!r} is no name of an account",
            remedy="Begin with a letter; then letters, digits, '_', '.' and '-', at most 64.",
        )
    if session.scalar(select(Account).where(Account.name == name)) is not None:
        raise CloudError("EntityAlreadyExists.Account", f"there is an account {name!r} already")
    account = Account(uid=ids.new_uid(), name=name)
    session.add(account)
    session.flush()
    return account


def find(session: Session, uid_or_name: str) -> Account:
    """The account of that UID or name; CloudError (EntityNotExist.Account) otherwise."""
    wanted = Account.name == uid_or_name
    if uid_or_name.isascii() and uid_or_name.isdecimal() and len(uid_or_name) <= 18:
        wanted = Account.uid == int(uid_or_name)
    if (account := session.scalar(select(Account).where(wanted))) is None:
        raise CloudError(
            "EntityNotExist.Account",
            f"there is no account {uid_or_name!r}",
            remedy="See: landbridge account list",
        )
    return account


def every(session: Session) -> Sequence[Account]:
    """All accounts, oldest first. For the operator alone."""
    return session.scalars(select(Account).order_by(Account.created_at, Account.uid)).all()
