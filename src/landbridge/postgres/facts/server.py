"""The server as a whole: version, identity, settings, clock."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from .ask import Asker
from .timezones import read_timezones

_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Setting:
    """One row of pg_settings; `boot` is the built-in default."""

    name: str
    value: str
    unit: str | None = None
    origin: str = "default"
    file: str | None = None
    boot: str | None = None
    pending_restart: bool = False
    context: str = "user"
    category: str = ""

    @property
    def bytes(self) -> int:
        """The value in bytes; a negative one (none, unlimited) stays as it is.

        >>> Setting("shared_buffers", "2048", "8kB").bytes
        16777216
        """
        match = re.fullmatch(r"(\d*)([kMGT]?B)", self.unit or "B")
        number = int(self.value)
        if number < 0 or match is None:
            return number
        return number * int(match[1] or 1) * _BYTES[match[2]]

    @property
    def seconds(self) -> float:
        """The value in seconds; a negative one stays as it is."""
        number = float(self.value)
        return number if number < 0 else number * _SECONDS[self.unit or "s"]


@dataclass(frozen=True)
class ServerFacts:
    """One running server."""

    version: str
    """E.g. '15.18'."""
    platform: str
    """What version() says: architecture and compiler."""
    in_recovery: bool
    settings: Mapping[str, Setting]
    system_identifier: str | None = None
    timeline: int | None = None
    checksums: bool | None = None
    clock_offset: float = 0.0
    """Seconds its clock is ahead of ours, give or take half a round trip."""
    round_trip: float = 0.0
    """Seconds for the shortest question, best of three."""
    unix_socket: bool = False
    upstream: str | None = None
    """host:port it replicates from, if it is a standby that streams."""
    timezone_data: Mapping[str, float] = field(default_factory=dict)
    """Zone of a rule in timezones.py -> UTC offset in hours that this server computes."""

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def minor(self) -> int:
        return int(self.version.split(".")[1])

    def value(self, name: str) -> str:
        """The value of a setting; '' if this major does not have it."""
        return self.settings[name].value if name in self.settings else ""

    def number(self, name: str) -> int:
        """The value of a numeric setting in its own unit; 0 if this major lacks it."""
        return int(self.value(name) or 0)


def read_server(ask: Asker) -> ServerFacts:
    """Everything about the server itself; only the identity may be refused."""
    round_trip, offset = _clock(ask)
    (basic,) = ask.rows(
        "server",
        "SELECT current_setting('server_version') AS version, version() AS platform,"
        " pg_is_in_recovery() AS in_recovery, inet_client_addr() IS NULL AS unix_socket",
    ) or [None]
    identity = ask.row(
        "server.system_identifier",
        "SELECT system_identifier::text AS system_identifier, timeline_id AS timeline"
        " FROM pg_control_system(), pg_control_checkpoint()",
    )
    settings = ask.rows(
        "server.settings",
        "SELECT name, setting AS value, unit, source AS origin, sourcefile AS file,"
        " boot_val AS boot, pending_restart, context, category FROM pg_settings",
    )
    known = {row.name: Setting(**row._asdict()) for row in settings or []}
    upstream = None
    if ask.major >= 11:
        upstream = ask.row(
            "server.upstream",
            "SELECT sender_host || ':' || sender_port AS address FROM pg_stat_wal_receiver",
        )
    version = re.match(r"\d+(?:\.\d+)?", basic.version if basic else "")
    return ServerFacts(
        version=version[0] if version and "." in version[0] else f"{ask.major}.0",
        platform=basic.platform if basic else "",
        in_recovery=bool(basic and basic.in_recovery),
        settings=known,
        system_identifier=identity.system_identifier if identity else None,
        timeline=identity.timeline if identity else None,
        checksums=known["data_checksums"].value == "on" if "data_checksums" in known else None,
        clock_offset=offset,
        round_trip=round_trip,
        unix_socket=bool(basic and basic.unix_socket),
        upstream=upstream.address if upstream else None,
        timezone_data=read_timezones(ask),
    )


def _clock(ask: Asker) -> tuple[float, float]:
    best, offset = float("inf"), 0.0
    for _ in range(3):
        begin = time.time()
        row = ask.row("server.clock", "SELECT extract(epoch FROM clock_timestamp())::float8 AS t")
        took = time.time() - begin
        if row is not None and took < best:
            best, offset = took, row.t - (begin + took / 2)
    return (best if best != float("inf") else 0.0), offset
