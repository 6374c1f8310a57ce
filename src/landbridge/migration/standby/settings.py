"""Which of the source's settings the destination takes over.

The rule is an allow-list by category of pg_settings: what changes how statements
behave and perform is taken over; where files lie, who may connect, where logs,
archives and replicas go belongs to a host and is not. Values are read as the
migration account (pg_monitor sees all of them).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg

from ...errors import ServerUnreachable
from ...postgres.conninfo import Conninfo
from ...postgres.distribution import Distribution
from ...postgres.hotstandby import HOT_STANDBY, hot_standby_parameters

_CATEGORIES = (
    "Autovacuum",
    "Client Connection Defaults / Locale",
    "Client Connection Defaults / Other",
    "Client Connection Defaults / Statement",
    "Customized Options",
    "Lock Management",
    "Query Tuning /",
    "Resource Usage /",
    "Statistics /",
    "Vacuuming /",
    "Version and Platform Compatibility /",
    "Write-Ahead Log / Checkpoints",
    "Write-Ahead Log / Settings",
)
#: Taken over although their category is not.
_ALSO = frozenset(
    (
        "client_connection_check_interval", "createrole_self_grant",
        "max_active_replication_origins", "max_logical_replication_workers",
        "max_parallel_apply_workers_per_subscription", "max_replication_slots",
        "max_sync_workers_per_subscription", "password_encryption", "reserved_connections",
        "scram_iterations", "superuser_reserved_connections", "tcp_keepalives_count",
        "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout",
        "track_commit_timestamp",
    )
)  # fmt: skip
#: Not taken over although their category is: paths, what the host's kernel offers, durability
#: (the destination keeps its own), and the read-only default, which may be a fence.
_NEVER = frozenset(
    (
        "default_transaction_read_only", "dynamic_library_path", "dynamic_shared_memory_type",
        "extension_control_path", "fsync", "full_page_writes", "huge_page_size", "huge_pages",
        "shared_memory_type", "stats_temp_directory", "wal_sync_method",
    )
)  # fmt: skip
_LIBRARY_LISTS = (
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
)
#: Libraries whose background workers start to act on their own on promotion.
SELF_ACTING = frozenset({"pg_cron", "pg_partman_bgw", "pglogical"})
#: Share of the host's memory that shared_buffers may take unless the user says otherwise.
MEMORY_SHARE = 0.25
_PAGE = 8192


@dataclass(frozen=True)
class SourceSetting:
    """One setting of the source that somebody has set; `value` in the setting's base unit."""

    name: str
    value: str
    category: str


@dataclass
class Choice:
    """What becomes of the source's settings on the destination."""

    carried: dict[str, str] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    """The hot-standby parameters as the source has them."""
    later: dict[str, str] = field(default_factory=dict)
    """Settings that take the place of ours or of `carried` after the promotion."""
    left: list[str] = field(default_factory=list)
    """Names of the settings that were not taken over."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(id, text) worth a person's attention."""
    taken_over: bool = False
    """The configuration in the data directory is ours; the source's has been set aside."""
    read_only: list[tuple[str | None, str | None]] = field(default_factory=list)
    """(role, database) of the read-only defaults that the source had at the start."""
    login_roles: list[str] = field(default_factory=list)
    """Roles that could log in at the start."""


def read_settings(source: Conninfo) -> tuple[list[SourceSetting], dict[str, int], bool]:
    """The settings somebody has set, the hot-standby parameters, whether subscriptions exist.

    A value that a role, a database or our own session overrides is read over a replication
    connection, to which none of the three applies.
    """
    with source.connect() as conn:
        rows = conn.execute(
            "SELECT name, setting, category, source FROM pg_settings"
            " WHERE source NOT IN ('default', 'override') AND context <> 'internal'"
        ).fetchall()
        floors = hot_standby_parameters(conn)
        subscriptions = conn.execute("SELECT EXISTS (SELECT FROM pg_stat_subscription)").fetchone()
    configured = [SourceSetting(*row[:3]) for row in rows if row[3] in _CONFIGURED]
    hidden = [
        SourceSetting(*row[:3])
        for row in rows
        if row[3] not in _CONFIGURED and _is_carried(row[0], row[2])
    ]
    return (
        [*configured, *_without_overrides(source, hidden)],
        floors,
        bool(subscriptions and subscriptions[0]),
    )


