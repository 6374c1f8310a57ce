"""What passes between a copy's parent, its child and its engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, Self

from ...postgres.conninfo import Conninfo, Secret

#: Marker file in a data directory that is not (yet) a cluster: a partial copy.
MARKER = "landbridge.partial"


class Phase(Enum):
    """What a copy is doing; `sentence` says it to a person."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Phase:
        member = object.__new__(cls)
        member._value_ = value
        member.sentence = sentence
        return member

    PREPARING = "preparing", "What an earlier attempt left is being removed."
    MEASURING = "measuring", "The speed of the line is being measured."
    CHECKPOINT = "checkpoint", "The source makes its checkpoint."
    COPYING = "copying", "Files and WAL are arriving."
    WAL = "wal", "The last WAL that the copy needs is awaited."
    SYNCING = "syncing", "The copy is being made durable."


@dataclass(frozen=True)
class CopySpec:
    """What to copy, from where, to where. Stored as spec.json; holds no password."""

    task: str
    folder: str
    """The copy's folder in the task's."""
    engine: str
    source: dict[str, str]
    """Connection parameters, with the path of a passfile."""
    system_identifier: str
    slot: str
    """Physical slot that reserves WAL from before the copy."""
    data: str
    tablespaces: dict[str, str]
    """Location on the source -> location here; others keep their location."""
    compression: str = "auto"
    """auto, none, or METHOD[:LEVEL[:WORKERS]]."""
    max_rate: int | None = None
    """Bytes per second on the line, WAL not counted."""
    sync: bool = True
    """Make the copy durable (fsync)."""
    os_account: int | None = None
    """Number of an account of its own that the files are to belong to, and that copies; it has
    the data directory and no tablespaces elsewhere. None: the usual one."""
    password: Secret | None = field(default=None, repr=False)
    """Never stored: of a copier to whom the passfile is closed."""

    @property
    def conninfo(self) -> Conninfo:
        return Conninfo(self.source, self.password).wary()

    @property
    def path(self) -> Path:
        return Path(self.data)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CopyProgress:
    """How far a copy has come; all sizes in bytes."""

    phase: Phase
    copied: int = 0
    """Uncompressed bytes of files received."""
    total: int = 0
    """Estimate of the source; it may shrink or grow under the copy."""
    rate: float = 0.0
    """Uncompressed bytes per second, smoothed over the last seconds."""
    eta: float | None = None
    """Seconds to the end of the files, None while unknown."""
    wire: int = 0
    """Bytes of files that came over the line."""
    wal_received: int = 0
    compression: str = "none"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "phase": self.phase.value}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        return cls(**{**raw, "phase": Phase(raw["phase"])})


@dataclass(frozen=True)
class CopyResult:
    """A finished copy; sizes in bytes, positions as PostgreSQL prints them."""

    bytes: int
    """Of files, as written."""
    wire_bytes: int
    seconds: float
    compression: str
    start_lsn: str
    end_lsn: str
    """The copy is consistent once WAL is replayed up to here."""
    timeline: int
    manifest: str
    """`verified`, or `none before 13`."""
    files: int
    wal_bytes: int
    tablespaces: dict[str, str] = field(default_factory=dict)
    """Location on the source -> location here."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Report = Callable[[CopyProgress], None]


class CopyEngine(Protocol):
    """A way to copy. Raises LandbridgeError or OSError; leaves the clean-up to the job."""

    name: str

    def run(self, spec: CopySpec, report: Report) -> CopyResult:
        """Copy, calling `report` a few times a second; return what was copied."""
        ...
