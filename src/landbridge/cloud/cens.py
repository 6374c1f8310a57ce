"""CENs: Cloud Enterprise Network instances, which join the VPCs of one or several accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import String
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..network import things
from ..store import Base
from . import ids, names, quotas
from .accounts import Account
from .dependents import refuse_if_used
from .made import Made
from .ownership import Owned, count, everything, oldest_first, owned

if TYPE_CHECKING:
    from .attachments import Attachment
    from .grants import Grant
    from .routers import TransitRouter

#: The only level there is: blocks of one CEN may not be equal. Ours may not overlap at all.
PROTECTION = "REDUCED"


class Cen(Owned, Made, Base):
    """A CEN of one account. Its name and description may be empty."""

    __tablename__ = "cen"
    not_found = "InvalidCenId.NotFound"

    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    routers: Mapped[list[TransitRouter]] = relationship(passive_deletes="all")
    attachments: Mapped[list[Attachment]] = relationship(passive_deletes="all")
    grants: Mapped[list[Grant]] = relationship(cascade="all, delete-orphan")

    def as_thing(self) -> things.Cen:
        """The CEN as the network's model knows it."""
        return things.Cen(self.id, str(self.owner_uid))


def create(session: Session, account: Account, name: str = "", description: str = "") -> Cen:
    """A new CEN. CloudError: InvalidName, InvalidDescription, QuotaExceeded.Cen."""
    name = names.CEN_NAME.check(name, "InvalidName")
    description = names.CEN_DESCRIPTION.check(description, "InvalidDescription", "the description")
    quotas.CENS.require_room(count(session, everything(Cen, account)))
    cen = Cen(id=ids.new("cen"), owner_uid=account.uid, name=name, description=description)
    session.add(cen)
    session.flush()
    return cen


def every(session: Session, account: Account) -> Sequence[Cen]:
    """The account's CENs, oldest first."""
    return session.scalars(oldest_first(Cen), {"uid": account.uid}).all()


def modify(
    session: Session,
    account: Account,
    id: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Cen:
    """Rename or describe anew; None leaves as it is. CloudError as `create`."""
    cen = owned(session, Cen, account, id)
    if name is not None:
        cen.name = names.CEN_NAME.check(name, "InvalidName")
    if description is not None:
        cen.description = names.CEN_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        )
    return cen


def standing(session: Session, account: Account, id: str) -> Cen:
    """The account's CEN, if something may be built on it now.

    CloudError: InvalidCenId.NotFound, InvalidOperation.CenInstanceStatus.
    """
    cen = owned(session, Cen, account, id)
    cen.require_standing("InvalidOperation.CenInstanceStatus", cen.id)
    return cen


def delete(session: Session, account: Account, id: str) -> None:
    """Take a CEN down with its transit routers and the grants that it was given.

    CloudError: DependencyViolation while it has an attachment, an inter-region connection
    or a bandwidth plan.
    """
    cen = owned(session, Cen, account, id)
    refuse_if_used(session, cen, but=("transit_router", "vpc_grant"))
    cen.unwant()
    for router in cen.routers:
        router.unwant()
