"""People of an account who sign in at the console with a password instead of an access key.

All users of an account may do the same: whatever the account may.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Select, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..postgres.conninfo import Secret
from ..store import Base, RowNumber, utcnow
from . import accounts, audit, keys, quotas
from .accounts import Account
from .errors import CloudError
from .throttle import Throttle

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}")
_LENGTH = range(12, 257)
#: scrypt's N = 2**15, r, p: 32 MiB and some 0.2 s.
_COST = (15, 8, 3)
_SALT_BYTES, _HASH_BYTES = 16, 32
#: Hashes made at once for those who want in: what a crowd may take of the memory.
_AT_THE_DOOR = threading.BoundedSemaphore(4)
_FAILURES = Throttle()


class ConsoleUser(Base):
    """One of them."""

    __tablename__ = "console_user"
    __table_args__ = (UniqueConstraint("account_uid", "name"),)

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    account_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"))
    name: Mapped[str] = mapped_column(String(64))
    log_n: Mapped[int]
    """Of scrypt, like `r` and `p`."""
    r: Mapped[int]
    p: Mapped[int]
    salt: Mapped[bytes]
    digest: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(default=utcnow)
    """When the password was set: a login that is older has ended."""
    is_disabled: Mapped[bool] = mapped_column(default=False)
    account: Mapped[Account] = relationship()

    def set_password(self, password: Secret) -> None:
        """Another password from now on. CloudError: InvalidPassword.Malformed."""
        text = _checked(password, self.name)
        self.log_n, self.r, self.p = _COST
        self.salt = os.urandom(_SALT_BYTES)
        self.digest = _digest(text, self.salt, _COST)
        self.changed_at = utcnow()


def create(session: Session, account: Account, name: str, password: Secret) -> ConsoleUser:
    """A new user.

    CloudError: InvalidUserName.Malformed, InvalidPassword.Malformed,
    EntityAlreadyExists.User, LimitExceeded.User.
    """
    if not _NAME.fullmatch(name):
        raise CloudError("InvalidUserName.Malformed")
    if session.scalar(_of(account).where(ConsoleUser.name == name)) is not None:
        raise CloudError("EntityAlreadyExists.User", f"there is a user {name!r} already")
    counted = select(func.count()).where(ConsoleUser.account_uid == account.uid)
    quotas.USERS.require_room(session.scalar(counted) or 0)
    user = ConsoleUser(account_uid=account.uid, name=name)
    user.set_password(password)
    session.add(user)
    session.flush()
    return user


def find(session: Session, account: Account, name: str) -> ConsoleUser:
    """The account's user of that name; CloudError EntityNotExist.User."""
    if (user := session.scalar(_of(account).where(ConsoleUser.name == name))) is None:
        raise CloudError("EntityNotExist.User", f"there is no user {name!r}")
    return user


def every(session: Session, account: Account) -> Sequence[ConsoleUser]:
    """All users of an account, by name."""
    return session.scalars(_of(account).order_by(ConsoleUser.name)).all()


def verify(
    session: Session,
    account: str,
    name: str,
    password: Secret,
    *,
    source: str,
    failures: Throttle = _FAILURES,
) -> ConsoleUser:
    """The user of that name, of the account of that name or UID, whose password this is.

    Takes as long for one who does not exist. `source` is the address that asks. CloudError:
    SignInFailed (whatever was wrong), Throttling.User.

    Not for a writer: it takes a moment.
    """
    user = _known(session, account, name)
    who = str(user.id) if user else f"{account[:64]}/{name[:64]}"
    failures.begin(who, source, lambda: _places(session, user))
    cost = (user.log_n, user.r, user.p) if user else _COST
    salt = user.salt if user else bytes(_SALT_BYTES)
    with _AT_THE_DOOR:
        found = _digest(_text(password), salt, cost)
    is_right = hmac.compare_digest(found, user.digest if user else bytes(_HASH_BYTES))
    if user is None or not is_right or user.is_disabled:
        raise CloudError("SignInFailed")
    failures.succeeded(who, source)
    return user


def require_way_in(session: Session, account: Account) -> None:
    """CloudError (OperationDenied.LastWayIn) if neither a key nor a user could sign in."""
    if keys.active(session, account) or any(not u.is_disabled for u in every(session, account)):
        return
    raise CloudError("OperationDenied.LastWayIn")


def new_password() -> Secret:
    """One that nobody guesses: 24 letters and digits."""
    return Secret(secrets.token_urlsafe(18).replace("-", "x").replace("_", "y"))


def _of(account: Account) -> Select[ConsoleUser]:
    return select(ConsoleUser).where(ConsoleUser.account_uid == account.uid)


def _known(session: Session, account: str, name: str) -> ConsoleUser | None:
    try:
        return find(session, accounts.find(session, account), name)
    except CloudError:
        return None


def _places(session: Session, user: ConsoleUser | None) -> Collection[str]:
    return audit.signed_in_from(session, user.account_uid, user=user.name) if user else ()


def _checked(password: Secret, name: str) -> str:
    text = _text(password)
    broken = ""
    if len(text) not in _LENGTH:
        broken = f"must have {_LENGTH.start} to {_LENGTH.stop - 1} characters"
    elif not text.isprintable():
        broken = "holds characters that cannot be printed"
    elif len(set(text)) < 5 or (len(name) > 3 and name.lower() in text.lower()):
        broken = "is too easily guessed"
    if broken:
        raise CloudError("InvalidPassword.Malformed", f"the password {broken}")
    return text


def _text(password: Secret) -> str:
    """The same text, however a keyboard composes its letters."""
    return unicodedata.normalize("NFC", password.reveal())


def _digest(text: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    log_n, r, p = cost
    return hashlib.scrypt(
        text.encode(errors="surrogatepass"), salt=salt, n=2**log_n, r=r, p=p,
        maxmem=2 * 128 * r * 2**log_n, dklen=_HASH_BYTES,
    )  # fmt: skip
