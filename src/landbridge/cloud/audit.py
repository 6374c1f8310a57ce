"""The audit trail: who did what, from where, when, and with what result. Only added to.

Parameters are not kept: some are passwords. How long it is kept: `retention`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..store import Base, RowNumber, utcnow
from .accounts import Account
from .control import os_account
from .paging import Page, numbered

#: `outcome` of a call that was done; otherwise it is the code of the refusal.
SUCCESS = "Success"
#: What a sign-in at the console is called.
SIGN_IN = "console.SignIn"
_LOCAL = "local:"
#: How many of the latest sign-ins tell from where somebody comes.
_SIGN_INS = 1000


class AuditEntry(Base):
    """One call."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "account_uid", "outcome"),)

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    account_uid: Mapped[int | None] = mapped_column(ForeignKey("account.uid"), index=True)
    """None where the caller could not be told."""
    access_key_id: Mapped[str | None] = mapped_column(String(64))
    """None for the operator on this machine."""
    source: Mapped[str] = mapped_column(String(128))
    """An address, or `local:` and the operating system's account."""
    action: Mapped[str] = mapped_column(String(80))
    """Like `rds.CreateDBInstance`."""
    resource: Mapped[str | None] = mapped_column(String(128))
    request_id: Mapped[str | None] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(80), default=SUCCESS)

    @property
    def is_operators(self) -> bool:
        """Whether it was done on the machine of the control plane."""
        return self.source.startswith(_LOCAL)

    def as_dict(self) -> dict[str, Any]:
        """The entry as it appears in JSON."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "account": self.account_uid,
            "access_key": self.access_key_id,
            "source": self.source,
            "action": self.action,
            "resource": self.resource,
            "request_id": self.request_id,
            "outcome": self.outcome,
        }


def record(
    session: Session,
    action: str,
    source: str,
    *,
    account_uid: int | None = None,
    access_key_id: str | None = None,
    resource: str | None = None,
    request_id: str | None = None,
    outcome: str = SUCCESS,
) -> None:
    """Add one entry, with the work it tells of or, for a refusal, in a write of its own."""
    session.add(
        AuditEntry(
            action=action[:80],
            source=source[:128],
            account_uid=account_uid,
            access_key_id=access_key_id and access_key_id[:64],
            resource=resource and resource[:128],
            request_id=request_id,
            outcome=outcome[:80],
        )
    )


def record_local(
    session: Session, action: str, account_uid: int | None, resource: str | None
) -> None:
    """Add what was done on this machine, by the operating system's account."""
    source = f"{_LOCAL}{os_account(os.getuid())}"
    record(session, action, source, account_uid=account_uid, resource=resource)


def by_user(source: str, user: str) -> str:
    """The `source` of what a user of an account does at an address."""
    return f"{source} ({user})"


def signed_in_from(
    session: Session, account_uid: int, *, user: str = "", key: str | None = None
) -> set[str]:
    """The addresses from which a user of an account, or an access key, has signed in lately."""
    found = (
        select(AuditEntry.source)
        .where(
            AuditEntry.account_uid == account_uid,
            AuditEntry.outcome == SUCCESS,
            AuditEntry.action == SIGN_IN,
            AuditEntry.access_key_id == key,
        )
        .order_by(AuditEntry.id.desc())
        .limit(_SIGN_INS)
    )
    if user:
        found = found.where(AuditEntry.source.endswith(by_user("", user), autoescape=True))
    return {source.partition(" ")[0] for source in session.scalars(found)}


def trail(session: Session, account: Account, limit: int = 100) -> Sequence[AuditEntry]:
    """The latest entries about one account, newest first."""
    return session.scalars(_about(account).limit(limit)).all()


def search(
    session: Session,
    account: Account,
    number: int,
    size: int,
    *,
    action: str | None = None,
    outcome: str | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> Page[AuditEntry]:
    """A page of the entries about one account, newest first.

    `action` is a whole label like `rds.CreateDBInstance`; `end` itself is not in it.
    """
    query = _about(account)
    if action is not None:
        query = query.where(AuditEntry.action == action)
    if outcome is not None:
        query = query.where(AuditEntry.outcome == outcome)
    if begin is not None:
        query = query.where(AuditEntry.at >= begin)
    if end is not None:
        query = query.where(AuditEntry.at < end)
    return numbered(session, query, number, size)


def _about(account: Account) -> Select[AuditEntry]:
    wanted = select(AuditEntry).where(AuditEntry.account_uid == account.uid)
    return wanted.order_by(AuditEntry.id.desc())
