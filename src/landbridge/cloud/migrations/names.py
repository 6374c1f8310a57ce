"""Ids and names of tasks, as the vendor's look."""

from __future__ import annotations

import secrets
import string
import uuid

from sqlalchemy.orm import Session

from .. import names
from .tables import Assessment, Migration

#: What a caller may call a task.
_NAME = names.Rule(1, 128)


def new_id(session: Session) -> str:
    """A task's id: nine digits that no task of either kind has."""
    while True:
        id = str(10**8 + secrets.randbelow(9 * 10**8))
        if session.get(Assessment, id) is None and session.get(Migration, id) is None:
            return id


def assessment_name(given: str | None) -> str:
    """The name that was given, or eleven characters. CloudError InvalidParameter."""
    if name := _checked(given):
        return name
    alphabet = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(11))


def migration_name(given: str | None) -> str:
    """The name that was given, or a UUID. CloudError InvalidParameter."""
    return _checked(given) or str(uuid.uuid4())


def _checked(given: str | None) -> str:
    """Without spaces around it, which nobody sees and who confirms by the name does not type."""
    return _NAME.check((given or "").strip(), "InvalidParameter", "TaskName")
