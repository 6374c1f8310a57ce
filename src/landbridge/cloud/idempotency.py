"""ClientToken: a call that is repeated is answered again, not done again.

`recall` and `remember` belong into the transaction that does the work: whoever sees the
answer sees the work, and two calls with one token take turns as all writers do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..store import Base, utcnow
from .accounts import Account
from .errors import CloudError

#: How long a token is remembered (the vendor's pages name no time); how many: `retention`.
KEPT = timedelta(hours=24)


class ClientToken(Base):
    """A call that was answered, under the token its caller chose."""

    __tablename__ = "client_token"

    account_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), primary_key=True)
    action: Mapped[str] = mapped_column(String(80), primary_key=True)
    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    answered_at: Mapped[datetime] = mapped_column(index=True)


def recall(
    session: Session, account: Account, action: str, token: str, arguments: Mapping[str, str]
) -> dict[str, Any] | None:
    """The answer to an earlier call with this token, or None.

    `arguments` are those of the call, without passwords. CloudError:
    IdempotentParameterMismatch (they differ), InvalidParameter (no token of 1-64 ASCII).
    """
    if not (0 < len(token) <= 64 and token.isascii() and token.isprintable()):
        raise CloudError("InvalidParameter", "a ClientToken has 1 to 64 ASCII characters")
    kept = session.get(ClientToken, (account.uid, action, token))
    if kept is None or kept.answered_at < utcnow() - KEPT:
        return None
    if kept.digest != _digest(arguments):
        raise CloudError("IdempotentParameterMismatch")
    return kept.answer


def remember(
    session: Session,
    account: Account,
    action: str,
    token: str,
    arguments: Mapping[str, str],
    answer: dict[str, Any],
) -> None:
    """Keep the answer for a repetition, in the place of one that is older than KEPT."""
    session.merge(
        ClientToken(
            account_uid=account.uid,
            action=action,
            token=token,
            digest=_digest(arguments),
            answer=answer,
            answered_at=utcnow(),
        )
    )
    session.flush()


def _digest(arguments: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(arguments.items())).encode()).hexdigest()
