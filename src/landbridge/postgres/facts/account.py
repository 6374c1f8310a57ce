"""Roles: the account we are, all others, and what their logins override."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .ask import Asker

#: What a fence changes by ALTER SYSTEM.
FENCE_PARAMETERS = (
    "default_transaction_read_only",
    "synchronous_standby_names",
    "synchronous_commit",
)


@dataclass(frozen=True)
class Account:
    """The role we are logged in as."""

    name: str
    superuser: bool
    createrole: bool
    replication: bool
    monitor: bool
    """Whether it is, directly or not, a member of pg_monitor."""
    valid_until: datetime | None = None
    connection_limit: int = -1


@dataclass(frozen=True)
class Role:
    """Any role of the cluster."""

    name: str
    superuser: bool
    login: bool
    replication: bool


@dataclass(frozen=True)
class Override:
    """A setting that a role, a database, or a role in a database brings to its sessions."""

    role: str | None
    database: str | None
    name: str
    value: str


@dataclass(frozen=True)
class FenceRights:
    """What the account for the fence may do on the source."""

    name: str
    superuser: bool
    database: str = "postgres"
    """The one it works from; rights on functions are a database's own."""
    alter_system: tuple[str, ...] = ()
    """Those of FENCE_PARAMETERS that it may ALTER SYSTEM (15+ can grant that)."""
    reload: bool = False
    terminate: bool = False
    """Member of pg_signal_backend; sessions of superusers stay out of its reach."""
    monitor: bool = False
    """Sees other sessions, and where settings come from, as members of pg_monitor do."""

    def lacking(self, fence: str) -> list[str]:
        """What it lacks for raising the fence `sync` or `lockout`, in words."""
        if self.superuser:
            return []
        if fence == "lockout":
            return ["superuser (it replaces pg_hba.conf)"]
        missing = [f"ALTER SYSTEM on {p}" for p in FENCE_PARAMETERS if p not in self.alter_system]
        missing += [] if self.reload else ["pg_reload_conf()"]
        missing += [] if self.terminate else ["pg_signal_backend"]
        return missing + ([] if self.monitor else ["pg_monitor"])


@dataclass(frozen=True)
class HbaLine:
    """A line of pg_hba.conf, which superusers alone may read."""

    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    method: str


def read_hba(ask: Asker) -> tuple[HbaLine, ...] | None:
    rows = ask.rows(
        "hba",
        "SELECT type, database, user_name, coalesce(address || coalesce(' ' || netmask, ''), '')"
        " AS address, auth_method AS method FROM pg_hba_file_rules WHERE error IS NULL",
    )
    if rows is None:
        return None
    return tuple(
        HbaLine(r.type, tuple(r.database), tuple(r.user_name), r.address, r.method) for r in rows
    )


def read_account(ask: Asker) -> Account | None:
    found = ask.many(
        "account",
        Account,
        "SELECT rolname AS name, rolsuper AS superuser, rolcreaterole AS createrole,"
        " rolreplication AS replication, rolconnlimit AS connection_limit,"
        " CASE WHEN isfinite(rolvaliduntil) THEN rolvaliduntil END AS valid_until,"
        " pg_has_role('pg_monitor', 'member') AS monitor FROM pg_roles"
        " WHERE rolname = current_user",
    )
    return found[0] if found else None


def read_roles(ask: Asker) -> tuple[Role, ...] | None:
    return ask.many(
        "roles",
        Role,
        "SELECT rolname AS name, rolsuper AS superuser, rolcanlogin AS login,"
        " rolreplication AS replication FROM pg_roles WHERE oid >= 16384 OR oid = 10 ORDER BY 1",
    )


def read_overrides(ask: Asker) -> tuple[Override, ...] | None:
    return ask.many(
        "overrides",
        Override,
        "SELECT r.rolname AS role, d.datname AS database,"
        " split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value"
        " FROM pg_db_role_setting s CROSS JOIN unnest(setconfig) c"
        " LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase"
        " ORDER BY 1, 2, 3",
    )


def read_fence_rights(ask: Asker) -> FenceRights | None:
    """What the account behind `ask` could do as a fence account."""
    row = ask.row(
        "fence",
        "SELECT current_user::text AS name, rolsuper AS superuser,"
        " current_database()::text AS database,"
        " has_function_privilege('pg_reload_conf()', 'execute') AS reload,"
        " pg_has_role('pg_signal_backend', 'usage') AS terminate,"
        " pg_has_role('pg_read_all_stats', 'usage')"
        " AND pg_has_role('pg_read_all_settings', 'usage') AS monitor"
        " FROM pg_roles WHERE rolname = current_user",
    )
    if row is None:
        return None
    allowed: tuple[str, ...] = FENCE_PARAMETERS if row.superuser else ()
    if ask.major >= 15 and not row.superuser:
        granted = ask.rows(
            "fence.alter_system",
            "SELECT p FROM unnest(%s::text[]) p WHERE has_parameter_privilege(p, 'alter system')",
            [list(FENCE_PARAMETERS)],
        )
        allowed = tuple(r.p for r in granted or ())
    return FenceRights(**row._asdict(), alter_system=allowed)
