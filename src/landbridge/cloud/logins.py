"""Who is signed in at the console, and until when.

A login is known by a random token that only the browser keeps; here is its digest. It ends
with the access key or the password that it was opened with.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..postgres.conninfo import Secret
from ..store import Base, utcnow
from .accounts import Account
from .keys import AccessKey
from .users import ConsoleUser

#: How long a login lasts, used or not.
LASTS = timedelta(hours=12)
#: How many of one key or user are open; another one ends the oldest.
MOST = 20
_TOKEN_BYTES = 32


class Login(Base):
    """One browser that is signed in."""

    __tablename__ = "console_login"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), index=True)
    access_key_id: Mapped[str | None] = mapped_column(ForeignKey("access_key.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("console_user.id", ondelete="CASCADE"))
    opened_at: Mapped[datetime] = mapped_column(index=True)
    account: Mapped[Account] = relationship()
    key: Mapped[AccessKey | None] = relationship()
    user: Mapped[ConsoleUser | None] = relationship()

    @property
    def expires_at(self) -> datetime:
        """When it ends by itself."""
        return self.opened_at + LASTS

    @property
    def name(self) -> str:
        """Who signed in: the user's name, or the id of the access key."""
        return self.user.name if self.user else self.access_key_id or ""

    @property
    def has_ended(self) -> bool:
        """Whether time, or what became of its key or password, has ended it."""
        if self.user and (self.user.is_disabled or self.user.changed_at > self.opened_at):
            return True
        return self.expires_at < utcnow() or (self.key is not None and not self.key.is_active)


def open_(
    session: Session, account: Account, *, key_id: str | None = None, user_id: int | None = None
) -> Secret:
    """A new login of an account; the token that stands for it. Ends the oldest beyond MOST."""
    mine = select(Login).where(
        Login.account_uid == account.uid, Login.access_key_id == key_id, Login.user_id == user_id
    )
    for old in session.scalars(mine.order_by(Login.opened_at.desc()).offset(MOST - 1)):
        session.delete(old)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        Login(
            digest=_digest(token),
            account_uid=account.uid,
            access_key_id=key_id,
            user_id=user_id,
            opened_at=utcnow(),
        )
    )
    return Secret(token)


def find(session: Session, token: str) -> Login | None:
    """The login that a token stands for, if it has not ended."""
    found = session.get(Login, _digest(token))
    return None if found is None or found.has_ended else found


def close(session: Session, token: str) -> None:
    """End a login; nothing happens if there is none."""
    session.execute(delete(Login).where(Login.digest == _digest(token)))


def close_all_of(session: Session, user: ConsoleUser) -> None:
    """End the logins of a user."""
    session.execute(delete(Login).where(Login.user_id == user.id))


def form_token(token: str) -> str:
    """What the forms of a login carry, so that no other site can send them."""
    return hashlib.sha256(b"landbridge form " + token.encode()).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
