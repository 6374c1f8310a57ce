"""Passwords in our environment, taken out of it before a command does anything.

libpq prefers PGPASSWORD to every passfile: left there, the source's password would be
offered for the fence account too. And no child shall inherit a password.
"""

from __future__ import annotations

import os

#: Role of a connection (as in Task.conninfo) -> variable that holds its password.
VARIABLES = {
    "source": "PGPASSWORD",
    "fence_as": "LANDBRIDGE_FENCE_PASSWORD",
    "verify_as": "LANDBRIDGE_VERIFY_PASSWORD",
}
_taken: dict[str, str] = {}


def take_passwords() -> None:
    """Take the variables out of the environment; what an earlier call took is forgotten."""
    _taken.clear()
    for role, name in VARIABLES.items():
        if (value := os.environ.pop(name, None)) is not None:
            _taken[role] = value


def taken_password(role: str) -> str | None:
    """The password that a role's variable held when this command began."""
    return _taken.get(role)
