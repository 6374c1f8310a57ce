"""Instances: made, found, restarted, deleted. A call says what is wanted; `Reconciler` does it."""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from ...store import Vault
from .. import ids, names, quotas, regions
from ..accounts import Account
from ..errors import CloudError
from ..migrations import guards
from ..ownership import count, everything, owned
from ..paging import Listing, listing
from ..vpcs import VSwitch
from . import classes, engines, whitelist
from .states import KEPT, Role, Status
from .tables import DBInstance

LOCAL_SSD = "local_ssd"
STORAGE_TYPES = (
    LOCAL_SSD, "general_essd", "cloud_essd", "cloud_essd2", "cloud_essd3", "cloud_ssd",
)  # fmt: skip
CATEGORIES = ("Basic", "HighAvailability")
PAY_TYPES = ("Postpaid", "Prepaid")
_PORTS = range(1000, 6000)
_STORAGE = range(5, 64001, 5)
_STORAGE_RULE = "DBInstanceStorage is 5 to 64000 GB, in steps of 5"


@dataclass(frozen=True)
class Order:
    """What a new primary instance shall be."""

    region_id: str
    vswitch_id: str
    major: int
    class_name: str
    storage_gb: int
    entries: Sequence[str] = whitelist.NOBODY
    """The first whitelist."""
    vpc_id: str | None = None
    zone_id: str | None = None
    address: str | None = None
    port: int = 5432
    storage_type: str = "cloud_essd"
    category: str = "Basic"
    pay_type: str = "Postpaid"
    description: str | None = None
    is_protected: bool = False


def create(session: Session, account: Account, order: Order) -> DBInstance:
    """Order a new primary instance; it is Creating until its server answers.

    CloudError: InvalidRegionId.NotFound, InvalidVSwitchId.NotFound, InvalidVpcId.NotFound,
    InvalidZoneId.NotFound, InvalidEngineVersion, InvalidDBInstanceClass.NotFound,
    InvalidParameter, InvalidPrivateIpAddress, InvalidSecurityIPList.*,
    InvalidDBInstanceDescription.Malformed, QuotaExceeded.DBInstance.
    """
    _require_room(session, account)
    vswitch = _vswitch(session, account, order)
    engines.check(order.major)
    _check(order.storage_gb in _STORAGE, _STORAGE_RULE)
    _check(order.port in _PORTS, "a port is 1000 to 5999")
    _check(order.storage_type in STORAGE_TYPES, f"{order.storage_type!r} is no storage type")
    _check(order.category in CATEGORIES, f"{order.category!r} is no category that is offered")
    _check(order.pay_type in PAY_TYPES, f"{order.pay_type!r} is no way to pay that is offered")
    instance = DBInstance(
        id=ids.new("pgm", 17),
        owner_uid=account.uid,
        number=_next_number(session),
        region_id=order.region_id,
        zone_id=vswitch.zone_id,
        vpc_id=vswitch.vpc_id,
        vswitch_id=vswitch.id,
        address=_address(session, vswitch, order.address),
        port=order.port,
        major=order.major,
        class_name=classes.find(order.class_name).name,
        storage_gb=order.storage_gb,
        storage_type=order.storage_type,
        category=order.category,
        pay_type=order.pay_type,
        role=Role.PRIMARY,
        description=_description(order.description),
        is_protected=order.is_protected,
    )
    session.add(instance)
    session.flush()
    whitelist.modify(session, instance, order.entries)
    return instance


def create_read_only(
    session: Session,
    vault: Vault,
    account: Account,
    primary_id: str,
    *,
    region_id: str,
    major: int,
    zone_id: str,
    class_name: str,
    storage_gb: int,
    vswitch_id: str | None = None,
    address: str | None = None,
    pay_type: str = "Postpaid",
    description: str | None = None,
) -> DBInstance:
    """Order a standby of a primary, in the primary's VPC.

    CloudError: those of `create`, InvalidDBInstanceId.NotFound, IncorrectDBInstanceState,
    IncorrectDBInstanceType, QuotaExceeded.ReadOnlyDBInstance.
    """
    primary = find(session, account, primary_id)
    _require_room(session, account)
    quotas.READ_ONLY.require_room(len(primary.replicas))
    if primary.role is not Role.PRIMARY:
        raise CloudError("IncorrectDBInstanceType", f"{primary.id} is itself read-only")
    require(primary, Status.RUNNING)
    if (region_id, major) != (primary.region_id, primary.major):
        raise CloudError(
            "InvalidEngineVersion", "region and version of a read-only instance are the primary's"
        )
    engines.check(major, "pg_basebackup")
    vswitch = _vswitch_in(session, account, primary, zone_id, vswitch_id)
    _check(storage_gb in _STORAGE, _STORAGE_RULE)
    _check(storage_gb >= primary.storage_gb, "the storage is less than the primary's")
    instance = DBInstance(
        id=ids.new("pgr", 17),
        owner_uid=account.uid,
        number=_next_number(session),
        region_id=primary.region_id,
        zone_id=vswitch.zone_id,
        vpc_id=vswitch.vpc_id,
        vswitch_id=vswitch.id,
        address=_address(session, vswitch, address),
        port=primary.port,
        major=primary.major,
        class_name=classes.find(class_name).name,
        storage_gb=storage_gb,
        storage_type=primary.storage_type,
        category="Basic",
        pay_type=pay_type,
        role=Role.READ_ONLY,
        primary=primary,
        description=_description(description),
    )
    session.add(instance)
    session.flush()
    whitelist.modify(session, instance, whitelist.NOBODY)
    if primary.replicator_id is None:
        primary.replicator_id = vault.keep(session, random.token_urlsafe(24))
    primary.change()
    return instance


