"""Access keys: with what an account signs its calls.

Verifying a signature needs the secret in clear, so it is sealed, not hashed. It is shown
once, when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from sqlalchemy import ForeignKey, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..postgres.conninfo import Secret
from ..store import Base, Vault, utcnow
from ..store.secrets import SealedSecret
from . import ids, quotas
from .accounts import Account
from .errors import CloudError
from .ownership import Owned, count, everything


class KeyStatus(Enum):
    """Whether calls signed with a key are accepted."""

    ACTIVE = "Active"
    INACTIVE = "Inactive"
    """Disabled; this is final."""


class AccessKey(Owned, Base):
    """One key; `id` travels in clear with every call."""

    __tablename__ = "access_key"
    not_found = "InvalidAccessKeyId.NotFound"

    secret_id: Mapped[int] = mapped_column(ForeignKey("sealed_secret.id"))
    status: Mapped[KeyStatus] = mapped_column(default=KeyStatus.ACTIVE)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    disabled_at: Mapped[datetime | None]
    owner: Mapped[Account] = relationship()

    @property
    def is_active(self) -> bool:
        """Whether calls signed with it are accepted."""
        return self.status is KeyStatus.ACTIVE


def create(session: Session, vault: Vault, account: Account) -> tuple[AccessKey, Secret]:
    """A new key and its secret, which nothing will show again.

    CloudError: LimitExceeded.User.AccessKey.
    """
    quotas.ACCESS_KEYS.require_room(len(active(session, account)))
    quotas.KEYS.require_room(count(session, everything(AccessKey, account)))
    id, secret = ids.new_access_key()
    key = AccessKey(id=id, owner_uid=account.uid, secret_id=vault.keep(session, secret))
    session.add(key)
    session.flush()
    return key, Secret(secret)


_WITH_OWNER = (
    select(AccessKey.status, Account.uid, Account.name, Account.created_at, SealedSecret.sealed)
    .join(Account, Account.uid == AccessKey.owner_uid)
    .join(SealedSecret, SealedSecret.id == AccessKey.secret_id)
    .where(AccessKey.id == bindparam("id"))
)


def authenticate(session: Session, vault: Vault, access_key_id: str) -> tuple[Account, Secret]:
    """Whose key it is, and the secret its signatures must be made with.

    The account is in no session: every call begins here, and to load it as a row of one takes
    as long as the rest (measured). Raises CloudError: InvalidAccessKeyId.NotFound,
    InvalidAccessKeyId.Inactive.
    """
    found = session.connection().execute(_WITH_OWNER, {"id": access_key_id}).one_or_none()
    if found is None:
        raise CloudError("InvalidAccessKeyId.NotFound")
    if found.status is not KeyStatus.ACTIVE:
        raise CloudError("InvalidAccessKeyId.Inactive")
    account = Account(uid=found.uid, name=found.name, created_at=found.created_at)
    return account, Secret(vault.opened(found.sealed))


def find(session: Session, access_key_id: str) -> AccessKey:
    """The key of that id, whoever owns it; CloudError (InvalidAccessKeyId.NotFound) otherwise.

    For the operator; an account's own lookups go through `owned`.
    """
    if (key := session.get(AccessKey, access_key_id)) is None:
        raise CloudError("InvalidAccessKeyId.NotFound")
    return key


def every(session: Session, account: Account) -> Sequence[AccessKey]:
    """All keys of an account, oldest first."""
    return session.scalars(
        everything(AccessKey, account).order_by(AccessKey.created_at, AccessKey.id)
    ).all()


def active(session: Session, account: Account) -> Sequence[AccessKey]:
    """Those of an account's keys with which calls are accepted."""
    query = everything(AccessKey, account).where(AccessKey.status == KeyStatus.ACTIVE)
    return session.scalars(query).all()


def disable(session: Session, key: AccessKey) -> None:
    """Refuse the key from the next call on, for good; nothing happens if it is disabled."""
    if key.is_active:
        key.status, key.disabled_at = KeyStatus.INACTIVE, utcnow()
