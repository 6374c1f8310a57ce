"""The tables of assessments and migrations: what was asked for, and what came of it.

An instance that is deleted leaves its tasks behind, so none of them refers to its row.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ...store import Base, utcnow
from ..ownership import Owned


class Verdict(Enum):
    """What became of an assessment; the console's Status."""

    RUNNING = "Running"
    """It waits for its turn, or looks at the source."""
    SUCCESSFUL = "Successful"
    """Nothing stands in the way of a migration."""
    FAILED = "Failed"
    """Something does: the report says what."""


class Order(Enum):
    """What somebody asked of a migration and what is not carried out yet."""

    NONE = "none"
    SWITCH = "switch"
    """To switch over; the source refuses writes, which is verified."""
    FORCED_SWITCH = "forced_switch"
    """To switch over although the source would accept writes: nobody writes any more."""
    CANCEL = "cancel"


class Task(Owned):
    """Mixed into both tables: whither, whence and as whom; `id` has nine digits."""

    not_found = "InvalidTaskId.NotFound"

    instance_id: Mapped[str] = mapped_column(String(64), index=True)
    """The destination."""
    name: Mapped[str] = mapped_column(String(128))
    category: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(255))
    """Address or name of the source, as it was given."""
    port: Mapped[int]
    account: Mapped[str] = mapped_column(String(63))
    """The source's database account."""
    source_id: Mapped[str | None] = mapped_column(String(64), index=True)
    """The source, if it is an instance of this control plane; the destination's owner is
    never told."""
    password_id: Mapped[int | None] = mapped_column(ForeignKey("sealed_secret.id"))
    """Of the account, until the work has it."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    modified_at: Mapped[datetime] = mapped_column(default=utcnow)

    def touch(self) -> None:
        """Something about it is new."""
        self.modified_at = utcnow()


class Assessment(Task, Base):
    """One feasibility assessment."""

    __tablename__ = "assessment"

    verdict: Mapped[Verdict] = mapped_column(default=Verdict.RUNNING)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """`Report.as_dict`; None until it is over."""
    gist: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What lists tell of it: `renewal.gist`."""
    fix_account: Mapped[str | None] = mapped_column(String(63))
    """As whom the fixes shall be applied to the source, until that was tried."""
    fix_ids: Mapped[list[str] | None] = mapped_column(JSON)
    """Findings whose fixes these are; None: of all."""
    fixes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    """`Applied.as_dict` with the moment `at`, oldest first; one with `error` where none could be
    tried."""
    recheck: Mapped[str | None] = mapped_column(String(64))
    """The finding that shall be looked at again, until that was done."""
    rechecked: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What came of the last of these: `renewal.answer`."""


class Migration(Task, Base):
    """One cloud migration task."""

    __tablename__ = "migration"

    assessment_id: Mapped[str] = mapped_column(ForeignKey("assessment.id"), index=True)
    is_active: Mapped[bool] = mapped_column(default=True, index=True)
    """Whether the destination belongs to it."""
    task: Mapped[str | None] = mapped_column(String(20))
    """Its own record's id, once it was begun."""
    order: Mapped[Order] = mapped_column(default=Order.NONE)
    trouble: Mapped[str] = mapped_column(default="")
    """Why nothing could be done for it the last time."""
    is_closed: Mapped[bool] = mapped_column(default=False)
    """Over, and put away by its owner: no longer listed unless asked for."""
