"""VPC attachments: a VPC, of the CEN's owner or granted by another account, at a transit router.

All rules are checked before a row is made. An attached VPC reaches every other VPC of its CEN
in its region, and further ones where an inter-region connection leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network

from sqlalchemy import ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from ..network import things
from ..store import Base
from . import grants, ids, names, quotas, regions, routers
from .accounts import Account
from .cens import Cen, standing
from .errors import CloudError
from .grants import Payer
from .made import Made
from .ownership import Owned, owned
from .remedies import Remedy
from .routers import TransitRouter
from .vpcs import Vpc, VSwitch

#: Zones of one attachment.
MOST_ZONES = 10


class Attachment(Owned, Made, Base):
    """A VPC at a transit router. Its owner is the CEN's; the VPC's owner may delete it, too."""

    __tablename__ = "vpc_attachment"
    not_found = "InvalidTransitRouterAttachmentId.NotFound"

    cen_id: Mapped[str] = mapped_column(ForeignKey("cen.id"), index=True)
    router_id: Mapped[str] = mapped_column(ForeignKey("transit_router.id"))
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpc.id"), unique=True)
    vpc_owner_uid: Mapped[int] = mapped_column(ForeignKey("account.uid"), index=True)
    region_id: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(256))
    payer: Mapped[Payer]
    is_associated: Mapped[bool] = mapped_column(default=True)
    is_propagating: Mapped[bool] = mapped_column(default=True)
    is_published: Mapped[bool] = mapped_column(default=True)
    counted_until: Mapped[datetime | None]
    """Up to when its hours are in the ledger."""
    zones: Mapped[list[AttachedZone]] = relationship(
        cascade="all, delete-orphan", order_by="AttachedZone.position"
    )

    def as_thing(self) -> things.Attachment:
        """The attachment as the network's model knows it."""
        return things.Attachment(self.id, self.router_id, self.vpc_id)

    @property
    def is_routed(self) -> bool:
        """Whether packets shall pass; see `routes`."""
        return self.is_associated and self.is_propagating and self.is_published

    @property
    def payer_uid(self) -> int:
        """The account that its fees belong to."""
        return self.vpc_owner_uid if self.payer is Payer.RESOURCE_OWNER else self.owner_uid


