"""Ids as the vendor's look: a prefix that says the kind, and random lower-case characters."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_lowercase + string.digits


def new(prefix: str, length: int = 18) -> str:
    """A new id, like `cen-` and 18 characters; never begins with a digit after the dash."""
    first = secrets.choice(string.ascii_lowercase)
    return f"{prefix}-{first}{_random(length - 1)}"


def new_uid() -> int:
    """A new account's UID: 16 digits, the first of them 1 as in the vendor's."""
    return 10**15 + secrets.randbelow(10**15)


def new_order() -> str:
    """The number of a new order: 15 digits."""
    return str(2 * 10**14 + secrets.randbelow(10**14))


def new_access_key() -> tuple[str, str]:
    """Id (`LBAK` and 20 characters) and secret (30) of a new access key."""
    letters = string.ascii_letters + string.digits
    return "LBAK" + _random(20, letters), _random(30, letters)


def _random(length: int, alphabet: str = _ALPHABET) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
