"""Everything one login sees of a running server, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .account import Account, HbaLine, Override, Role
from .activity import (
    Archiver,
    PreparedTransaction,
    Session,
    Slot,
    Standby,
    Subscription,
    WalRate,
)  # fmt: skip
from .collations import Order
from .databases import Contents, Database, Tablespace
from .names import ForeignName
from .server import ServerFacts
from .tls import Tls


@dataclass(frozen=True)
class SourceFacts:
    """The source; a field is None where the account was not allowed to see it."""

    server: ServerFacts
    account: Account | None = None
    roles: tuple[Role, ...] | None = None
    overrides: tuple[Override, ...] | None = None
    foreign_names: tuple[ForeignName, ...] | None = None
    """In the shared catalogs; those inside a database are with its contents."""
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
    hba: tuple[HbaLine, ...] | None = None
    tls: Tls | None = None
    auth_method: str | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Name of a fact -> why the server did not tell it."""

    @property
    def size(self) -> int:
        """Bytes of all databases that could be measured."""
        return sum(d.size or 0 for d in self.databases or ())

    def libraries(self) -> frozenset[str]:
        """Every library that functions, settings, roles or databases of the source name."""
        named = {lib.path for c in self.contents for lib in c.libraries}
        for name in LIBRARY_SETTINGS:
            named |= set(split_list(self.server.value(name)))
        for override in self.overrides or ():
            if override.name in LIBRARY_SETTINGS:
                named |= set(split_list(override.value))
        return frozenset(named)

    def locales(self) -> frozenset[str]:
        """Every locale of the C library that databases and indexes rely on."""
        named = {locale for d in self.databases or () for locale in (d.collate, d.ctype)}
        named |= {o.locale for o in self.orders() if o.provider == "c"}
        return frozenset(named - {"C", "POSIX", ""})

    def orders(self) -> frozenset[Order]:
        """Every way to sort text that user indexes rely on."""
        return frozenset(c.order for contents in self.contents for c in contents.collations)


#: Settings that name libraries to load.
LIBRARY_SETTINGS = (
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
)


def split_list(value: str) -> list[str]:
    """The entries of a comma-separated setting.

    >>> split_list('pg_stat_statements, "auto_explain"')
    ['pg_stat_statements', 'auto_explain']
    """
    return [part.strip().strip('"') for part in value.split(",") if part.strip()]
