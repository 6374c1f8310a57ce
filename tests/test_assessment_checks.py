"""Every check both ways: silent on healthy facts, and speaking when one thing is wrong."""

from __future__ import annotations

import dataclasses
import doctest
import re
from types import ModuleType

import pytest

from assessment_cases import CASES, Case, facts_of
from assessment_facts import change, healthy
from landbridge.assessment import Level, assess, lines
from landbridge.assessment.checks import _of, extensions
from landbridge.assessment.facts import Facts
from landbridge.assessment.registry import CHECKS, Check
from landbridge.cloud.instances.parameters import specs
from landbridge.postgres import refusal, units
from landbridge.postgres.facts import connect, server, source, timezones

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
def test_the_owner_of_an_instance_is_advised_nothing_that_takes_a_superuser(case: Case) -> None:
    facts = facts_of(case)
    offered = frozenset(specs(15))
    plan = dataclasses.replace(facts.plan, managed=offered, fence="manual")
    for finding in assess(dataclasses.replace(facts, plan=plan)).findings:
        fixes = [fix for fix in finding.fixes if fix.where == "source"]
        assert {fix.kind for fix in fixes} <= {"sql", "api", "shell"}, finding
        typed = " ".join(line for fix in fixes for line in fix.lines)
        assert not re.search("ALTER SYSTEM|pg_reload_conf|CREATEROLE|REPLICATION", typed), finding
        assert set(re.findall(r'Parameters={"(\w+)"', typed)) <= offered, finding


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
