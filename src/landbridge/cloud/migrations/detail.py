"""The text of `Detail`, in the vendor's grammar.

::

    [Check source version]
    Check major version consistent: success
    [Check disk size]
    Check disk size enough: error(error:needs 12 GB, has 8 GB)
    *Migrate check failure*
    [Synchronize data]
    2026-01-31 20:00:01 --- caught up

Times are local (UTC+8), as the vendor's are. The vendor's report has fewer checks than ours:
what has no line of its own in it stands below, under the heading of its chapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from ...assessment.model import Finding, Level, Report

SUCCESS, FAILURE = "*Migrate check success*", "*Migrate check failure*"
_LOCAL = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class Line:
    """One check of the vendor's report, and the ids of ours that it is made of."""

    title: str
    ids: tuple[str, ...]
    said: str = ""
    """The vendor's words for an error or warning, where they are known."""


#: Heading -> lines, in the vendor's order. Words in braces are filled in.
CHECKS: dict[str, tuple[Line, ...]] = {
    "Check rds empty": (
        Line("Check rds databases", ("cloud.empty",),
             "postgres not empty, check if any table exists"),
    ),
    "Check source connectivity": (
        Line("Check ip connectable", ("connect.address",), "{address} is unapproachable"),
        Line("Check port connectable", ("connect.port",), "{port} is unapproachable"),
        Line("Check database connectable", ("connect.login",),
             "cannot connect to source database by {account}"),
        Line("Check account replication privilege", ("connect.replication",),
             "{account} has no replication privilege"),
        Line("Check account createrole privilege", ("connect.createrole",),
             "{account} has no createrole privilege"),
        Line("Check account monitor privilege", ("connect.pg_monitor",),
             "{account} has no monitor privilege"),
    ),
    "Check source version": (
        Line("Check major version consistent", ("version.major",)),
    ),
    "Check source glibc version": (
        Line("Check source glibc version compatible",
             ("collation.order", "collation.version", "collation.locale"),
             "source glibc version is not compatible with rds pg"),
    ),
    "Check disk size": (
        Line("Check disk size enough", ("cloud.storage", "destination.disk")),
    ),
    "Check wal keep size": (
        Line("Check wal keep size large enough",
             ("wal.level", "wal.senders", "wal.slots", "wal.retention")),
    ),
    "Check spec params": (
        Line("Check if spec params too large", ("settings.hot_standby",)),
    ),
    "Check rds user": (Line("Check rds user", ("roles.reserved",)),),
    "Check extensions": (
        Line("Check extensions", ("extension.missing", "extension.version", "library.preload")),
    ),
    "Check user functions": (
        Line("Check user functions compatible", ("library.functions",)),
    ),
    "Check network": (
        Line("Check vpc cidr block different", ("network.cidr",)),
    ),
}  # fmt: skip
_WEIGHT = {Level.ERROR: 3, Level.WARNING: 2, Level.INFO: 1, Level.OK: 0}


def assessed(report: Report, source: dict[str, str]) -> str:
    """The Detail of an assessment; `source` has address, port and account."""
    verdict = FAILURE if report.errors else SUCCESS
    return "\n".join((*checks(report, source), verdict))


def checks(report: Report, source: dict[str, str]) -> Iterator[str]:
    """The lines of all checks that were made."""
    known: set[str] = set()
    for heading, lines in CHECKS.items():
        made = []
        for line in lines:
            known.update(line.ids)
            if found := [f for f in report.findings if f.id in line.ids]:
                made.append(f"{line.title}: {_result(found, line.said.format(**source))}")
        if made:
            yield f"[{heading}]"
            yield from made
    yield from _rest([f for f in report.findings if f.id not in known])


def _rest(findings: Iterable[Finding]) -> Iterator[str]:
    """What stands in the way, or should be known, and has no line in the vendor's report."""
    chapter = ""
    for finding in findings:
        if finding.level not in (Level.ERROR, Level.WARNING):
            continue
        if finding.group.value != chapter:
            chapter = finding.group.value
            yield f"[Check {chapter[0].lower()}{chapter[1:]}]"
        yield f"{finding.title}: {_result([finding], '')}"


def _result(findings: Iterable[Finding], said: str) -> str:
    worst = max(findings, key=lambda finding: _WEIGHT[finding.level])
    if worst.level not in (Level.ERROR, Level.WARNING):
        return "success"
    cause = one_line(worst.cause)
    text = f"{said}. {cause}" if said else cause
    return f"{worst.level.value}({worst.level.value}:{text})"


def section(heading: str, events: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A heading and its events: (UTC in ISO 8601, text); nothing without events."""
    begun = False
    for at, text in events:
        if not begun:
            yield f"[{heading}]"
            begun = True
        yield f"{local(at)} --- {one_line(text)}"


def local(at: str) -> str:
    """A moment as the vendor writes it in Detail.

    >>> local("2026-01-31T12:00:01.5+00:00")
    '2026-01-31 20:00:01'
    """
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return f"{moment.astimezone(_LOCAL):%Y-%m-%d %H:%M:%S}"


def one_line(text: str) -> str:
    """Text without line breaks, which mean something here."""
    return " ".join(text.split())
