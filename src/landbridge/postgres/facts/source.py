"""Everything one login sees of a running server, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .account import Account, Override, Role
from .activity import (
    Archiver,
    PreparedTransaction,
    Session,
    Slot,
    Standby,
    Subscription,
    WalRate,
)  # fmt: skip
from .databases import Contents, Database, Tablespace
from .server import ServerFacts


@dataclass(frozen=True)
class SourceFacts:
    """The source; a field is None where the account was not allowed to see it."""

    server: ServerFacts
    account: Account | None = None
    roles: tuple[Role, ...] | None = None
    overrides: tuple[Override, ...] | None = None
    databases: tuple[Database, ...] | None = None
    contents: tuple[Contents, ...] = ()
    tablespaces: tuple[Tablespace, ...] | None = None
    sessions: tuple[Session, ...] | None = None
    prepared: tuple[PreparedTransaction, ...] | None = None
    slots: tuple[Slot, ...] | None = None
    standbys: tuple[Standby, ...] | None = None
    subscriptions: tuple[Subscription, ...] | None = None
    archiver: Archiver | None = None
    wal: WalRate | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Name of a fact -> why the server did not tell it."""

    @property
    def size(self) -> int:
        """Bytes of all databases that could be measured."""
        return sum(d.size or 0 for d in self.databases or ())