def find(session: Session, account: Account, id: str) -> DBInstance:
    """The account's instance; CloudError InvalidDBInstanceId.NotFound."""
    return owned(session, DBInstance, account, id)


def search(
    account: Account, region_id: str, key: str | None = None, **equal: object
) -> Listing[DBInstance]:
    """The account's instances of a region, newest first.

    `key` is part of an id or a description; `equal` names columns, None leaves one open.
    """
    found = listing(DBInstance, account, newest_first, region_id=region_id, **equal)
    if not key:
        return found
    part = DBInstance.id.contains(key, autoescape=True)
    return found.where(or_(part, DBInstance.description.contains(key, autoescape=True)))


def newest_first(query: Select[DBInstance]) -> Select[DBInstance]:
    """Instances in the order in which they are shown to people: of one moment by number."""
    return query.order_by(DBInstance.created_at.desc(), DBInstance.number.desc())


def replica_ids(session: Session, primaries: Sequence[str]) -> dict[str, list[str]]:
    """The ids of these instances' read-only instances, by instance."""
    found: dict[str, list[str]] = {id: [] for id in primaries}
    rows = session.connection().execute(_REPLICA_IDS, {"ids": list(primaries)})
    for primary, id in rows:
        found[str(primary)].append(id)
    return found


_REPLICA_IDS = (
    select(DBInstance.primary_id, DBInstance.id)
    .where(DBInstance.primary_id.in_(bindparam("ids", expanding=True)))
    .order_by(DBInstance.number)
)


def describe(instance: DBInstance, description: str) -> None:
    """Give it another description. CloudError InvalidDBInstanceDescription.Malformed."""
    instance.description = _description(description)


def restart(instance: DBInstance) -> None:
    """Order a restart. CloudError IncorrectDBInstanceState, also while data leave it."""
    require(instance, Status.RUNNING)
    guards.refuse_while_source(instance, "restarted")
    instance.status = Status.REBOOTING


def resize(
    instance: DBInstance, class_name: str | None = None, storage_gb: int | None = None
) -> None:
    """Order another class, for which the server restarts, or storage, which counts at once.

    Read-only instances restart with their primary where they need as many connections.
    CloudError: IncorrectDBInstanceState (also while data leave it),
    InvalidDBInstanceClass.NotFound, MissingParameter, InvalidParameter (the storage).
    """
    require(instance, Status.RUNNING)
    guards.refuse_while_source(instance, "resized")
    if class_name is None and storage_gb is None:
        raise CloudError("MissingParameter", "DBInstanceClass or DBInstanceStorage is needed")
    if storage_gb is not None:
        _check_storage(instance, storage_gb)
        instance.storage_gb = storage_gb
    if class_name not in (None, instance.class_name):
        before, after = classes.find(instance.class_name), classes.find(class_name)
        instance.class_name = after.name
        followers = instance.replicas if after.max_connections > before.max_connections else ()
        for one in (instance, *followers):
            guards.refuse_while_source(one, "restarted")
            one.change()
            if one.status is Status.RUNNING:
                one.status = Status.RESIZING


def _check_storage(instance: DBInstance, storage_gb: int) -> None:
    """The vendor's: room for 1.1 times the data; a read-only one has no less than its primary."""
    _check(storage_gb in _STORAGE, _STORAGE_RULE)
    _check(
        storage_gb << 30 >= 1.1 * instance.used_bytes,
        f"{instance.id} uses {instance.used_bytes / 2**30:.1f} GB; a storage has a tenth more",
    )
    primary = instance.primary
    if primary is not None:
        _check(storage_gb >= primary.storage_gb, "the storage is less than the primary's")
    for replica in instance.replicas:
        _check(storage_gb <= replica.storage_gb, f"enlarge the read-only {replica.id} first")


