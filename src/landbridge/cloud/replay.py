"""Nonces: a signed call counts once. Kept in the database, so also after a restart."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import String, delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..store import Base, utcnow
from .errors import CloudError

#: How far the time in a call may lie from ours, either way.
WINDOW = timedelta(minutes=15)
#: On average.
_CALLS_BETWEEN_PURGES = 200


class UsedNonce(Base):
    """A nonce that a call was signed with."""

    __tablename__ = "used_nonce"

    access_key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(128), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(index=True)


def use(session: Session, access_key_id: str, nonce: str) -> None:
    """Remember a nonce of a call whose time was found to be within WINDOW.

    CloudError: SignatureNonceUsed, InvalidParameter (not 1 to 128 characters of ASCII).
    """
    if not (0 < len(nonce) <= 128 and nonce.isascii() and nonce.isprintable()):
        raise CloudError("InvalidParameter", "a signature nonce has 1 to 128 ASCII characters")
    now = utcnow()
    row = {"access_key_id": access_key_id, "nonce": nonce, "used_at": now}
    try:
        session.execute(insert(UsedNonce).values(row))
    except IntegrityError:
        raise CloudError("SignatureNonceUsed") from None
    if secrets.randbelow(_CALLS_BETWEEN_PURGES) == 0:
        purge(session)


def purge(session: Session) -> None:
    """Forget what is older than twice the window: its call would be refused by its time."""
    session.execute(delete(UsedNonce).where(UsedNonce.used_at < utcnow() - 2 * WINDOW))
