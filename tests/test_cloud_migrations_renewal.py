"""One finding looked at again: what becomes of the report, and which checks that takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from landbridge.assessment.model import Finding, Group, Level, Report, Skipped
from landbridge.cloud.migrations import renewal

BEFORE, AFTER = "2026-03-01T12:00:00.000+00:00", "2026-03-01T13:00:00.000+00:00"
NOW = datetime(2026, 3, 1, 14, tzinfo=UTC)
SOURCE = {"system_identifier": 7, "version": "17.2"}


def finding(id: str, level: Level, checked: str = BEFORE, cause: str = "because") -> Finding:
    return Finding(id, level, id, cause, None, (), {}, Group.WAL, checked)


def report(*findings: Finding, skipped: tuple[str, ...] = (), at: str = BEFORE) -> Report:
    left_out = tuple(Skipped(id, id, Group.WAL, "nobody logged in") for id in skipped)
    return Report(findings, left_out, at, at, SOURCE, {})


OPEN = finding("connect.login", Level.OK)
SHORT = finding("wal.senders", Level.ERROR)
SLOTS = finding("wal.slots", Level.WARNING)


def test_one_finding_follows_its_check_and_the_others_stay_with_their_moments() -> None:
    before = report(OPEN, SHORT, SLOTS)
    ids = renewal.scope(before, "wal.senders", NOW)
    assert ids is not None and {"wal.senders", "connect.login"} <= ids and "wal.slots" not in ids
    seen = report(finding("connect.login", Level.OK, AFTER),
                  finding("wal.senders", Level.OK, AFTER), at=AFTER)  # fmt: skip
    after = renewal.merged(before, seen, "wal.senders")
    assert [(f.id, f.level, f.checked) for f in after.findings] == [
        ("connect.login", Level.OK, BEFORE),
        ("wal.senders", Level.OK, AFTER),
        ("wal.slots", Level.WARNING, BEFORE),
    ]
    assert after.errors == ()
    told = renewal.answer(before, seen, "wal.senders", is_all=False)
    assert (told["At"], told["Checked"], told["WhyNot"]) == (AFTER, True, "")
    assert (told["Before"], told["Levels"]) == (["error"], ["ok"])


def test_findings_of_one_check_are_renewed_together_where_they_stood() -> None:
    pair = (finding("wal.senders", Level.ERROR, cause="a"), replace(SHORT, cause="b"))
    seen = report(*(finding("wal.senders", Level.WARNING, AFTER, c) for c in "cde"), at=AFTER)
    after = renewal.merged(report(OPEN, *pair, SLOTS), seen, "wal.senders")
    assert [f.cause for f in after.findings] == ["because", "c", "d", "e", "because"]


@pytest.mark.parametrize(
    ("before", "id"),
    [
        (report(finding("connect.login", Level.ERROR), skipped=("wal.senders",)), "connect.login"),
        (report(finding("connect.pg_monitor", Level.ERROR), SHORT), "wal.senders"),
        (report(OPEN, replace(SLOTS, checked="2026-02-20T12:00:00.000+00:00"), SHORT),
         "wal.senders"),
    ],
    ids=["that others depend on", "while such a one is in the way", "of an old report"],
)  # fmt: skip
def test_all_checks_are_made_for_a_finding(before: Report, id: str) -> None:
    assert renewal.scope(before, id, NOW) is None


def test_what_cannot_be_looked_at_stays_and_what_is_in_the_way_is_told() -> None:
    shut = finding("connect.login", Level.ERROR, AFTER, "The server refuses mover.")
    seen = report(shut, skipped=("wal.slots",), at=AFTER)
    before = report(OPEN, SLOTS)
    after = renewal.merged(before, seen, "wal.slots")
    assert [(f.id, f.level) for f in after.findings] == [
        ("connect.login", Level.ERROR), ("wal.slots", Level.WARNING),
    ]  # fmt: skip
    told = renewal.answer(before, seen, "wal.slots", is_all=False)
    assert (told["Checked"], told["WhyNot"]) == (False, "The server refuses mover.")


def test_a_check_that_could_not_be_made_is_made() -> None:
    before = report(OPEN, skipped=("wal.slots", "wal.rate"))
    after = renewal.merged(before, report(replace(SLOTS, checked=AFTER)), "wal.slots")
    assert [s.id for s in after.skipped] == ["wal.rate"]
    assert "wal.slots" in {f.id for f in after.findings}


def test_another_cluster_at_the_address_is_another_source() -> None:
    before = report(OPEN)
    assert renewal.is_another(before, replace(before, source=SOURCE | {"system_identifier": 8}))
    assert renewal.is_another(before, replace(before, source=SOURCE | {"version": "17.3"}))
    assert not renewal.is_another(before, before)
    assert not renewal.is_another(before, replace(before, source={}))  # it was not reached


def test_a_report_is_as_old_as_its_oldest_finding() -> None:
    mixed = report(OPEN, replace(SHORT, checked=AFTER))
    week = datetime.fromisoformat(BEFORE) + timedelta(days=7)
    assert not renewal.is_stale(mixed, week)
    assert renewal.is_stale(mixed, week + timedelta(minutes=1))
    assert not renewal.is_stale(report(replace(SHORT, checked=AFTER)), week + timedelta(minutes=1))
