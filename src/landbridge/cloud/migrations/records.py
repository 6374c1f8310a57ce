"""Records of migrations that their owners have deleted: removed after a while."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from ...errors import LandbridgeError
from ...migration.forget import forget
from ..control import Cloud
from .mover import tasks_of
from .tables import Migration

#: How long a deleted migration's record stays, at least: whoever begins one makes its record first.
RECORD = timedelta(days=1)
#: How long its evidence stays, for the operator; and of how many.
EVIDENCE, MOST_EVIDENCE = timedelta(days=90), 1000


def sweep(cloud: Cloud) -> None:
    """Remove what is older. LandbridgeError (state.unreadable)."""
    tasks = tasks_of(cloud)
    with cloud.database.read() as session:
        known = set(session.scalars(select(Migration.task)))
    for task in tasks.all():
        with suppress(OSError, LandbridgeError):  # somebody still needs it
            age = time.time() - task.journal.path.stat().st_mtime
            if task.id not in known and age > RECORD.total_seconds():
                forget(task)
    _sweep_evidence(cloud)


def _sweep_evidence(cloud: Cloud) -> None:
    found = []
    for file in (cloud.folder / "evidence").glob("m-*"):
        with suppress(OSError):
            found.append((file.stat().st_mtime, file))
    found.sort(reverse=True)
    limit = time.time() - EVIDENCE.total_seconds()
    for number, (at, file) in enumerate(found):
        if at < limit or number >= MOST_EVIDENCE:
            file.unlink(missing_ok=True)
