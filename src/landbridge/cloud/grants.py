"""Grants: a VPC's owner lets one CEN of one other account attach the VPC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..network import things
from ..store import Base, utcnow
from . import quotas
from .accounts import Account
from .cens import Cen
from .errors import CloudError
from .ownership import owned
from .remedies import Remedy
from .vpcs import Vpc, find_vpc


class Payer(Enum):
    """Who pays for an attachment across accounts."""

    CEN_OWNER = "PayByCenOwner"
    RESOURCE_OWNER = "PayByResourceOwner"


class Grant(Base):
    """One permission. `owner_uid` is the VPC's owner, who gave it."""

    __tablename__ = "vpc_grant"

    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpc.id"), primary_key=True)
    cen_id: Mapped[str] = mapped_column(ForeignKey("cen.id"), primary_key=True)
    owner_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), index=True)
    cen_owner_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"))
    payer: Mapped[Payer] = mapped_column(default=Payer.CEN_OWNER)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    vpc: Mapped[Vpc] = relationship()

    def as_thing(self) -> things.Grant:
        """The grant as the network's model knows it."""
        return things.Grant(self.vpc_id, self.cen_id)


def give(
    session: Session,
    account: Account,
    vpc_id: str,
    cen_id: str,
    cen_owner_uid: int,
    payer: Payer = Payer.CEN_OWNER,
    *,
    region: str | None = None,
) -> Grant:
    """Let a CEN of another account attach the account's VPC; given twice, the last payer counts.

    A CEN that is not, is going or is of another account than `cen_owner_uid` is refused alike:
    only who knows id and owner of a CEN learns that the two belong together.
    CloudError: InvalidVpcId.NotFound, InvalidCenId.NotFound, InvalidParameter (one's own CEN
    needs no grant), QuotaExceeded.Grant.
    """
    vpc = find_vpc(session, account, vpc_id, region)
    if cen_owner_uid == account.uid:
        raise CloudError(
            "InvalidParameter",
            "a CEN of the account itself needs no grant",
            remedy="Attach the VPC as it is; for another account's CEN, name its UID (CenOwnerId).",
        )
    cen = session.get(Cen, cen_id)
    if cen is None or cen.owner_uid != cen_owner_uid or not cen.is_wanted:
        raise CloudError(
            "InvalidCenId.NotFound",
            f"account {cen_owner_uid} has no CEN {cen_id}",
            remedy="Ask whom it belongs to for the CEN's id and the account's UID.",
        )
    grant = session.get(Grant, (vpc_id, cen_id))
    if grant is None:
        quotas.GRANTS.require_room(len(of_vpc(session, account, vpc.id)))
        grant = Grant(
            vpc_id=vpc_id, cen_id=cen_id, owner_uid=account.uid, cen_owner_uid=cen_owner_uid
        )
        session.add(grant)
    grant.payer = payer
    session.flush()
    return grant


def revoke(
    session: Session,
    account: Account,
    vpc_id: str,
    cen_id: str,
    cen_owner_uid: int,
    *,
    region: str | None = None,
) -> None:
    """Take a grant back. CloudError: InvalidVpcId.NotFound, GrantNotExist, DependencyViolation.

    While the VPC is attached, the owner detaches it first: a grant that is gone shall mean
    that no packet passes.
    """
    vpc = find_vpc(session, account, vpc_id, region)
    grant = session.get(Grant, (vpc.id, cen_id))
    if grant is None or grant.cen_owner_uid != cen_owner_uid:
        raise CloudError(
            "GrantNotExist",
            f"{vpc.id} is not granted to {cen_id} of account {cen_owner_uid}",
            remedy=Remedy(
                f"DescribeGrantRulesToResource says to whom {vpc.id} is granted.",
                "The VPC's tab Cross-account Authorization says to whom it is granted.",
            ),
        )
    _refuse_while_attached(session, grant)
    session.delete(grant)
    session.flush()


def of_cen(session: Session, account: Account, cen_id: str) -> Sequence[Grant]:
    """What others granted to the account's CEN."""
    cen = owned(session, Cen, account, cen_id)
    return session.scalars(
        select(Grant).where(Grant.cen_id == cen.id).order_by(Grant.created_at, Grant.vpc_id)
    ).all()


def of_vpc(
    session: Session, account: Account, vpc_id: str, region: str | None = None
) -> Sequence[Grant]:
    """To whom the account granted its VPC."""
    vpc = find_vpc(session, account, vpc_id, region)
    return session.scalars(
        select(Grant).where(Grant.vpc_id == vpc.id).order_by(Grant.created_at, Grant.cen_id)
    ).all()


def reachable(
    session: Session, account: Account, cen: Cen, vpc_id: str, owner_uid: int | None = None
) -> Vpc:
    """The VPC that the account's `cen` may attach: its own, or one granted by `owner_uid`.

    CloudError: InvalidVpcId.NotFound for one's own, Forbbiden.AttachChildInstanceAcrossUid
    whenever another account's is not granted, whether it exists or not.
    """
    if owner_uid is None or owner_uid == account.uid:
        return owned(session, Vpc, account, vpc_id)
    grant = session.get(Grant, (vpc_id, cen.id))
    if grant is None or grant.owner_uid != owner_uid:
        raise CloudError(
            "Forbbiden.AttachChildInstanceAcrossUid",
            f"account {owner_uid} has not granted {vpc_id} to {cen.id}",
            remedy=f"Account {owner_uid} grants {vpc_id} to {cen.id} of account {account.uid}.",
        )
    return session.get_one(Vpc, vpc_id)


def granted(session: Session, account: Account, cen_id: str, vpc_id: str, region: str) -> Vpc:
    """A VPC of that region that another account granted to the account's CEN.

    CloudError: InvalidCenId.NotFound, InvalidVpcId.NotFound.
    """
    grant = session.get(Grant, (vpc_id, owned(session, Cen, account, cen_id).id))
    if grant is None or grant.vpc.region_id != region:
        raise CloudError(Vpc.not_found)
    return grant.vpc


def _refuse_while_attached(session: Session, grant: Grant) -> None:
    for attachment in session.get_one(Cen, grant.cen_id).attachments:
        if attachment.vpc_id == grant.vpc_id:
            raise CloudError(
                "DependencyViolation",
                f"{grant.vpc_id} is attached to {grant.cen_id} ({attachment.id})",
                remedy=f"Delete {attachment.id} first; the VPC's owner may, too.",
            )