_CONFIGURED = ("configuration file", "command line", "environment variable", "global")


def _without_overrides(source: Conninfo, hidden: list[SourceSetting]) -> list[SourceSetting]:
    if not hidden:
        return []
    try:
        conn = psycopg.connect(autocommit=True, **source.keywords(replication="true"))
    except psycopg.Error as error:
        raise ServerUnreachable(
            f"no replication connection to {source}: {' '.join(str(error).split())}"
        ) from None
    with conn:
        found = []
        for setting in hidden:
            row = conn.execute(f"SHOW {setting.name}".encode()).fetchone()
            if row is not None:
                value = row[0].decode() if isinstance(row[0], bytes) else str(row[0])
                found.append(SourceSetting(setting.name, value, setting.category))
        return found


def _is_carried(name: str, category: str) -> bool:
    if name in _NEVER or name.startswith(("log_", "transaction_")):
        return False
    return name in _ALSO or name == "wal_level" or category.startswith(_CATEGORIES)


def choose(
    settings: Iterable[SourceSetting],
    floors: dict[str, int],
    *,
    distribution: Distribution,
    subscriptions: bool,
    memory: int | None = None,
) -> Choice:
    """Sort the source's settings into taken over, taken over after promotion, and left.

    `memory` is this host's in bytes (found out when not given).
    """
    choice = Choice(floors=dict(floors))
    for setting in settings:
        name, value = setting.name, setting.value
        if name in _LIBRARY_LISTS:
            _choose_libraries(choice, name, value, distribution)
        elif name == "shared_buffers":
            choice.carried[name] = _clamped(choice, int(value), memory or host_memory())
        elif name == "lc_messages":
            # Our tools read the server's words; its users get their language afterwards.
            choice.later[name] = value
        elif name in HOT_STANDBY:
            continue
        elif _is_carried(name, setting.category):
            choice.carried[name] = value
        else:
            choice.left.append(name)
    if subscriptions:
        keep_subscriptions_still(choice)
    return choice


def keep_subscriptions_still(choice: Choice) -> None:
    """No logical replication worker shall start on promotion.

    The copied subscriptions would apply what the source's still apply; the launcher
    starts within milliseconds of the promotion, before anybody could disable them.
    """
    choice.later["max_logical_replication_workers"] = choice.carried.pop(
        "max_logical_replication_workers", "4"
    )
    choice.notes.append(
        (
            "standby.subscriptions_still",
            "The source has subscriptions. The destination runs without logical replication"
            " workers (max_logical_replication_workers = 0) until its next restart after the"
            " migration, so that they cannot apply twice.",
        )
    )


def _choose_libraries(choice: Choice, name: str, value: str, distribution: Distribution) -> None:
    libraries = [part.strip().strip('"') for part in value.split(",") if part.strip()]
    present = [lib for lib in libraries if distribution.has_library(lib)]
    if missing := [lib for lib in libraries if lib not in present]:
        choice.notes.append(
            (
                "standby.libraries_missing",
                f"{name}: {', '.join(missing)} left out, because PostgreSQL"
                f" {distribution.version} in {distribution.bin} does not have it.",
            )
        )
    quiet = [lib for lib in present if lib not in SELF_ACTING]
    if quiet != present:
        choice.later[name] = ", ".join(present)
        choice.notes.append(
            (
                "standby.libraries_later",
                f"{', '.join(lib for lib in present if lib in SELF_ACTING)} would act on its own"
                " at the promotion; it is loaded at the first restart after the migration.",
            )
        )
    if quiet:
        choice.carried[name] = ", ".join(quiet)


def _clamped(choice: Choice, pages: int, memory: int) -> str:
    most = int(memory * MEMORY_SHARE) // _PAGE
    if pages <= most:
        return str(pages)
    choice.notes.append(
        (
            "standby.memory_clamped",
            f"shared_buffers is {most * _PAGE // 2**20} MB instead of the source's"
            f" {pages * _PAGE // 2**20} MB: a quarter of this host's"
            f" {memory // 2**20} MB of memory.",
        )
    )
    return str(most)


def host_memory() -> int:
    """This host's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
