"""All that one picture of an account's networks shows, its own and what it may know of others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from .accounts import Account
from .attachments import Attachment
from .cens import Cen
from .grants import Grant
from .instances.tables import DBInstance
from .lines import Connection
from .ownership import everything, owned
from .routers import TransitRouter
from .vpcs import Vpc


@dataclass(frozen=True)
class Drawn:
    """A CEN. Of another account's there is only what the account's own VPCs are attached to."""

    cen: Cen
    is_own: bool
    routers: Sequence[TransitRouter]
    attachments: Sequence[tuple[Attachment, Vpc]]
    lines: Sequence[Connection] = ()
    granted: Sequence[Vpc] = ()
    """VPCs of others that it may attach and has not."""


@dataclass(frozen=True)
class Overview:
    """CENs, and the account's own VPCs and instances, whether they are attached or not."""

    cens: list[Drawn] = field(default_factory=list)
    vpcs: Sequence[Vpc] = ()
    instances: Sequence[DBInstance] = ()
    given: frozenset[str] = frozenset()
    """Ids of the VPCs that CENs of other accounts may attach."""


def look(session: Session, account: Account, cen_id: str | None = None) -> Overview:
    """What the account has and is joined to; with `cen_id` of that CEN alone.

    CloudError: InvalidCenId.NotFound.
    """
    drawn = [_own(session, cen) for cen in _cens(session, account, cen_id)]
    drawn += _foreign(session, account, cen_id)
    if cen_id is not None and not drawn:
        owned(session, Cen, account, cen_id)  # says that there is none
    vpcs = session.scalars(everything(Vpc, account).order_by(Vpc.created_at, Vpc.id)).all()
    instances = session.scalars(everything(DBInstance, account).order_by(DBInstance.number)).all()
    if cen_id is not None:
        attached = {vpc.id for one in drawn for _, vpc in one.attachments}
        vpcs = [vpc for vpc in vpcs if vpc.id in attached]
        instances = [instance for instance in instances if instance.vpc_id in attached]
    given = session.scalars(select(Grant.vpc_id).where(Grant.owner_uid == account.uid))
    return Overview(drawn, vpcs, instances, frozenset(given))


def _cens(session: Session, account: Account, cen_id: str | None) -> Sequence[Cen]:
    query = everything(Cen, account).order_by(Cen.created_at, Cen.id)
    if cen_id is not None:
        query = query.where(Cen.id == cen_id)
    return session.scalars(query).all()


def _own(session: Session, cen: Cen) -> Drawn:
    attachments = _attachments(session, Attachment.cen_id == cen.id)
    attached = {vpc.id for _, vpc in attachments}
    granted = select(Vpc).join(Grant, Grant.vpc_id == Vpc.id).where(Grant.cen_id == cen.id)
    lines = select(Connection).where(Connection.cen_id == cen.id).order_by(Connection.created_at)
    routers = select(TransitRouter).where(TransitRouter.cen_id == cen.id)
    return Drawn(
        cen,
        True,
        session.scalars(routers.order_by(TransitRouter.region_id)).all(),
        attachments,
        session.scalars(lines).all(),
        [vpc for vpc in session.scalars(granted) if vpc.id not in attached],
    )


def _foreign(session: Session, account: Account, cen_id: str | None) -> list[Drawn]:
    rows = _attachments(
        session, Attachment.vpc_owner_uid == account.uid, Attachment.owner_uid != account.uid
    )
    ids = {attachment.cen_id for attachment, _ in rows if cen_id in (None, attachment.cen_id)}
    return [
        _theirs(session, id, [row for row in rows if row[0].cen_id == id]) for id in sorted(ids)
    ]


def _theirs(session: Session, id: str, own: Sequence[tuple[Attachment, Vpc]]) -> Drawn:
    at = {attachment.router_id for attachment, _ in own}
    routers = session.scalars(select(TransitRouter).where(TransitRouter.id.in_(at))).all()
    return Drawn(session.get_one(Cen, id), False, routers, own)


def _attachments(
    session: Session, *conditions: ColumnElement[bool]
) -> list[tuple[Attachment, Vpc]]:
    query = select(Attachment, Vpc).join(Vpc, Attachment.vpc_id == Vpc.id).where(*conditions)
    rows = session.execute(query.order_by(Attachment.created_at, Attachment.id))
    return [(attachment, vpc) for attachment, vpc in rows]
