"""All that an assessment knows, frozen; checks read this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..postgres.distribution import Distribution
from ..postgres.facts.account import FenceRights
from ..postgres.facts.connect import Attempt, Reached
from ..postgres.facts.directory import Directory
from ..postgres.facts.neighbours import Neighbour
from ..postgres.facts.programs import Programs
from ..postgres.facts.source import SourceFacts


@dataclass(frozen=True)
class DestinationPlan:
    """Where the cluster shall go, and how the migration is meant to run."""

    data: Path
    port: int
    distribution: Distribution | None = None
    """Server programs of the source's major, or None if this host has none."""
    tablespaces: Mapping[str, str] = field(default_factory=dict)
    """Location on the source -> location here."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The user's own postgresql.conf settings for the destination."""
    wal_budget: int = 16 * 1024**3
    """Bytes of WAL our slot may keep on the source."""
    max_rate: int | None = None
    """Bytes per second the copy may take."""
    fence: str = "sync"
    wal_policy: str = "protect-source"
    archive_command: str | None = None
    replaces_empty_cluster: bool = False
    """An empty cluster of the source's major that lies there may be set aside."""
    reindex: bool = False
    """Whether indexes whose order changes shall be rebuilt after the promotion."""
    hba_given: bool = False
    """Whether the user brings pg_hba lines of their own for the destination."""
    reserved_roles: tuple[str, ...] = ()
    """Role names that the destination's own service needs."""
    listen: str = ""
    """Addresses it shall listen on, as in `listen_addresses`; empty: any."""
    source_cidrs: tuple[str, ...] | None = None
    """Address blocks of the source's network, where somebody knows them."""
    cidrs: tuple[str, ...] | None = None
    """Address blocks of the destination's network."""
    os_account: int | None = None
    """Number of the account that shall run the server; None: the usual one."""


class Port(Enum):
    """Whether the destination can listen on its port."""

    FREE = "free"
    TAKEN = "taken"
    """Something listens there."""
    CLOSED = "closed"
    """Only privileged processes may listen there, which no PostgreSQL server is."""


@dataclass(frozen=True)
class DestinationFacts:
    """The place the cluster shall go to."""

    directory: Directory
    tablespaces: Mapping[str, Directory] = field(default_factory=dict)
    """Location on the source -> the directory here that will hold it."""
    programs: Programs | None = None
    majors: tuple[int, ...] = ()
    """Majors whose programs this host has."""
    neighbours: Mapping[str, tuple[Neighbour, ...]] = field(default_factory=dict)
    """Each of these directories -> the clusters' directories it touches."""
    refused_settings: Mapping[str, str] = field(default_factory=dict)
    """Setting of the plan -> the server programs' own words why they refuse it."""
    port: Port = Port.FREE


@dataclass(frozen=True)
class FenceAccount:
    """The account that shall make the source read-only."""

    user: str
    separate: bool
    """Given with --fence-as; otherwise it is the migration account itself."""
    login: Attempt
    rights: FenceRights | None = None


@dataclass(frozen=True)
class Facts:
    """Everything gathered for one assessment."""

    plan: DestinationPlan
    user: str
    """The role to log in as on the source."""
    address: str
    """host:port of the source, as given."""
    started: str
    """When gathering began, in UTC, ISO 8601."""
    reached: Reached
    destination: DestinationFacts
    source: SourceFacts | None = None
    """None if the login failed."""
    fence: FenceAccount | None = None
    source_free: int | None = None
    """Free bytes on the source's disk, where that can be seen."""
