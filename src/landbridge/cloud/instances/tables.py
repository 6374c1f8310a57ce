"""The tables of instances: what is wanted of each server, and what really stands."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ...network import things
from ...store import Base, RowNumber, utcnow
from ..ownership import Owned
from ..vpcs import Vpc
from .states import AccountState, AccountType, LockMode, Role, Status


class DBInstance(Owned, Base):
    """A PostgreSQL server with a private address in a VPC."""

    __tablename__ = "db_instance"
    not_found = "InvalidDBInstanceId.NotFound"

    number: Mapped[int] = mapped_column(unique=True)
    """Counts up; the server's own account on this machine derives from it."""
    region_id: Mapped[str] = mapped_column(String(40))
    zone_id: Mapped[str] = mapped_column(String(40))
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpc.id"), index=True)
    vswitch_id: Mapped[str] = mapped_column(ForeignKey("vswitch.id"), index=True)
    address: Mapped[str] = mapped_column(String(15))
    port: Mapped[int]
    major: Mapped[int]
    class_name: Mapped[str] = mapped_column(String(64))
    storage_gb: Mapped[int]
    storage_type: Mapped[str] = mapped_column(String(40))
    category: Mapped[str] = mapped_column(String(40))
    pay_type: Mapped[str] = mapped_column(String(40))
    role: Mapped[Role]
    primary_id: Mapped[str | None] = mapped_column(ForeignKey("db_instance.id"), index=True)
    """Of a read-only instance: whom it follows."""
    description: Mapped[str] = mapped_column(String(255))
    is_protected: Mapped[bool] = mapped_column(default=False)
    """Whether it cannot be deleted."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    status: Mapped[Status] = mapped_column(default=Status.CREATING)
    lock_mode: Mapped[LockMode] = mapped_column(default=LockMode.UNLOCK)
    used_bytes: Mapped[int] = mapped_column(default=0)
    """Size of its data when it was last looked at."""
    version: Mapped[int] = mapped_column(default=1)
    """Grows with every change of what is wanted of the server."""
    applied: Mapped[int] = mapped_column(default=0)
    """The version that the server was last brought to."""
    closes_strangers: Mapped[bool] = mapped_column(default=False)
    """Whether sessions that the whitelist does not admit are ended when it is applied."""
    trouble: Mapped[str] = mapped_column(default="")
    """Why the last try did not bring the server to what is wanted."""
    carried: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Settings that its data came with, where a migration has brought them."""
    awaited: Mapped[str | None] = mapped_column(String(63))
    """The standby of a migration that leaves it: while its owner has it refuse writes, commits
    wait for that one. It stays after a success, so that what waits is never acknowledged."""
    replicator_id: Mapped[int | None] = mapped_column(ForeignKey("sealed_secret.id"))
    """The password that its read-only instances follow with."""

    vpc: Mapped[Vpc] = relationship()
    primary: Mapped[DBInstance | None] = relationship(
        remote_side="DBInstance.id", back_populates="replicas"
    )
    replicas: Mapped[list[DBInstance]] = relationship(
        back_populates="primary", order_by="DBInstance.number"
    )
    groups: Mapped[list[WhitelistGroup]] = relationship(
        cascade="all, delete-orphan", order_by="WhitelistGroup.name"
    )
    parameters: Mapped[list[Parameter]] = relationship(
        cascade="all, delete-orphan", order_by="Parameter.name"
    )
    accounts: Mapped[list[DatabaseAccount]] = relationship(
        cascade="all, delete-orphan", order_by="DatabaseAccount.name"
    )

    @property
    def whitelist(self) -> tuple[IPv4Network, ...]:
        """Whom clients may come from: all groups merged, as few blocks as can be."""
        blocks = (IPv4Network(entry, strict=False) for g in self.groups for entry in g.entries)
        return tuple(collapse_addresses(blocks))

    @property
    def followers(self) -> tuple[IPv4Address, ...]:
        """The addresses of its read-only instances."""
        return tuple(IPv4Address(replica.address) for replica in self.replicas)

    def as_thing(self) -> things.Instance:
        """The instance as the network's model knows it."""
        admitted = (*self.whitelist, *map(IPv4Network, self.followers))
        place = IPv4Address(self.address)
        return things.Instance(self.id, self.vswitch_id, place, self.port, admitted)

    def parameter(self, name: str) -> str | None:
        """What a parameter was set to, if it was."""
        return next((p.value for p in self.parameters if p.name == name), None)

    def change(self) -> None:
        """Say that what is wanted of the server is not what it was."""
        self.version += 1


class WhitelistGroup(Base):
    """A named group of addresses that may connect to an instance."""

    __tablename__ = "db_whitelist_group"

    instance_id: Mapped[str] = mapped_column(ForeignKey("db_instance.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    attribute: Mapped[str] = mapped_column(String(64), default="")
    """`hidden` keeps it out of the console's list."""
    entries: Mapped[list[str]] = mapped_column(JSON)
    """Addresses and CIDR blocks, as they were given."""


class Parameter(Base):
    """A parameter that somebody has set."""

    __tablename__ = "db_parameter"

    instance_id: Mapped[str] = mapped_column(ForeignKey("db_instance.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class DatabaseAccount(Base):
    """What was ordered about a database account. Which there are, the server's catalog says."""

    __tablename__ = "db_account"
    __table_args__ = (UniqueConstraint("instance_id", "name"),)

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("db_instance.id"))
    name: Mapped[str] = mapped_column(String(63))
    type: Mapped[AccountType]
    description: Mapped[str] = mapped_column(String(256))
    state: Mapped[AccountState]
    order: Mapped[int] = mapped_column(default=1)
    """Grows with every order, so that a later one is not taken for done with an earlier."""
    verifier_id: Mapped[int | None] = mapped_column(ForeignKey("sealed_secret.id"))
    """What proves the new password, sealed until the server has it."""
    trouble: Mapped[str] = mapped_column(default="", server_default="")
    """Why the last order was not carried out."""
