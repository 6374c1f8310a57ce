"""What an assessment says: levels, fixes, findings, the report.

A check yields `Verdict`s; with the id and the title of its check a verdict becomes
a `Finding`; all findings of one run are a `Report`. Rendering is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal, Self


class Level(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    """Blocks the migration unless it is waived by its id."""
    WARNING = "warning"
    """Does not block; something will be different, slower or riskier than expected."""
    INFO = "info"
    """Explains: a consequence of the move, or what could not be seen."""
    OK = "ok"
    """The check found nothing in the way."""


class Group(Enum):
    """The chapters of the report, in its order; the value is the heading."""

    CONNECTION = "Connection"
    ROUTE = "Route and bandwidth"
    PLATFORM = "Versions and platform"
    DESTINATION = "Destination"
    WAL = "Write-ahead log"
    SETTINGS = "Settings"
    EXTENSIONS = "Extensions and libraries"
    COLLATION = "Collations"
    CONTENT = "Contents"
    ACTIVITY = "Activity"
    REPLICATION = "Replication"
    SWITCHOVER = "Switchover"
    SECURITY = "Security"


class Act(Enum):
    """What a fix does; its lines are how that is done on a server of one's own."""

    RUN = "run"
    """What its lines say; there is no other way to it."""
    ADMIT = "admit"
    """Let the destination in; about `network`."""
    SET = "set"
    """Give parameters of the server other values; about each of them."""
    ENABLE = "enable"
    """Let the account do what a migration takes, or make one that may; about `account`."""
    PASSWORD = "password"
    """Set a password again; about `account`."""
    LISTEN = "listen"
    """Have the server run and listen."""
    ENCRYPT = "encrypt"
    """Have the server offer TLS, with a certificate that is good."""
    LOOK = "look"
    """See more; nothing is repaired by it."""


Kind = Literal["sql", "hba", "conf", "shell", "api"]
Side = Literal["source", "destination"]


@dataclass(frozen=True)
class Fix:
    """What repairs a finding, and the exact lines that do it, as they are to be typed.

    Lines of the kind api are actions of the control plane; in them SOURCE stands for the id of
    the source, which whoever reads this may not know. `file` is the file that conf and hba
    lines go into, where it is known; `database` the one that sql lines run in. `automatic`
    fixes can be applied by `apply_fixes` (sql only) and carry the lines that take them back in
    `undo`.
    """

    kind: Kind
    where: Side
    lines: tuple[str, ...]
    needs_restart: bool = False
    automatic: bool = False
    undo: tuple[str, ...] = ()
    database: str | None = None
    file: str | None = None
    act: Act = Act.RUN
    about: dict[str, str] = field(default_factory=dict, hash=False)
    """Facts of the act, for whoever has another way to it than these lines."""
    by: tuple[str, ...] = ()
    """Roles of the source of which each may run the lines, as a superuser may; as far as known."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"act": self.act.value}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """Read back what `as_dict` made, also by a version that knew no acts."""
        lists = {name: tuple(raw.get(name, ())) for name in ("lines", "undo", "by")}
        return cls(**raw | lists | {"act": Act(raw.get("act", Act.RUN.value))})


@dataclass(frozen=True)
class Verdict:
    """What a check yields: a finding without the name of its check."""

    level: Level
    cause: str
    remedy: str | None = None
    fixes: tuple[Fix, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


def error(cause: str, remedy: str, *fixes: Fix, **data: Any) -> Verdict:
    """Stands in the way of the migration."""
    return Verdict(Level.ERROR, cause, remedy, fixes, data)


def warning(cause: str, remedy: str, *fixes: Fix, **data: Any) -> Verdict:
    """Does not stand in the way, but somebody should decide about it."""
    return Verdict(Level.WARNING, cause, remedy, fixes, data)


def info(cause: str, remedy: str | None = None, *fixes: Fix, **data: Any) -> Verdict:
    """Worth knowing."""
    return Verdict(Level.INFO, cause, remedy, fixes, data)


def passed(cause: str, **data: Any) -> Verdict:
    """Nothing in the way, with the measured value that shows it."""
    return Verdict(Level.OK, cause, None, (), data)


@dataclass(frozen=True)
class Finding:
    """One check's result. `id` is stable and may be matched and waived by programs."""

    id: str
    level: Level
    title: str
    cause: str
    remedy: str | None
    fixes: tuple[Fix, ...]
    data: dict[str, Any]
    group: Group
    checked: str = ""
    """When the look began that it comes from: UTC, ISO 8601."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "level": self.level.value,
            "group": self.group.value,
            "fixes": [fix.as_dict() for fix in self.fixes],
        }


@dataclass(frozen=True)
class Skipped:
    """A check that could not be made, and why."""

    id: str
    title: str
    group: Group
    why: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"group": self.group.value}


@dataclass(frozen=True)
class Report:
    """All findings of one assessment; `started` and `finished` in UTC, ISO 8601."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    started: str
    finished: str
    source: dict[str, Any]
    """Who was looked at: address, version, size; never a secret."""
    destination: dict[str, Any]

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """Read back what `as_dict` made, for example from `assessment.json`."""
        findings = tuple(
            Finding(
                **f
                | {
                    "level": Level(f["level"]),
                    "group": Group(f["group"]),
                    "fixes": tuple(map(Fix.from_dict, f["fixes"])),
                }
            )
            for f in raw["findings"]
        )
        skipped = tuple(Skipped(**s | {"group": Group(s["group"])}) for s in raw["skipped"])
        kept = {k: raw[k] for k in ("started", "finished", "source", "destination")}
        return cls(findings=findings, skipped=skipped, **kept)

    def of(self, *levels: Level) -> tuple[Finding, ...]:
        """The findings of these levels, in the order of the checks."""
        return tuple(f for f in self.findings if f.level in levels)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return self.of(Level.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return self.of(Level.WARNING)

    def unwaived(self, waived: Iterable[str]) -> tuple[Finding, ...]:
        """The errors that still stand in the way when those ids are waived."""
        accepted = frozenset(waived)
        return tuple(f for f in self.errors if f.id not in accepted)

    def as_dict(self) -> dict[str, Any]:
        """The report as it appears in `--json` and in `assessment.json`."""
        return {
            "counts": {level.value: len(self.of(level)) for level in Level}
            | {"skipped": len(self.skipped)},
            "started": self.started,
            "finished": self.finished,
            "source": self.source,
            "destination": self.destination,
            "findings": [f.as_dict() for f in self.findings],
            "skipped": [s.as_dict() for s in self.skipped],
        }
