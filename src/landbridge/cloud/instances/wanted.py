"""What is wanted of one server, read from the rows at one moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from sqlalchemy.orm import Session

from ...migration.fence.settings import READ_ONLY, SYNC_COMMIT, SYNC_NAMES, require
from ...network import things
from ...network.fabric import Endpoint
from ...postgres.hotstandby import HOT_STANDBY
from ...servers.shut_in import Limits
from ...store import Vault
from . import classes, parameters, roles
from .dbaccounts import INTERNAL
from .states import AccountState, LockMode, Role, Status
from .tables import DBInstance

Settings = dict[str, str | int]

#: Every managed server's, before what its class and its owner say.
_OURS: Settings = {
    "password_encryption": "scram-sha-256",
    "wal_level": "replica",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "hot_standby": "on",
    # In a sandbox the machine's shared memory folder is closed.
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(frozen=True)
class Wanted:
    """One server as it shall be."""

    id: str
    number: int
    version: int
    status: Status
    role: Role
    major: int
    place: things.Instance
    whitelist: tuple[IPv4Network, ...]
    followers: tuple[IPv4Address, ...]
    settings: Settings
    closes_strangers: bool
    is_forced: bool
    """Whether writes are refused because its owner said so."""
    is_full: bool
    """Whether writes are refused because its storage is full."""
    quota: int
    """Bytes of its storage."""
    limits: Limits
    orders: tuple[roles.Order, ...]
    primary: things.Instance | None = None
    replicator: str | None = None
    """Of a standby: the password of the role it follows as."""

    @property
    def is_read_only(self) -> bool:
        return self.role is Role.PRIMARY and (self.is_forced or self.is_full)

    @property
    def slot(self) -> str:
        """The slot of a standby at its primary."""
        return self.id.replace("-", "_")


def read(session: Session, vault: Vault, instance: DBInstance) -> Wanted:
    """What the rows want of an instance's server."""
    primary = instance.primary
    is_forced = instance.parameter(parameters.FORCE_READ_ONLY) == "on"
    is_full = instance.lock_mode is LockMode.DISK_QUOTA
    settings = _settings(instance)
    sold = classes.find(instance.class_name)
    if primary is not None:
        _raise_to(settings, _settings(primary))
        is_forced = is_full = False
    if is_forced or is_full:
        settings[READ_ONLY] = "on"
    if is_forced and instance.awaited is not None:
        settings |= _waiting(settings, instance.awaited)
    secret = primary.replicator_id if primary else None
    return Wanted(
        id=instance.id,
        number=instance.number,
        version=instance.version,
        status=instance.status,
        role=instance.role,
        major=instance.major,
        place=instance.as_thing(),
        whitelist=instance.whitelist,
        followers=instance.followers,
        settings=settings,
        closes_strangers=instance.closes_strangers,
        is_forced=is_forced,
        is_full=is_full,
        quota=instance.storage_gb << 30,
        limits=Limits(sold.memory_mb, sold.cpus),
        orders=tuple(_orders(session, vault, instance)),
        primary=primary.as_thing() if primary else None,
        replicator=vault.reveal(session, secret) if secret else None,
    )


def as_met(wanted: Wanted, endpoint: Endpoint) -> Wanted:
    """With the blocks that clients at other instances come from, where it admits any but its own.

    Then only the model tells those clients apart: whoever sends one has to ask it.
    """
    if endpoint.decides_whitelist or not endpoint.clients:
        return wanted
    met = tuple(map(IPv4Network, endpoint.clients))
    own = IPv4Network("127.0.0.0/8")
    is_open = any(not block.subnet_of(own) for block in wanted.whitelist)
    followers = tuple(block.network_address for block in met) if wanted.followers else ()
    return replace(
        wanted,
        place=replace(wanted.place, whitelist=(*wanted.place.whitelist, *met)),
        whitelist=(*wanted.whitelist, *(met if is_open else ())),
        followers=(*wanted.followers, *followers),
    )


def hba(wanted: Wanted, endpoint_clients: tuple[str, ...] | None) -> list[str]:
    """pg_hba lines before the whitelist's: standbys may follow, the service's roles stay here.

    `endpoint_clients`: where clients come from when the fabric keeps the whitelist.
    """
    followers = endpoint_clients if endpoint_clients is not None and wanted.followers else None
    blocks = followers or tuple(f"{address}/32" for address in wanted.followers)
    ours = ",".join(INTERNAL)
    return [
        *(f"host replication replicator {block} scram-sha-256" for block in blocks),
        f"host all {ours} all reject",
        f"host replication {ours} all reject",
    ]


def _settings(instance: DBInstance) -> Settings:
    sold = classes.find(instance.class_name).settings
    brought = instance.carried or {}
    own = parameters.settings(instance)
    return {**_OURS, **sold, **brought, "cluster_name": instance.id, **own}


def _raise_to(settings: Settings, floors: Settings) -> None:
    """A standby may have less than its primary in none of HOT_STANDBY."""
    for name in HOT_STANDBY:
        if name in floors:
            settings[name] = max(int(settings.get(name, 0)), int(floors[name]))


def _waiting(settings: Settings, standby: str) -> Settings:
    """What makes commits wait until `standby` has them on disk."""
    weak = settings.get(SYNC_COMMIT) in ("off", "local", "remote_write")
    return {SYNC_NAMES: require(standby, ""), **({SYNC_COMMIT: "on"} if weak else {})}


def _orders(session: Session, vault: Vault, instance: DBInstance) -> list[roles.Order]:
    return [
        roles.Order(
            row.name,
            row.order,
            row.state,
            row.type,
            vault.reveal(session, row.verifier_id) if row.verifier_id else None,
        )
        for row in instance.accounts
        if row.state is not AccountState.DONE
    ]
