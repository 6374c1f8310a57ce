"""Transit routers: the router of a CEN in one region. There is one per CEN and region."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..network import things
from ..store import Base
from . import ids, names, regions
from .accounts import Account
from .cens import Cen
from .dependents import refuse_if_used
from .errors import CloudError
from .made import Made
from .ownership import Owned, everything, owned


class TransitRouter(Owned, Made, Base):
    """A transit router; its owner is the CEN's. Zones are chosen by the first attachment."""

    __tablename__ = "transit_router"
    __table_args__ = (UniqueConstraint("cen_id", "region_id"),)
    not_found = "InvalidTransitRouterId.NotFound"

    cen_id: Mapped[str] = mapped_column(ForeignKey("cen.id"))
    region_id: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(128), default="")
    description: Mapped[str] = mapped_column(String(256), default="")
    primary_zone: Mapped[str] = mapped_column(String(40), default="")
    secondary_zone: Mapped[str] = mapped_column(String(40), default="")

    @property
    def route_table_id(self) -> str:
        """Id of its route table, the only one it has."""
        return f"vtb-{self.id.removeprefix('tr-')}"

    def as_thing(self) -> things.TransitRouter:
        """The router as the network's model knows it."""
        return things.TransitRouter(self.id, self.cen_id, self.region_id)


def create(
    session: Session, cen: Cen, region: str, name: str = "", description: str = ""
) -> TransitRouter:
    """A transit router before its first attachment.

    CloudError: InvalidRegionId.NotFound, EntityAlreadyExists.TransitRouter, InvalidName,
    InvalidDescription.
    """
    if (there := find(session, cen.id, region)) is not None:
        raise CloudError(
            "EntityAlreadyExists.TransitRouter",
            f"{cen.id} has transit router {there.id} in {region} already",
            remedy="A CEN has one in each region: use that one.",
        )
    router = TransitRouter(
        id=ids.new("tr"),
        owner_uid=cen.owner_uid,
        cen_id=cen.id,
        region_id=regions.region(region).id,
        name=names.NETWORK_NAME.check(name, "InvalidName"),
        description=names.NETWORK_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        ),
    )
    session.add(router)
    session.flush()
    return router


def find(session: Session, cen_id: str, region: str) -> TransitRouter | None:
    """The CEN's transit router in that region."""
    query = select(TransitRouter).where(TransitRouter.cen_id == cen_id)
    return session.scalar(query.where(TransitRouter.region_id == region))


def ensure(session: Session, cen: Cen, region: str) -> TransitRouter:
    """The CEN's transit router in that region, made if there is none.

    CloudError: IncorrectStatus.TransitRouter while it is being removed.
    """
    router = find(session, cen.id, region) or create(session, cen, region)
    if not router.is_wanted:
        raise CloudError(
            "IncorrectStatus.TransitRouter",
            f"{router.id} is being removed",
            remedy="Try again when it is gone: another one is made then.",
        )
    return router


def usable(session: Session, account: Account, id: str) -> TransitRouter:
    """The account's transit router, if something may be built on it now."""
    router = owned(session, TransitRouter, account, id)
    router.require_standing("IncorrectStatus.TransitRouter", router.id)
    return router


def every(session: Session, account: Account) -> Sequence[TransitRouter]:
    """The account's transit routers, oldest first."""
    query = everything(TransitRouter, account)
    return session.scalars(query.order_by(TransitRouter.created_at, TransitRouter.id)).all()


def modify(
    session: Session,
    account: Account,
    id: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> None:
    """Rename or describe anew; None leaves as it is. CloudError: InvalidName,
    InvalidDescription.
    """
    router = owned(session, TransitRouter, account, id)
    if name is not None:
        router.name = names.NETWORK_NAME.check(name, "InvalidName")
    if description is not None:
        router.description = names.NETWORK_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        )


def delete(session: Session, account: Account, id: str) -> None:
    """Take a transit router down; CloudError (DependencyViolation) while it is in use."""
    router = owned(session, TransitRouter, account, id)
    refuse_if_used(session, router)
    router.unwant()
