"""One bad thing for each check, and what the check must say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assessment_facts import (
    GB,
    GERMAN,
    MB,
    change,
    collation,
    contents,
    database,
    directory,
    healthy,
    with_setting,
)
from landbridge.assessment.facts import Facts, Port
from landbridge.assessment.model import Level
from landbridge.postgres.facts.account import FenceRights, HbaLine, Override, Role
from landbridge.postgres.facts.activity import (
    Archiver,
    PreparedTransaction,
    Session,
    Slot,
    Standby,
    Subscription,
    WalRate,
)
from landbridge.postgres.facts.collations import LocalOrder
from landbridge.postgres.facts.connect import Attempt, Reached
from landbridge.postgres.facts.databases import (
    Extension,
    ForeignServer,
    IndexHealth,
    Library,
    Publication,
    Unlogged,
)
from landbridge.postgres.facts.directory import Occupant
from landbridge.postgres.facts.line import Line
from landbridge.postgres.facts.names import ForeignName
from landbridge.postgres.facts.neighbours import Neighbour, Relation
from landbridge.postgres.facts.tls import Tls
from landbridge.postgres.refusal import Refusal

E, W, INFO = Level.ERROR, Level.WARNING, Level.INFO


@dataclass(frozen=True)
class Case:
    """`change` made to healthy facts gives a finding of `level`.

    `says` are pieces of its cause and remedy, `line` a piece of one line of its fixes.
    """

    id: str
    level: Level
    change: Callable[[Facts], Facts]
    says: str
    line: str | None = None
    automatic: bool = False
    why: str = ""


def _set(**changes: Any) -> Callable[[Facts], Facts]:
    return lambda facts: change(facts, **changes)


def _guc(name: str, value: str, unit: str | None = None, **more: Any) -> Callable[[Facts], Facts]:
    return lambda facts: with_setting(facts, name, value, unit, **more)


def _both(*steps: Callable[[Facts], Facts]) -> Callable[[Facts], Facts]:
    def run(facts: Facts) -> Facts:
        for step in steps:
            facts = step(facts)
        return facts

    return run


def _app(**more: Any) -> Callable[[Facts], Facts]:
    """Other contents of the database `app`."""
    return _set(source__contents=(contents(**more),))


def _refused(kind: Refusal, message: str) -> Attempt:
    return Attempt(False, 0.1, kind, message)


def _no_login(kind: Refusal, message: str) -> Callable[[Facts], Facts]:
    login = _refused(kind, message)
    return _set(reached__login=login, reached__replication=login, source=None, fence=None)


def _no_replication(kind: Refusal, message: str) -> Callable[[Facts], Facts]:
    return _set(reached__replication=_refused(kind, message))


_SESSION: dict[str, Any] = {
    "pid": 4711, "user": "app", "database": "app", "application": "batch", "state": "active",
    "transaction_seconds": 4000.0, "idle_seconds": 4000.0, "writes": True,
}  # fmt: skip
_IDLE = Session(**{**_SESSION, "state": "idle in transaction"})
_AWAY = ForeignServer("away", "postgres_fdw", "reports.example", None, "app")
_HOME = ForeignServer("home", "postgres_fdw", "localhost", None, "app")
_LOGICAL = Slot("cdc", "logical", "app", True, 0)
_PLAIN = FenceRights("migrator", False, "postgres")

CONNECTION = (
    Case("connect.address", E,
         _set(reached=Reached(_refused(Refusal.ADDRESS, "Name or service not known")),
              source=None, fence=None), "Name or service not known", "ip route get db.example"),
    Case("connect.port", E,
         _set(reached__port=_refused(Refusal.PORT, "Connection refused"), reached__login=None,
              reached__replication=None, source=None, fence=None),
         "port 5432 is closed", "listen_addresses"),
    Case("connect.login", E, _no_login(Refusal.PASSWORD, "password authentication failed"),
         "expired", '\\password "migrator"', why="password"),
    Case("connect.login", E, _no_login(Refusal.NO_HBA_LINE, 'no pg_hba.conf entry for host "x"'),
         "no pg_hba.conf entry", "host all migrator 10.1.0.9/32 md5", why="hba"),
    Case("connect.login", E, _no_login(Refusal.NO_ROLE, 'role "migrator" does not exist'),
         "does not exist", 'CREATE ROLE "migrator" LOGIN CREATEROLE REPLICATION;', why="role"),
    Case("connect.login", E, _no_login(Refusal.TIMEOUT, "connection timeout expired"),
         "Most probably the line between the two networks has next to no bandwidth", why="line"),
    Case("connect.login", E, _no_login(Refusal.OTHER, "Passwort-Authentifizierung fehlgeschlagen"),
         "Passwort-Authentifizierung fehlgeschlagen", why="other language"),
    Case("connect.replication", E,
         _no_replication(Refusal.NO_HBA_LINE, "no pg_hba.conf entry for replication"),
         "do not cover replication", "host replication migrator 10.1.0.9/32 scram-sha-256",
         why="hba"),
    Case("connect.replication", E,
         _both(_no_replication(Refusal.NO_REPLICATION, "must be superuser or replication role"),
               _set(source__account__replication=False)),
         "REPLICATION attribute", 'ALTER ROLE "migrator" REPLICATION;', True, "attribute"),
    Case("connect.replication", E, _no_replication(Refusal.NO_WALSENDER, "max_wal_senders"),
         "taken", "ALTER SYSTEM SET max_wal_senders = '20';", True, "senders"),
    Case("connect.createrole", E, _set(source__account__createrole=False), "CREATEROLE",
         'ALTER ROLE "migrator" CREATEROLE;', True),
    Case("connect.pg_monitor", E, _set(source__account__monitor=False), "pg_monitor",
         'GRANT pg_monitor TO "migrator";', True),
    Case("connect.expiry", W,
         _set(source__account__valid_until=datetime(2026, 3, 3, 12, tzinfo=UTC)),
         "expires in 2 d", "VALID UNTIL 'infinity'", True),
    Case("connect.limit", W, _set(source__account__connection_limit=2), "2 connections at a time",
         'ALTER ROLE "migrator" CONNECTION LIMIT -1;', True),
    Case("connect.databases", W,
         _set(source__databases=(database(), database("closed", connectable=False))),
         "no CONNECT on closed", 'GRANT CONNECT ON DATABASE "closed" TO "migrator";', True),
    Case("connect.databases", INFO,
         _set(source__databases=(database("sealed", connectable=False, allows=False),)),
         "sealed admit no connections", why="sealed"),
    Case("connect.databases", W, _set(source__unseen={"database app": "timeout"}), "timeout",
         why="refused"),
)  # fmt: skip

ROUTE = (
    Case("network.cidr", E, _set(plan__cidrs=("10.0.128.0/17",)), "overlaps"),
    Case("network.line", E, _set(reached__line=Line(None, 70_000, 1500)),
         "stalled after 68.4 kB. Packets of full size do arrive", why="stall"),
    Case("network.line", E, _set(reached__line=Line(None, 0, 1500), source=None, fence=None),
         "1 kbit/s", "ping -M do -s 1472 10.0.0.5", why="silence"),
    Case("network.line", W, _set(reached__line=Line(1e6, MB, 1500)), "about 1 d", why="slow"),
    Case("network.mtu", W, _set(reached__line__mtu=576), "576 bytes", "tracepath 10.0.0.5"),
    Case("network.latency", INFO, _set(source__server__round_trip=0.25), "250 ms"),
)  # fmt: skip

PLATFORM = (
    Case("version.major", E, _set(source__server__version="16.4"), "PostgreSQL 16.4",
         "apt-get install postgresql-16"),
    Case("version.major", E, _set(source__server__version="9.6"), "oldest", why="old"),
    Case("version.major", E, _set(destination__programs=None), "needs server programs",
         "postgresql-15", why="none"),
    Case("version.minor", W, _set(source__server__version="15.20"), "older", "postgresql-15"),
    Case("platform.architecture", E, _set(destination__programs__architecture="aarch64"),
         "x86_64, this host is aarch64"),
    Case("platform.architecture", E,
         _set(source__server__platform="PostgreSQL 15.18, compiled by Visual C++ build 1942"),
         "windows", why="windows"),
    Case("platform.sizes", E, _guc("block_size", "32768"), "block_size is 32768"),
    Case("platform.checksums", INFO, _set(source__server__checksums=False), "no data checksums",
         "pg_checksums --enable -D /srv/new"),
    Case("clock.difference", INFO, _set(source__server__clock_offset=-90.0), "90.0 s behind"),
    Case("clock.timezone_data", INFO,
         _set(source__server__timezone_data={"Europe/Volgograd": 4.0, "Africa/Cairo": 2.0}),
         "Africa/Cairo, Europe/Volgograd"),
)  # fmt: skip

_CLUSTER = {"occupant": Occupant.CLUSTER, "samples": ("base/16384",)}
_EMPTY = {"occupant": Occupant.EMPTY_CLUSTER, "major": 15}
_LIVE = Neighbour(Relation.SAME, "/srv/new", source=True, pid=99)
_ROUND = Neighbour(Relation.INSIDE, "/disks/fast", tablespace=True, pid=99)
DESTINATION = (
    Case("destination.empty", E,
         _set(destination__directory=directory("/srv/new", major=16, **_CLUSTER)),
         "a cluster of PostgreSQL 16 with contents (base/16384)", "ls -lA /srv/new", why="cluster"),
    Case("destination.empty", E,
         _set(destination__directory=directory("/srv/new", occupant=Occupant.FILES)),
         "other files", "ls -lA /srv/new", why="files"),
    Case("destination.empty", E,
         _set(destination__directory=directory("/srv/new", occupant=Occupant.PARTIAL_COPY)),
         "partial copy", "landbridge tasks", why="partial"),
    Case("destination.empty", E, _set(destination__directory=directory("/srv/new", **_EMPTY)),
         "an empty cluster of PostgreSQL 15", "--replace-empty", why="empty cluster"),
    Case("destination.empty", INFO,
         _set(destination__directory=directory("/srv/new", **_EMPTY),
              plan__replaces_empty_cluster=True),
         "set aside", why="replaced"),
    Case("destination.empty", E,
         _set(destination__directory=directory("/srv/new", **(_EMPTY | {"major": 16})),
              plan__replaces_empty_cluster=True),
         "an empty cluster of PostgreSQL 16; the source is PostgreSQL 15", why="other major"),
    Case("destination.empty", INFO,
         _set(destination__directory=directory("/srv/new", occupant=Occupant.UNSEEN)),
         "cannot be seen", why="unseen"),
    Case("destination.identity", E,
         _set(destination__directory__system_identifier="7000000000000000001"),
         "the same cluster"),
    Case("destination.running", E, _set(destination__neighbours={"/srv/new": (_LIVE,)}),
         "/srv/new is the source's own data directory (process 99)", why="source"),
    Case("destination.running", E, _set(destination__neighbours={"/srv/new": (_ROUND,)}),
         "/srv/new lies inside /disks/fast, the tablespace of a running server", why="inside"),
    Case("destination.port", E, _set(destination__port=Port.TAKEN), "port 5433", "sport = :5433"),
    Case("destination.port", E, _set(destination__port=Port.CLOSED), "privileged", why="low"),
    Case("destination.access", E,
         _set(destination__directory__reachable=False, destination__directory__blocked_at="/srv"),
         "may not enter /srv", "chmod o+x /srv", why="closed"),
    Case("destination.access", E,
         _set(destination__directory__writable=False, destination__directory__blocked_at="/srv"),
         "may not write to /srv", "ls -ld /srv", why="not writable"),
    Case("destination.path", W, _set(plan__data=Path("/srv/it's/15")), "over TCP", why="odd"),
    Case("destination.path", W, _set(plan__data=Path('/srv/"new"/15')), "pg_ctl", why="quotes"),
    Case("destination.disk", E, _set(destination__directory__free=50 * GB), "50 GB free",
         "df -h /srv/new"),
    Case("destination.disk", E,
         _set(destination__tablespaces={"/disks/fast": directory("/srv/fast", device=2, free=GB)}),
         "/srv/fast has 1 GB free", why="tablespace"),
    Case("destination.tablespaces", E,
         _set(destination__tablespaces={"/disks/fast": directory("/disks/fast", **_CLUSTER)}),
         "is not empty", "--tablespace /disks/fast=", why="taken"),
    Case("destination.tablespaces", E,
         _set(destination__tablespaces={"/disks/fast": directory("/srv/new/fast")}),
         "inside the data directory", why="inside"),
    Case("destination.tablespaces", E,
         _set(destination__tablespaces={"/disks/fast": directory("/srv")}),
         "holds the data directory", why="around"),
    Case("destination.tablespaces", E,
         _set(plan__tablespaces={"/disks/fats": "/srv/fast"}),
         "no tablespace at /disks/fats; there are /disks/fast", why="unknown"),
)  # fmt: skip

WAL = (
    Case("wal.level", E, _both(_guc("wal_level", "minimal"), _guc("max_wal_senders", "0")),
         "minimal", "ALTER SYSTEM SET wal_level = 'replica';", True),
    Case("wal.level", E, _guc("wal_level", "minimal", pending_restart=True),
         "only the restart is missing", why="pending"),
    Case("wal.senders", E, _guc("max_wal_senders", "1"), "1 of 1", "max_wal_senders = '10'", True),
    Case("wal.senders", W, _guc("max_wal_senders", "2"), "2 of 2", "max_wal_senders = '10'", True,
         "two"),
    Case("wal.slots", E, _guc("max_replication_slots", "0"), "no replication slots",
         "ALTER SYSTEM SET max_replication_slots = '10';", True),
    Case("wal.retention", E, _guc("max_slot_wal_keep_size", "0", "MB"), "first delay",
         "max_slot_wal_keep_size = '64GB'"),
    Case("wal.retention", W, _set(source__wal=WalRate(50 * MB, 1.0)), "5 min 28 s",
         "--wal-budget 64GB", why="budget"),
    Case("wal.retention", W, _guc("idle_replication_slot_timeout", "600", "s"), "10 min",
         "idle_replication_slot_timeout = '0'", True, "slot timeout"),
    Case("wal.rate", E, _set(source__wal=WalRate(2000 * MB, 1.0)), "fall behind for ever",
         "wal_compression = 'on'"),
    Case("wal.rate", W, _set(source__wal=WalRate(600 * MB, 1.0)), "to catch up", why="slowly"),
    Case("wal.source_disk", INFO, _set(source_free=None), "cannot be seen from here (pg_wal holds"
         " 500 MB", "df -h /srv/source"),
    Case("wal.source_disk", INFO,
         _both(_guc("data_directory", ""), _set(source_free=None, source__wal=None)),
         "cannot be seen from here. While", why="nothing known"),
    Case("wal.source_disk", W, _set(source_free=GB), "1 GB free", "--wal-budget 512MB", why="full"),
    Case("wal.sender_timeout", W, _guc("wal_sender_timeout", "0", "ms"), "never notices",
         "wal_sender_timeout = '60s'", True),
    Case("wal.sender_timeout", W, _guc("wal_sender_timeout", "2000", "ms"), "2.0 s", why="short"),
    Case("wal.compression", INFO, _set(reached__line=Line(50e6, MB, 1500)),
         "wal_compression is off", "wal_compression = 'on'"),
    Case("wal.archive", W,
         _both(_guc("archive_mode", "on"), _guc("archive_command", "cp %p /archive/%f")),
         "will not archive", "--archive-command"),
    Case("wal.archive", E,
         _both(_guc("archive_mode", "on"), _guc("archive_command", "cp %p /archive/%f"),
               _set(plan__archive_command="cp %p /archive/%f")),
         "one archive", why="same"),
    Case("wal.archiver", W, _set(source__archiver=Archiver(1, 7, True, "000000010000000000000007")),
         "000000010000000000000007, 7 times", "pg_stat_archiver"),
)  # fmt: skip

SETTINGS = (
    Case("settings.refused", E,
         _set(plan__settings={"wrok_mem": "1"},
              destination__refused_settings={"wrok_mem": "unrecognized parameter"}),
         "wrok_mem = 1 is refused by PostgreSQL 15.19: unrecognized parameter"),
    Case("settings.refused", E, _set(plan__settings={"superuser_reserved_connections": "100"}),
         "100 are reserved", why="clash"),
    Case("settings.refused", E, _set(plan__settings={"wal_level": "minimal"}), "wal_level",
         why="minimal"),
    Case("settings.hot_standby", W, _set(plan__settings={"max_connections": "50"}),
         "max_connections = 50 (the source has 100)", "max_connections = 100"),
    Case("settings.files", INFO, _guc("hba_file", "/etc/postgresql/15/main/pg_hba.conf"),
         "/etc/postgresql/15/main/pg_hba.conf"),
    Case("settings.files", INFO, _guc("work_mem", "64", "MB", file="/srv/conf.d/a.conf"),
         "included: /srv/conf.d/a.conf", why="include"),
    Case("settings.tls", W,
         _both(_guc("ssl", "on"), _guc("ssl_cert_file", "/etc/ssl/server.crt")),
         "sslmode=require will fail", "--set ssl=on"),
    Case("settings.tls", E, _set(plan__settings={"ssl": "on"}), "no certificate",
         "ssl_cert_file=", why="no file"),
    Case("settings.left", INFO,
         _guc("log_directory", "/var/log/pg", origin="configuration file", boot="log",
              category="Reporting and Logging / Where to Log"),
         "log_directory", "log_directory = '/var/log/pg'"),
    Case("settings.left", INFO,
         _guc("dynamic_library_path", "/opt/lib:$libdir", origin="configuration file",
              category="Client Connection Defaults / Other Defaults"),
         "dynamic_library_path", why="path"),
)  # fmt: skip

EXTENSIONS = (
    Case("extension.missing", E, _app(extensions=(Extension("postgis", "3.4", "app"),)),
         "postgis is installed in app", "apt-get install postgresql-15-postgis-3"),
    Case("extension.missing", E, _app(extensions=(Extension("hstore", "1.8", "app"),)),
         "hstore is installed in app", "apt-get install postgresql-15", why="contrib"),
    Case("extension.missing", E, _app(extensions=(Extension("vector", "0.8", "app"),)),
         "vector is installed in app", "apt-get install postgresql-15-pgvector", why="vector"),
    Case("extension.missing", E,
         _both(_app(extensions=(Extension("hstore", "1.8", "app"),)),
               _set(destination__programs__bin="/usr/pgsql-15/bin")),
         "Install it", "dnf install postgresql15-contrib", why="red hat"),
    Case("extension.missing", E, _app(extensions=(Extension("timescaledb", "2", "app"),)),
         "which package has it for the programs in /usr/lib/postgresql/15/bin is not known",
         'DROP EXTENSION "timescaledb";', why="unknown"),
    Case("extension.version", E, _app(extensions=(Extension("pg_trgm", "1.10", "app"),)),
         "1.10 in database app", "apt-get install postgresql-15", why="newer"),
    Case("extension.version", INFO, _app(extensions=(Extension("pg_trgm", "1.5", "app"),)),
         "pg_trgm 1.5", 'ALTER EXTENSION "pg_trgm" UPDATE;', why="older"),
    Case("library.preload", W,
         _both(_guc("shared_preload_libraries", "pgaudit"),
               _set(destination__programs__libraries={"pgaudit": False})),
         "will run without", "postgresql-15-pgaudit"),
    Case("library.preload", E,
         _set(source__overrides=(Override("app", None, "session_preload_libraries", "x"),),
              destination__programs__libraries={"x": False}),
         "would not start", why="override"),
    Case("library.functions", E,
         _both(_app(libraries=(Library("$libdir/own", 2, "app"),)),
               _set(destination__programs__libraries={"$libdir/own": False})),
         "library $libdir/own", "probin = '$libdir/own'"),
    Case("extension.jobs", W, _app(extensions=(Extension("pg_cron", "1.6", "app"),)),
         "pg_cron in app"),
)  # fmt: skip

_OTHER = {GERMAN: LocalOrder("bbbb", "153.80")}
COLLATION = (
    Case("collation.order", E, _set(destination__programs__orders=_OTHER),
         "1 index, 8 MB in all, would be out of order: public.names", "REINDEX INDEX public.names"),
    Case("collation.order", W,
         _set(destination__programs__orders=_OTHER, plan__reindex=True), "rebuilt after",
         why="reindex"),
    Case("collation.order", INFO, _set(destination__programs__canary_failed="no room"), "no room",
         why="failed"),
    Case("collation.version", W,
         _set(destination__programs__orders={GERMAN: LocalOrder("aaaa", "153.80")}),
         "version 153.120 of its library on the source and 153.80 here", "--reindex"),
    Case("collation.version", INFO,
         _app(collations=(collation(fingerprint=None, actual=None),)), "neither by version",
         why="unknown"),
    Case("collation.locale", E,
         _both(_set(source__databases=(database(collate="de_DE.UTF-8"),)),
               _set(destination__programs__missing_locales=("de_DE.UTF-8",))),
         "de_DE.UTF-8, used by app", "localedef -i de_DE -f UTF-8 de_DE.UTF-8"),
    Case("collation.locale", E, _set(destination__programs__icu=None), "without ICU", why="icu"),
    Case("collation.outdated", W,
         _set(source__databases=(database(recorded="2.31", actual="2.36"),)), "2.31",
         'ALTER DATABASE "app" REFRESH COLLATION VERSION;'),
    Case("collation.outdated", W, _app(collations=(collation(recorded="153.14"),)), "153.14",
         'ALTER COLLATION "pg_catalog"."de-x-icu" REFRESH COLLATION VERSION;', why="collation"),
)  # fmt: skip

CONTENT = (
    Case("content.unlogged", W, _app(unlogged=(Unlogged("public.cache", 3 * MB, "app"),)),
         "app.public.cache (3 MB)", "ALTER TABLE public.cache SET LOGGED;"),
    Case("content.names", E, _set(source__foreign_names=(ForeignName("ROLE", 16385, "r\\xe9"),)),
         "role r\\xe9", "RENAME TO role_16385"),
    Case("content.foreign_servers", W, _app(foreign_servers=(_HOME,)), "home in app (localhost)",
         'ALTER SERVER "home" OPTIONS (SET host'),
    Case("content.foreign_servers", INFO, _app(foreign_servers=(_AWAY,)), "reports.example",
         why="away"),
    Case("content.pages", W, _set(source__databases=(database(checksum_failures=2),)), "app (2)",
         "checksum_last_failure"),
    Case("content.pages", INFO, _set(source__databases=(database(checksum_failures=None),)),
         "cannot be seen", why="not counted"),
    Case("content.indexes", W,
         _app(indexes=IndexHealth("app", True, True, 1, (("public.i", "high key invariant"),))),
         "high key invariant", "REINDEX INDEX public.i;"),
    Case("content.indexes", INFO, _app(indexes=IndexHealth("app", False, False)),
         "could not be checked", "CREATE EXTENSION amcheck;", why="no amcheck"),
    Case("roles.reserved", E, _set(source__roles=(Role("rdsadmin", False, True, False),)),
         "rdsadmin", 'ALTER ROLE "rdsadmin" RENAME TO "rdsadmin_old";'),
    Case("roles.superusers", INFO, _set(source__roles=(Role("root", True, True, True),)), "root"),
)  # fmt: skip

ACTIVITY = (
    Case("transactions.prepared", E,
         _set(source__prepared=(PreparedTransaction("it's", "app", "app", 90.0),)),
         "it's of app in app, 1 min 30 s old", "ROLLBACK PREPARED 'it''s';"),
    Case("transactions.long", W, _set(source__sessions=(Session(**_SESSION),)),
         "1 h 6 min, writing", "pg_terminate_backend(4711)"),
    Case("transactions.idle", W, _set(source__sessions=(_IDLE,)), "1 h 6 min",
         "pg_terminate_backend(4711)"),
)  # fmt: skip

_DISABLED = Subscription("s", "app", False, False)
REPLICATION = (
    Case("replication.primary", E,
         _set(source__server__in_recovery=True, source__server__upstream="10.0.0.4:5432"),
         "standby of 10.0.0.4:5432"),
    Case("replication.slots", W, _set(source__slots=(_LOGICAL,)), "cdc (app)",
         "pg_replication_slots"),
    Case("replication.held", W, _set(source__slots=(Slot("old", "physical", None, False, 9 * GB),)),
         "old (9 GB)", "pg_drop_replication_slot('old')"),
    Case("replication.standbys", INFO,
         _set(source__standbys=(Standby("rep", "replica1", "10.0.0.6", "streaming", "async"),)),
         "replica1 at 10.0.0.6"),
    Case("replication.publications", INFO, _app(publications=(Publication("pub", "app"),)),
         "pub in app"),
    Case("replication.subscriptions", W,
         _set(source__subscriptions=(Subscription("s", "app", True, True),)), "s in app",
         'ALTER SUBSCRIPTION "s" DISABLE;'),
    Case("replication.subscriptions", INFO, _set(source__subscriptions=(_DISABLED,)), "Disabled",
         why="disabled"),
)  # fmt: skip

_READ_WRITE = Override("app", "app", "default_transaction_read_only", "off")
SWITCHOVER = (
    Case("fence.account", E,
         _set(fence__login=_refused(Refusal.PASSWORD, "no"), fence__rights=None),
         "boss, cannot log in"),
    Case("fence.account", INFO, _set(fence__separate=False, fence__rights=_PLAIN),
         "you stop the writes yourself", "--fence-as", why="none given"),
    Case("fence.rights", E, _set(fence__rights=_PLAIN), "ALTER SYSTEM on synchronous_standby_names",
         'GRANT pg_signal_backend TO "migrator";', True),
    Case("fence.rights", E, _set(plan__fence="lockout"), "superuser", "--fence-as", why="lockout"),
    Case("fence.rights", E, _set(fence__rights=_PLAIN, source__server__version="14.1"),
         "pg_reload_conf()", "--fence-as", why="before 15"),
    Case("fence.overrides", W, _set(source__overrides=(_READ_WRITE,)),
         'ROLE "app" IN DATABASE "app"',
         'ALTER ROLE "app" IN DATABASE "app" RESET default_transaction_read_only;', True),
    Case("fence.weak_commits", W,
         _set(source__overrides=(Override(None, "app", "synchronous_commit", "off"),)),
         'DATABASE "app"', 'ALTER DATABASE "app" RESET synchronous_commit;', True),
    Case("fence.weak_commits", INFO, _guc("synchronous_commit", "local"), "local", why="server"),
    Case("fence.sync_names", INFO, _guc("synchronous_standby_names", "ANY 1 (a, b)"),
         "ANY 1 (a, b)"),
)  # fmt: skip

_HBA = HbaLine("host", ("all",), ("app",), "10.2.0.0 255.255.0.0", "scram-sha-256")
SECURITY = (
    Case("tls.used", W, _set(source__tls=Tls(False, True)), "although the source offers TLS",
         "sslmode=verify-full", why="offered"),
    Case("tls.used", W, _set(source__tls=Tls(False, False)), "offers no TLS", "ssl = on"),
    Case("tls.certificate", W,
         _set(source__tls=Tls(True, True, expires=datetime(2026, 3, 10, tzinfo=UTC))),
         "ends on 2026-03-10", why="expiry"),
    Case("tls.certificate", INFO, _set(source__tls=Tls(True, True, problem="self-signed")),
         "self-signed", "sslrootcert"),
    Case("auth.method", W, _set(source__auth_method="none", source__tls=Tls(False, False)),
         "trust", why="trust"),
    Case("auth.method", INFO, _set(source__auth_method="md5"), "md5", '\\password "migrator"'),
    Case("auth.hba", INFO, _set(plan__hba_given=False), "cannot be seen by migrator"),
    Case("auth.hba", INFO, _set(plan__hba_given=False, source__hba=(_HBA,)), "1 line for",
         "host all app 10.2.0.0 255.255.0.0 scram-sha-256", why="superuser"),
)  # fmt: skip

CASES: tuple[Case, ...] = (
    *CONNECTION, *ROUTE, *PLATFORM, *DESTINATION, *WAL, *SETTINGS, *EXTENSIONS, *COLLATION,
    *CONTENT, *ACTIVITY, *REPLICATION, *SWITCHOVER, *SECURITY,
)  # fmt: skip


def facts_of(case: Case) -> Facts:
    return case.change(healthy())
