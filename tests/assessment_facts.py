"""The facts of a source, a line and a destination on which no check finds anything.

Tests change one thing in it and see which check speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from landbridge.assessment.facts import DestinationFacts, DestinationPlan, Facts, FenceAccount
from landbridge.postgres.facts.account import FENCE_PARAMETERS, Account, FenceRights, Role
from landbridge.postgres.facts.activity import Archiver, WalRate
from landbridge.postgres.facts.collations import Collation, LocalOrder, Order, TextIndex
from landbridge.postgres.facts.connect import Attempt, Reached
from landbridge.postgres.facts.databases import (
    Contents,
    Database,
    Extension,
    IndexHealth,
    Library,
    Tablespace,
)
from landbridge.postgres.facts.directory import Directory, Occupant
from landbridge.postgres.facts.line import Line
from landbridge.postgres.facts.programs import Programs
from landbridge.postgres.facts.server import ServerFacts, Setting
from landbridge.postgres.facts.source import SourceFacts
from landbridge.postgres.facts.tls import Tls

MB = 1024**2
GB = 1024**3
STARTED = "2026-03-01T12:00:00.000+00:00"
GERMAN = Order("i", "de")
ZONES = {"Europe/Volgograd": 3.0, "Africa/Cairo": 3.0}

SETTINGS = (
    Setting("wal_level", "replica"),
    Setting("max_wal_senders", "10"),
    Setting("max_replication_slots", "10"),
    Setting("max_connections", "100"),
    Setting("max_prepared_transactions", "0"),
    Setting("max_worker_processes", "8"),
    Setting("max_locks_per_transaction", "64"),
    Setting("max_slot_wal_keep_size", "-1", "MB"),
    Setting("wal_sender_timeout", "60000", "ms"),
    Setting("wal_compression", "off"),
    Setting("archive_mode", "off"),
    Setting("archive_command", ""),
    Setting("password_encryption", "scram-sha-256"),
    Setting("data_directory", "/srv/source"),
    Setting("config_file", "/srv/source/postgresql.conf"),
    Setting("hba_file", "/srv/source/pg_hba.conf"),
    Setting("ident_file", "/srv/source/pg_ident.conf"),
    Setting("ssl", "off"),
    Setting("block_size", "8192"),
    Setting("segment_size", "131072", "8kB"),
    Setting("shared_preload_libraries", "auto_explain"),
    Setting("synchronous_commit", "on"),
    Setting("synchronous_standby_names", ""),
)


def directory(path: str, **more: Any) -> Directory:
    """A directory that does not exist yet, on a disk with room."""
    return Directory(path, **{"occupant": Occupant.NOTHING, "free": 500 * GB, "device": 1, **more})


def healthy() -> Facts:
    """PostgreSQL 15 at 10.0.0.5, 100 GB, a 1 GB/s line, everything as it should be."""
    return Facts(
        plan=DestinationPlan(
            Path("/srv/new"),
            5433,
            tablespaces={"/disks/fast": "/srv/fast"},
            reserved_roles=("rdsadmin",),
            source_cidrs=("10.0.0.0/16",),
            cidrs=("10.1.0.0/16",),
            hba_given=True,
        ),
        user="migrator",
        address="db.example:5432",
        started=STARTED,
        reached=Reached(
            *(Attempt(True, 0.001),) * 4, seen_as="10.1.0.9", numeric="10.0.0.5",
            line=Line(1e9, 300 * MB, 1500, 1448, 0.001),
        ),
        destination=DestinationFacts(
            directory("/srv/new"), {"/disks/fast": directory("/srv/fast", device=2)},
            _programs(), (15, 16),
        ),
        source=_source(),
        fence=FenceAccount(
            "boss", True, Attempt(True),
            FenceRights("boss", False, "postgres", FENCE_PARAMETERS, True, True, True),
        ),
        source_free=200 * GB,
    )  # fmt: skip


def _programs() -> Programs:
    return Programs(
        "15.19", "installed", "/usr/lib/postgresql/15/bin", "2.36", "72", True, "x86_64",
        compiled={"block_size": 8192, "segment_size": 131072},
        extensions={"plpgsql": "1.0", "pg_trgm": "1.6"},
        libraries={"$libdir/pg_trgm": True, "auto_explain": True},
        timezone_data=ZONES,
        orders={GERMAN: LocalOrder("aaaa", "153.120")},
    )  # fmt: skip


def database(name: str = "app", **more: Any) -> Database:
    return Database(
        **{
            "name": name, "size": 100 * GB, "connectable": True, "allows": True,
            "template": False, "collate": "C.UTF-8", "ctype": "C.UTF-8", "provider": "c",
            "icu_locale": None, "recorded": None, "actual": None, "checksum_failures": 0, **more,
        }
    )  # fmt: skip


def collation(**more: Any) -> Collation:
    return Collation(
        **{
            "database": "app", "oid": 77, "schema": "pg_catalog", "name": "de-x-icu",
            "order": GERMAN, "recorded": "153.120", "actual": "153.120", "fingerprint": "aaaa",
            **more,
        }
    )  # fmt: skip


def contents(**more: Any) -> Contents:
    """What lies in the database `app`."""
    return Contents(
        **{
            "database": "app",
            "extensions": (Extension("pg_trgm", "1.6", "app"),),
            "libraries": (Library("$libdir/pg_trgm", 31, "app"),),
            "collations": (collation(),),
            "text_indexes": (TextIndex("public.names", (77,), 8 * MB, "app"),),
            "indexes": IndexHealth("app", True, True, 20),
            **more,
        }
    )


def _source() -> SourceFacts:
    return SourceFacts(
        server=ServerFacts(
            "15.18",
            "PostgreSQL 15.18 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit",
            in_recovery=False,
            settings={s.name: s for s in SETTINGS},
            system_identifier="7000000000000000001",
            timeline=1,
            checksums=True,
            clock_offset=0.002,
            round_trip=0.001,
            timezone_data=ZONES,
        ),
        account=Account("migrator", False, True, True, True),
        roles=(Role("migrator", False, True, True), Role("app", False, True, False)),
        overrides=(),
        foreign_names=(),
        databases=(database(),),
        contents=(contents(),),
        tablespaces=(Tablespace("fast", "/disks/fast", 10 * GB),),
        sessions=(),
        prepared=(),
        slots=(),
        standbys=(),
        subscriptions=(),
        archiver=Archiver(0, 0, False, None),
        wal=WalRate(2 * MB, 1.0, 500 * MB),
        tls=Tls(True, True, "TLSv1.3"),
        auth_method="scram-sha-256",
    )


def change(facts: Facts, **changes: Any) -> Facts:
    """The facts with some values replaced; `__` leads into a value.

    `change(facts, source__server__version="9.6.1")`
    """
    for path, value in changes.items():
        facts = _replaced(facts, path.split("__"), value)
    return facts


def with_setting(
    facts: Facts, name: str, value: str, unit: str | None = None, **more: Any
) -> Facts:
    """The facts with another setting on the source."""
    assert facts.source is not None
    settings = {**facts.source.server.settings, name: Setting(name, value, unit, **more)}
    return change(facts, source__server__settings=settings)


def _replaced(of: Any, path: list[str], value: Any) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(of, Mapping):
        return {**of, name: _replaced(of[name], rest, value) if rest else value}
    return replace(of, **{name: _replaced(getattr(of, name), rest, value) if rest else value})