class AttachedZone(Base):
    """The vSwitch that an attachment uses in one zone; position 0 is the primary one."""

    __tablename__ = "vpc_attachment_zone"

    attachment_id: Mapped[str] = mapped_column(ForeignKey("vpc_attachment.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    zone_id: Mapped[str] = mapped_column(String(40))
    vswitch_id: Mapped[str] = mapped_column(ForeignKey("vswitch.id"))


@dataclass(frozen=True)
class ZoneMapping:
    """A zone and a vSwitch in it."""

    zone_id: str
    vswitch_id: str


def create(
    session: Session,
    account: Account,
    *,
    vpc_id: str,
    zones: Sequence[ZoneMapping] | None = None,
    cen_id: str = "",
    region: str = "",
    router_id: str = "",
    vpc_owner_uid: int | None = None,
    name: str = "",
    description: str = "",
    is_published: bool = True,
) -> Attachment:
    """Attach a VPC: to `router_id`, or to the router of `cen_id` in `region`, made if needed.

    Without `zones` the VPC's own vSwitches say which, if it has any. The first attachment's
    first two zones become the router's primary and secondary zone.
    CloudError: MissingParam.CenIdOrRegionId, InvalidCenId.NotFound, InvalidVpcId.NotFound,
    Forbbiden.AttachChildInstanceAcrossUid, IncorrectStatus.TransitRouter,
    InvalidOperation.{CenInstanceStatus,ChildInstanceAlreadyAttached,CidrBlockOverlapped},
    IllegalParam.{RegionId,ZoneId,ZoneMappings,VSwitchId}, Duplicated.ZoneMapping,
    QuotaExceeded.CenQuotaVpcAttachPerTransitRouter, InvalidName, InvalidDescription.
    """
    name = names.NETWORK_NAME.check(name, "InvalidName")
    description = names.NETWORK_DESCRIPTION.check(
        description, "InvalidDescription", "the description"
    )
    cen, region = _place(session, account, cen_id, region, router_id)
    vpc = grants.reachable(session, account, cen, vpc_id, vpc_owner_uid)
    if vpc.region_id != region:
        raise CloudError(
            "IllegalParam.RegionId",
            f"{vpc.id} lies in {vpc.region_id}, not in {region}",
            remedy=f"Attach it to the transit router of {vpc.region_id}.",
        )
    if zones is None:
        zones = _own_zones(vpc)
    else:
        _check_zones(session, vpc, zones)
    _check_free(session, cen, vpc)
    router = routers.ensure(session, cen, region)
    if router.standing:
        router.require_standing("IncorrectStatus.TransitRouter", router.id)
    _check_room(session, router)
    if zones and not router.primary_zone:
        router.primary_zone = zones[0].zone_id
        router.secondary_zone = zones[1].zone_id if len(zones) > 1 else ""
    grant = session.get(grants.Grant, (vpc.id, cen.id))
    attachment = Attachment(
        id=ids.new("tr-attach"), owner_uid=account.uid, cen_id=cen.id, router_id=router.id,
        vpc_id=vpc.id, vpc_owner_uid=vpc.owner_uid, region_id=region, name=name,
        description=description, payer=grant.payer if grant else Payer.CEN_OWNER,
        is_published=is_published, zones=[
            AttachedZone(position=n, zone_id=zone.zone_id, vswitch_id=zone.vswitch_id)
            for n, zone in enumerate(zones)
        ],
    )  # fmt: skip
    session.add(attachment)
    session.flush()
    return attachment


def visible(session: Session, account: Account) -> Sequence[Attachment]:
    """The attachments of the account's CENs and those of its VPCs, oldest first."""
    own = or_(Attachment.owner_uid == account.uid, Attachment.vpc_owner_uid == account.uid)
    query = select(Attachment).where(own)
    return session.scalars(query.order_by(Attachment.created_at, Attachment.id)).all()


def child(session: Session, account: Account, cen_id: str, vpc_id: str) -> Attachment:
    """The attachment of that VPC to that CEN, for the owner of either.

    CloudError: ParameterIllegal.ChildInstanceId.
    """
    for attachment in visible(session, account):
        if (attachment.cen_id, attachment.vpc_id) == (cen_id, vpc_id):
            return attachment
    raise CloudError(
        "ParameterIllegal.ChildInstanceId",
        f"{vpc_id} is not attached to {cen_id}",
        remedy=Remedy(
            "DescribeCenAttachedChildInstances lists the VPCs of a CEN.",
            "The CEN instance's page lists its VPCs.",
        ),
    )


def update(
    session: Session,
    account: Account,
    id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    is_published: bool | None = None,
) -> None:
    """Rename, describe anew, publish routes or take them back; None leaves as it is.

    CloudError: InvalidTransitRouterAttachmentId.NotFound, IncorrectStatus.Attachment,
    InvalidName, InvalidDescription.
    """
    attachment = owned(session, Attachment, account, id)
    if not attachment.is_wanted:
        raise CloudError("IncorrectStatus.Attachment", f"{attachment.id} is being removed")
    if name is not None:
        attachment.name = names.NETWORK_NAME.check(name, "InvalidName")
    if description is not None:
        attachment.description = names.NETWORK_DESCRIPTION.check(
            description, "InvalidDescription", "the description"
        )
    if is_published not in (None, attachment.is_published):
        attachment.is_published = bool(is_published)
        attachment.change()


def delete(session: Session, account: Account, id: str) -> None:
    """Detach, as the owner of the CEN or of the VPC.

    CloudError: InvalidTransitRouterAttachmentId.NotFound.
    """
    found = session.get(Attachment, id)
    if found is None or found.vpc_owner_uid != account.uid:
        found = owned(session, Attachment, account, id)
    found.unwant()


def _place(
    session: Session, account: Account, cen_id: str, region: str, router_id: str
) -> tuple[Cen, str]:
    if router_id:
        router = owned(session, TransitRouter, account, router_id)
        if cen_id not in ("", router.cen_id) or region not in ("", router.region_id):
            raise CloudError(
                "InvalidTransitRouterId.NotFound",
                f"{router.id} belongs to {router.cen_id} in {router.region_id}",
                remedy="Leave CenId and RegionId out: the transit router says both.",
            )
        cen_id, region = router.cen_id, router.region_id
    if not cen_id or not region:
        raise CloudError("MissingParam.CenIdOrRegionId")
    if region not in regions.regions():
        raise CloudError("IllegalParam.RegionId", f"there is no region {region!r}")
    return standing(session, account, cen_id), region


def _own_zones(vpc: Vpc) -> list[ZoneMapping]:
    """The first vSwitch of the VPC in each of up to two zones."""
    first: dict[str, str] = {}
    for vswitch in vpc.vswitches:
        first.setdefault(vswitch.zone_id, vswitch.id)
    return [ZoneMapping(zone, vswitch) for zone, vswitch in list(first.items())[:2]]


def _check_zones(session: Session, vpc: Vpc, zones: Sequence[ZoneMapping]) -> None:
    if not 1 <= len(zones) <= MOST_ZONES:
        raise CloudError(
            "IllegalParam.ZoneMappings", f"1 to {MOST_ZONES} zones are needed, not {len(zones)}"
        )
    if len({zone.zone_id for zone in zones}) < len(zones):
        raise CloudError("Duplicated.ZoneMapping")
    for zone in zones:
        regions.require_zone(regions.region(vpc.region_id), zone.zone_id, "IllegalParam.ZoneId")
        vswitch = session.get(VSwitch, zone.vswitch_id)
        if vswitch is None or vswitch.vpc_id != vpc.id:
            raise CloudError(
                "InvalidVSwitchId.NotFound",
                f"{vpc.id} has no vSwitch {zone.vswitch_id}",
                remedy=f"Name a vSwitch of {vpc.id} in {zone.zone_id}; its owner may add one.",
            )
        if vswitch.zone_id != zone.zone_id:
            raise CloudError(
                "IllegalParam.VSwitchId",
                f"{vswitch.id} lies in {vswitch.zone_id}, not in {zone.zone_id}",
                remedy="Name each vSwitch with its own zone.",
            )


def _check_free(session: Session, cen: Cen, vpc: Vpc) -> None:
    """Not attached yet, and no address in common with what is attached to this CEN."""
    if session.scalar(select(Attachment.id).where(Attachment.vpc_id == vpc.id)):
        raise CloudError(
            "InvalidOperation.ChildInstanceAlreadyAttached",
            f"{vpc.id} is attached to a CEN already",
            remedy="A VPC is in one CEN at a time: the owner of either detaches it first.",
        )
    block = IPv4Network(vpc.cidr)
    attached = select(Vpc).join(Attachment).where(Attachment.cen_id == cen.id)
    for other in session.scalars(attached):
        if IPv4Network(other.cidr).overlaps(block):
            raise CloudError(
                "InvalidOperation.CidrBlockOverlapped",
                f"{vpc.id} ({vpc.cidr}) overlaps {other.id} ({other.cidr}), which is attached"
                f" to {cen.id}",
                remedy="VPCs of one CEN need CIDR blocks that have no address in common.",
            )


def _check_room(session: Session, router: TransitRouter) -> None:
    there = session.scalars(select(Attachment.id).where(Attachment.router_id == router.id)).all()
    quotas.ATTACHMENTS.require_room(len(there))