def delete(instance: DBInstance) -> None:
    """Order that an instance goes, with its data.

    CloudError: OperationDenied.DeletionProtection, DependencyViolation (it has read-only
    instances), IncorrectDBInstanceState (a migration works on it).
    """
    guards.refuse_while_source(instance, "deleted")
    if instance.is_protected:
        raise CloudError("OperationDenied.DeletionProtection")
    if instance.replicas:
        raise CloudError(
            "DependencyViolation", f"{instance.id} has the read-only {instance.replicas[0].id}"
        )
    if instance.status in (Status.MAINTAINING, Status.IMPORTING):
        require(instance, Status.RUNNING)
    instance.status = Status.DELETING


def occupy(instance: DBInstance, status: Status) -> None:
    """Take a running instance for an assessment (MAINTAINING) or a migration (IMPORTING).

    While IMPORTING its server and its data directory are left alone. CloudError
    IncorrectDBInstanceState.
    """
    assert status in (Status.MAINTAINING, Status.IMPORTING)
    require(instance, Status.RUNNING)
    instance.status = status


def release(instance: DBInstance) -> None:
    """Give an instance back; its server is looked after again, and given what is wanted."""
    assert instance.status in (Status.MAINTAINING, Status.IMPORTING)
    if instance.status is Status.IMPORTING:
        instance.change()
    instance.status = Status.RUNNING


def require(instance: DBInstance, *states: Status) -> None:
    """CloudError IncorrectDBInstanceState unless the instance is in one of these."""
    if instance.status not in states:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"{instance.id} is in the status {instance.status.label}; this takes"
            f" {' or '.join(status.label for status in states)}",
        )


def require_kept(instance: DBInstance) -> None:
    """CloudError IncorrectDBInstanceState unless its server is there and ours."""
    require(instance, *KEPT)


def taken(session: Session, vswitch: VSwitch) -> set[str]:
    """The addresses of a vSwitch that instances have."""
    wanted = select(DBInstance.address).where(DBInstance.vswitch_id == vswitch.id)
    return set(session.scalars(wanted))


def _vswitch(session: Session, account: Account, order: Order) -> VSwitch:
    """Where it shall be, all the names that were given agreeing."""
    region = regions.region(order.region_id)
    vswitch = owned(session, VSwitch, account, order.vswitch_id)
    if order.vpc_id not in (None, vswitch.vpc_id) or vswitch.vpc.region_id != region.id:
        raise CloudError("InvalidVSwitchId.NotFound", f"{vswitch.id} lies in another VPC or region")
    if order.zone_id not in (None, vswitch.zone_id):
        raise CloudError("InvalidZoneId.NotFound", f"{vswitch.id} lies in {vswitch.zone_id}")
    return vswitch


def _vswitch_in(
    session: Session, account: Account, primary: DBInstance, zone_id: str, id: str | None
) -> VSwitch:
    if id is None:
        near = session.get_one(VSwitch, primary.vswitch_id)
        same = [v for v in near.vpc.vswitches if v.zone_id == zone_id]
        chosen = near if near in same else next(iter(same), None)
        if chosen is None:
            raise CloudError("InvalidVSwitchId.NotFound", f"there is no vSwitch in {zone_id}")
        return chosen
    vswitch = owned(session, VSwitch, account, id)
    if vswitch.vpc_id != primary.vpc_id or vswitch.zone_id != zone_id:
        raise CloudError("InvalidVSwitchId.NotFound", f"{id} is not of the primary's VPC and zone")
    return vswitch


def _require_room(session: Session, account: Account) -> None:
    quotas.INSTANCES.require_room(count(session, everything(DBInstance, account)))


def _check(condition: bool, otherwise: str) -> None:
    if not condition:
        raise CloudError("InvalidParameter", otherwise)


def _description(text: str | None) -> str:
    return names.INSTANCE_DESCRIPTION.check(text, "InvalidDBInstanceDescription.Malformed")


def _next_number(session: Session) -> int:
    return (session.scalar(select(func.max(DBInstance.number))) or 0) + 1


def _address(session: Session, vswitch: VSwitch, wanted: str | None) -> str:
    """A free address of the vSwitch; the first and the last three are the network's own."""
    block = IPv4Network(vswitch.cidr)
    used = taken(session, vswitch)
    usable = range(1, block.num_addresses - 3)
    if wanted is None:
        free = (str(block[n]) for n in usable if str(block[n]) not in used)
        if (found := next(free, None)) is None:
            raise CloudError("InsufficientIpAddr.vsw", f"{vswitch.id} has no free address")
        return found
    try:
        place = IPv4Address(wanted)
    except ValueError:
        place = IPv4Address(0)
    if int(place) - int(block[0]) not in usable:
        raise CloudError(
            "InvalidPrivateIpAddress",
            f"{wanted} is none that {vswitch.id} can give: {block[1]} to {block[-4]}",
        )
    if str(place) in used:
        raise CloudError("InvalidPrivateIpAddress", f"{wanted} is taken in {vswitch.id}")
    return str(place)
