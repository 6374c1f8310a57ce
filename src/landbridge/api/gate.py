"""Who may pass: the clock, the key and the signature of a call."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from ..cloud import CloudError, Session, Vault, keys, replay
from ..cloud.accounts import Account
from .signature import Claim

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def authenticate(session: Session, vault: Vault, claim: Claim, *, show_signed: bool) -> Account:
    """The account that signed a call; its nonce is still to be looked at.

    With `show_signed` a wrong signature is answered with the string that was to be signed;
    the older generation has all parameters in it, so not where one of them is a password.
    CloudError: IllegalTimestamp, InvalidTimeStamp.Expired, InvalidAccessKeyId.NotFound,
    InvalidAccessKeyId.Inactive, SignatureDoesNotMatch,
    InvalidSecurityToken.MismatchWithAccessKey.
    """
    if abs(datetime.now(UTC) - moment(claim)) > replay.WINDOW:
        raise CloudError("InvalidTimeStamp.Expired")
    if not (claim.access_key_id.isascii() and claim.access_key_id.isalnum()):
        raise CloudError("InvalidAccessKeyId.NotFound")  # nothing that a database need be asked
    account, secret = keys.authenticate(session, vault, claim.access_key_id)
    if not claim.verify(secret.reveal()):
        # The vendor's older SDK compares the part after the colon with its own string.
        raise CloudError(
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation."
            + (f" server string to sign is:{claim.signed}" if show_signed else ""),
        )
    if claim.token:  # none was ever given out
        raise CloudError("InvalidSecurityToken.MismatchWithAccessKey")
    return account


def moment(claim: Claim) -> datetime:
    """The time in a call. CloudError IllegalTimestamp."""
    return _moment(claim.time)


@lru_cache(maxsize=1_000)
def _moment(text: str) -> datetime:
    """Remembered: calls come many in a second."""
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise CloudError(
            "IllegalTimestamp", "a time is written like 2026-01-31T12:00:00Z"
        ) from None
