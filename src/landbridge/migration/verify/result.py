"""What a comparison found: plain records that become `verification.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ...errors import VerificationFailed

SCHEMA_VERSION = 1


@dataclass
class TableResult:
    """One table on both sides; a side that has no such table has None."""

    database: str
    schema: str
    table: str
    rows_source: int | None = None
    rows_destination: int | None = None
    hash_source: str | None = None
    hash_destination: str | None = None
    equal: bool = False
    lsn: str = ""
    """The position at which both sides were read."""
    seconds: float = 0.0
    error: str | None = None
    """Why a side could not be read; such a table counts as different."""
    where: dict[str, Any] | None = None
    """Of a difference: blocks and primary keys, at most ten of each (where.py)."""

    @property
    def name(self) -> str:
        return f"{self.database}.{self.schema}.{self.table}"


@dataclass
class ObjectResult:
    """One thing that is not a table: a sequence, a role, a database, a large object."""

    kind: str
    name: str
    equal: bool
    source: str | None = None
    destination: str | None = None
    """What the sides say, as far as it may be shown (never a password or its hash)."""


@dataclass
class Verification:
    """The whole comparison; `as_dict()` is the content of verification.json."""

    when: str
    """before or after the switchover"""
    started: str
    finished: str = ""
    only: list[str] | None = None
    """Patterns of the tables it was restricted to; None: everything."""
    points: list[dict[str, Any]] = field(default_factory=list)
    """Per database: database, lsn, tries, snapshot."""
    tables: list[TableResult] = field(default_factory=list)
    objects: list[ObjectResult] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    page_checksums: dict[str, Any] = field(default_factory=dict)
    indexes: dict[str, Any] = field(default_factory=dict)
    own_xids: list[int] = field(default_factory=list)
    """Transaction ids that the verification itself used on the destination."""

    @property
    def differences(self) -> int:
        """Everything that is not equal, damaged pages and indexes included."""
        return (
            sum(not t.equal for t in self.tables)
            + sum(not o.equal for o in self.objects)
            + len(self.page_checksums.get("failures", []))
            + len(self.indexes.get("failures", []))
        )

    @property
    def point(self) -> str | None:
        """The last position at which both sides were read; every table has its own."""
        return self.points[-1]["lsn"] if self.points else None

    def of_kind(self, *kinds: str) -> list[ObjectResult]:
        return [o for o in self.objects if o.kind in kinds]

    def skip(self, what: str, why: str) -> None:
        """Record that something was not compared."""
        self.skipped.append({"what": what, "why": why})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; positions as X/Y, times as ISO 8601, hashes as decimal strings."""
        return {
            "schema_version": SCHEMA_VERSION,
            "when": self.when,
            "started": self.started,
            "finished": self.finished,
            "only": self.only,
            "point": self.point,
            "points": self.points,
            "differences": self.differences,
            "tables": [asdict(t) for t in self.tables],
            "sequences": [asdict(o) for o in self.of_kind("sequence")],
            "large_objects": [asdict(o) for o in self.of_kind("large objects")],
            "roles": [asdict(o) for o in self.of_kind("role")],
            "databases": [asdict(o) for o in self.of_kind("database", "setting", "tablespace")],
            "definitions": [asdict(o) for o in self.of_kind("definitions")],
            "skipped": self.skipped,
            "page_checksums": self.page_checksums,
            "indexes": self.indexes,
            "own_xids": self.own_xids,
        }

    def raise_for_differences(self) -> None:
        """Raise VerificationFailed (verify.differences), naming the first few."""
        if not self.differences:
            return
        names = [f"table {t.name}" for t in self.tables if not t.equal]
        names += [f"{o.kind} {o.name}" for o in self.objects if not o.equal]
        names += [f"page {f['file']}" for f in self.page_checksums.get("failures", [])]
        names += [f"index {f['name']}" for f in self.indexes.get("failures", [])]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise VerificationFailed(
            f"{self.differences} differences: {', '.join(names[:5])}{more}",
            id="verify.differences",
            remedy="Do not use the destination before each difference is explained; the blocks"
            " and primary keys concerned are in verification.json.",
        )
