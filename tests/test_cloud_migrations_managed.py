"""What an assessment advises the owner of an instance: by actions, on pages, never by files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assessment_cases import CASES, Case, facts_of
from assessment_facts import change, database, healthy
from landbridge.api.table import ACTIONS
from landbridge.assessment import Finding, Report, assess
from landbridge.assessment.fixes import why_not
from landbridge.assessment.model import Act
from landbridge.cloud.instances.parameters import specs
from landbridge.cloud.migrations import managed
from landbridge.cloud.migrations.foreign import OF_THE_MACHINE
from landbridge.cloud.migrations.told import REMEDIES, Teller, advice

OFFERED = frozenset(specs(15))
#: Remedies that hold for the owner of an instance as they stand, read by a person.
HOLD = frozenset(
    (
        "auth.method", "collation.outdated", "connect.databases", "connect.login",
        "content.foreign_servers", "content.indexes", "content.names", "content.pages",
        "content.unlogged", "extension.jobs", "fence.overrides", "fence.weak_commits",
        "network.cidr", "network.latency", "network.line", "network.mtu", "replication.held",
        "replication.primary", "replication.publications", "replication.slots",
        "replication.standbys", "replication.subscriptions", "roles.reserved", "roles.superusers",
        "settings.files", "tls.used", "transactions.idle", "transactions.long",
        "transactions.prepared", "wal.archiver", "wal.compression", "wal.rate",
        "wal.sender_timeout",
    )
)  # fmt: skip
#: What an owner has not, where he cannot go, and what he cannot type.
NOT_HIS = re.compile(
    r"ALTER SYSTEM|pg_reload_conf|CREATEROLE|REPLICATION\b|postgresql\.conf|--[a-z]"
    r"|landbridge [a-z]|\breload\b|/srv|\bdirectory\b"
)


def _findings(case: Case) -> Iterator[dict[str, Any]]:
    """What is told of a case where source and destination are instances."""
    report = managed.told(assess(change(facts_of(case), plan__fence="manual")), OFFERED)
    for found in Teller((Path("/srv/new"),), ()).report(report.as_dict())["findings"]:
        if found["level"] != "ok" and found["id"] == case.id:
            yield found


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.id not in OF_THE_MACHINE],
    ids=lambda c: f"{c.id}-{c.why}".rstrip("-"),
)  # fmt: skip
def test_every_finding_has_a_form_for_the_owner_of_an_instance(case: Case) -> None:
    actions = {action.name for action in ACTIONS}
    for found in _findings(case):
        has_form = managed.on_page(found["fixes"]) or found["id"] in {*REMEDIES, *HOLD}
        assert has_form or found["remedy"] is None, found
        told = advice(found["id"], found["remedy"], found["fixes"])
        assert bool(told) == bool(found["remedy"])
        assert not actions & set(re.findall(r"\w+", told)), told
        for fix in found["fixes"]:
            assert fix["kind"] in ("sql", "api") and fix["where"] == "source"
            lines = " ".join(fix["lines"])
            assert not NOT_HIS.search(lines), found
            assert fix["kind"] != "api" or {lines.split()[0]} <= actions
            assert set(fix["about"]) <= OFFERED or fix["act"] != Act.SET.value
        assert not NOT_HIS.search(f"{found['remedy']} {told}"), found


def test_no_id_is_told_to_hold_that_has_a_form_of_its_own() -> None:
    known = {case.id for case in CASES}
    assert known >= HOLD and not HOLD & set(REMEDIES)


def test_every_act_has_a_way_or_is_the_same_for_everybody() -> None:
    about = {"network": "10.1.0.0/16", "account": "ann"}
    assert {act for act in Act if managed.way(act, about) is None} == {Act.RUN, Act.LOOK}
    (set_,) = [managed.way(Act.SET, {"wal_level": "replica"}, restarts=True)]
    assert set_ and set_.said == (
        "Set wal_level to replica at the source (ModifyParameter), and restart it"
        " (RestartDBInstance)."
    )
    assert set_.said.on_page.endswith("(Parameters), and restart it (Restart Instance).")
    assert [call.split()[0] for call in set_.calls] == ["ModifyParameter", "RestartDBInstance"]


def test_a_fix_is_offered_only_where_an_account_may_apply_it() -> None:
    def found(owner: str) -> Finding:
        closed = database("closed", connectable=False, owner=owner)
        report = managed.told(assess(change(healthy(), source__databases=(closed,))), OFFERED)
        return next(f for f in report.warnings if f.id == "connect.databases")

    by_app, by_nobody = found("app"), found("pgsql")
    assert [(fix.automatic, fix.by) for fix in by_app.fixes] == [(True, ("app",))]
    assert why_not([by_app]) == ""
    assert by_nobody.fixes == () and "ask the operator" in (by_nobody.remedy or "")
    assert "there are no lines to run" in why_not([by_nobody])


def test_a_report_from_before_there_were_acts_is_told_as_it_is() -> None:
    raw = assess(healthy()).as_dict()
    old = {
        "kind": "api", "where": "source", "lines": ["RestartDBInstance DBInstanceId=SOURCE"],
        "undo": [], "needs_restart": True, "automatic": False, "database": None, "file": None,
    }  # fmt: skip
    raw["findings"][0] |= {"fixes": [old], "remedy": "Restart it."}
    assert Report.from_dict(raw).findings[0].fixes[0].act is Act.RUN
    assert advice("wal.level", "Restart it.", [old]) == "Restart it."
