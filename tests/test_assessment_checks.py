"""Every check both ways: silent on healthy facts, and speaking when one thing is wrong."""

from __future__ import annotations

import dataclasses
import doctest
import json
import re
from types import ModuleType
from typing import Any

import pytest

from assessment_cases import CASES, Case, facts_of
from assessment_facts import change, database, healthy
from landbridge.assessment import Level, Report, assess, lines
from landbridge.assessment.checks import _of, extensions
from landbridge.assessment.facts import Facts
from landbridge.assessment.model import Act
from landbridge.assessment.registry import CHECKS, Check
from landbridge.postgres import refusal, units
from landbridge.postgres.facts import connect, server, source, timezones
from landbridge.postgres.facts.account import Override

SUPERUSERS = re.compile("ALTER SYSTEM|pg_reload_conf|CREATEROLE|REPLICATION\\b|pg_monitor")
MODULES = (lines, _of, extensions, units, connect, refusal, server, source, timezones)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.id)
def test_check_passes_on_a_healthy_source(check: Check) -> None:
    found = [f for f in assess(healthy()).findings if f.id == check.id]
    assert found, "skipped on healthy facts"
    assert [f.cause for f in found if f.level is not Level.OK] == []


def test_every_check_has_a_case() -> None:
    assert {check.id for check in CHECKS} == {case.id for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.id}-{c.why}".rstrip("-"))
def test_check_finds(case: Case) -> None:
    report = assess(facts_of(case))
    found = [f for f in report.findings if f.id == case.id and f.level is case.level]
    assert found, [(f.level, f.cause) for f in report.findings if f.id == case.id]
    finding = found[0]
    assert case.says in f"{finding.cause} {finding.remedy}"
    lines = [line for fix in finding.fixes for line in fix.lines]
    if case.line is not None:
        assert any(case.line in line for line in lines), lines
    if case.automatic:
        fix = next(fix for fix in finding.fixes if fix.automatic)
        assert fix.kind == "sql" and fix.undo
    if case.level in (Level.ERROR, Level.WARNING):
        assert finding.remedy


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.id}-{c.why}".rstrip("-"))
def test_what_takes_a_superuser_or_a_file_says_what_it_does(case: Case) -> None:
    for finding in assess(change(facts_of(case), plan__fence="manual")).findings:
        for fix in finding.fixes:
            if fix.where == "source" and (fix.kind != "sql" or SUPERUSERS.search(str(fix.lines))):
                assert fix.act is not Act.RUN, finding


def test_lines_that_somebody_may_run_name_him() -> None:
    def by(id: str, **changes: Any) -> tuple[str, ...]:
        found = [f for f in assess(change(healthy(), **changes)).findings if f.id == id]
        return found[0].fixes[0].by

    def override(role: str | None, name: str | None, **more: Any) -> tuple[str, ...]:
        each = Override(role, name, "default_transaction_read_only", "off")
        return by("fence.overrides", source__overrides=(each,), **more)

    owned = {"source__databases": (database("closed", connectable=False, owner="app"),)}
    assert by("connect.databases", **owned) == ("app",)
    internal = {"source__databases": (database("closed", connectable=False, owner="pgsql"),)}
    assert by("connect.databases", **internal) == ()
    assert override("app", None) == ("app", "migrator")
    assert override("app", None, source__server__version="16.4") == ("app",)
    assert override("boss", None) == override(None, None) == ()
    assert override(None, "closed", **owned) == ("app",)


def test_a_report_is_read_back_as_it_was() -> None:
    for case in CASES:
        report = assess(facts_of(case))
        told = json.loads(json.dumps(report.as_dict()))
        assert Report.from_dict(told).findings[0].fixes == report.findings[0].fixes
        for finding in told["findings"]:
            for fix in finding["fixes"]:
                del fix["act"], fix["about"], fix["by"]  # as before there were acts
        assert len(Report.from_dict(told).findings) == len(report.findings)


def test_ids_are_unique_and_every_rule_has_a_source() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
    assert all(check.rule and check.title for check in CHECKS)


def test_automatic_fixes_are_sql_on_the_source_with_a_way_back() -> None:
    for case in CASES:
        for finding in assess(facts_of(case)).findings:
            for fix in finding.fixes:
                assert fix.lines
                if fix.automatic:
                    assert finding.level in (Level.ERROR, Level.WARNING)
                    assert (fix.kind, fix.where) == ("sql", "source")
                    assert fix.undo


@pytest.mark.parametrize(
    "fact",
    ["slots", "standbys", "prepared", "sessions", "overrides", "archiver", "wal", "roles",
     "subscriptions", "tablespaces", "databases", "account"],
)  # fmt: skip
def test_what_the_source_refuses_to_tell_is_said_never_passed(fact: str) -> None:
    facts = change(
        healthy(), **{f"source__{fact}": None, "source__unseen": {fact: "permission denied"}}
    )
    _assert_said(facts, f"source.{fact}")


def test_a_line_that_may_not_be_measured_is_said_never_passed() -> None:
    facts = change(healthy(), reached__line=None, reached__unmeasured="permission denied")
    _assert_said(facts, "reached.line")


def _assert_said(facts: Facts, fact: str) -> None:
    """Every check that needs the fact says that it was refused."""
    report = assess(facts)
    blind = [c.id for c in CHECKS if fact in c.needs]
    assert blind
    for id in blind:
        (finding,) = [f for f in report.findings if f.id == id]
        assert finding.level is Level.INFO
        assert "permission denied" in finding.cause


def test_an_unreachable_source_leaves_the_other_checks_skipped() -> None:
    facts = next(facts_of(c) for c in CASES if c.id == "connect.address")
    report = assess(facts)
    assert [f.id for f in report.errors] == ["connect.address"]
    assert {"wal.level", "connect.port"} <= {s.id for s in report.skipped}


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_facts_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        healthy().user = "x"  # type: ignore[misc]
