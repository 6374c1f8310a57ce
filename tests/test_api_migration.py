"""A migration between two accounts through the vendor's SDK, on real servers and networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fix_api import Running
from fix_generations import Generation, current, hmac_sha1, legacy, older
from fix_migration import MOVER, PASSWORD, Two, two_sites
from fix_servers import majors
from landbridge.api.client import CallRefused
from landbridge.network.daemon import FabricClient
from landbridge.network.daemon.layout import Layout
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import find
from landbridge.postgres.process import wait_until
from landbridge.servers import room

pytestmark = pytest.mark.filterwarnings("ignore")
_EXAMPLE = Path(__file__).parent.parent / "examples/two_accounts.py"


@pytest.fixture
def two(without_proxy: None) -> Iterator[Two]:
    with two_sites() as made:
        yield made


#: All calls by one generation of the SDK; None: the older account speaks the older one.
GENERATIONS: list[Any] = [
    None, *(pytest.param(g, marks=pytest.mark.slow) for g in (current, hmac_sha1, legacy, older))
]  # fmt: skip


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda g: getattr(g, "__name__", "both"))
def test_a_whole_migration_between_two_accounts(
    two: Two, generation: Any, pytestconfig: pytest.Config
) -> None:
    with ExitStack() as stack:
        if generation is older:
            folder = pytestconfig.cache.mkdir("older-sdk")  # type: ignore[union-attr]
            generation = stack.enter_context(older(folder))
        two.a.generation = generation or legacy
        _move(two, generation or current, generation or legacy)


def _move(two: Two, newer: Generation, before: Generation) -> None:
    """From the first assessment to the end; what is refused on the way is told `before`."""
    a, b = two.a, two.b
    _tried(two, {"connect.address": "ok", "connect.port": "ok", "connect.login": "error"})
    b.generation = before
    first, refused = two.assess()  # the whitelist of the source lacks the destination
    assert "Check database connectable: error(error:" in refused
    assert PASSWORD not in refused and refused.endswith("*Migrate check failure*")
    b.refused("OperationDenied.AssessmentNotPassed", "CreateCloudMigrationTask", **two.whence())

    a.admit(b.cidr)
    a.until("Running")
    b.generation = newer
    id, passed = two.assess()
    assert passed.endswith("*Migrate check success*"), passed
    assert b.ours("DescribeAssessment", TaskId=id)["Status"] == "Successful"
    seen = _checked_again(two, first, "connect.login")
    assert seen["Status"] == "Successful" and seen["Recheck"]["Everything"]
    _tried(two, {})
    _tried(two, {"connect.login": "error"}, password="wrong")

    task = two.begin()
    assert b.status() == "ImportingFromOthers"
    b.generation = before
    b.refused("IncorrectDBInstanceState", "ActivateMigrationTargetInstance",
              dbinstance_name=b.id)  # fmt: skip
    assert two.look().task_id == task
    b.generation = newer
    b.refused("IncorrectDBInstanceState", "CreateCloudMigrationTask", **two.whence())
    a.refused("IncorrectDBInstanceState", "RestartDBInstance", dbinstance_id=a.id)
    seen = two.until(lambda it: it.replication_state == "streaming")
    assert (seen.migrate_stage, seen.source_password) == ("increment", "********")
    info = json.loads(seen.replication_info)
    assert (info["Status"], info["IsSlave"]) == ("streaming", "true") and info["ReplayLsn"]
    assert f"user={MOVER} password=********" in info["Conninfo"]

    began = _server_since(two)
    ready = b.ours("DescribeSwitchoverReadiness", TaskId=task)
    assert (ready["Ready"], ready["SourceRefusesWrites"], ready["Blockers"]) == (False, False, [])
    assert ready["LagBytes"] == 0 and 157 < ready["PredictedOutage"]["Milliseconds"] < 5000
    assert {"switchover.sessions", "switchover.lag"} <= {g["Id"] for g in ready["Guardrails"]}
    with pytest.raises(CallRefused) as unconfirmed:
        b.ours("SwitchOverMigration", TaskId=task, ConfirmWritesStopped="true")
    assert unconfirmed.value.id == "OperationDenied.ConfirmationMissing"
    two.close_source()
    # With the sessions the migration's own was ended; it comes back by itself.
    assert wait_until(lambda: b.ours("DescribeSwitchoverReadiness", TaskId=task)["Ready"], 30, 0.2)
    b.rds("ActivateMigrationTargetInstance", dbinstance_name=b.id, switch_time_mode="0")
    done = two.until(lambda it: it.migrate_stage == "success")
    assert done.replication_state == "finish" and done.switch_time.endswith("Z")
    assert "[Synchronize data]" in done.detail and str(two.state) not in done.detail
    assert b.status() == "Running"
    rows = b.rds("DescribeAccounts", dbinstance_id=b.id).accounts.dbinstance_account
    assert [(r.account_name, r.account_type) for r in rows] == [(MOVER, "Super")]
    two.settled(b)
    assert _server_since(two) == began  # shut in from its first start, and never started again
    with two.server(b) as conn:
        assert conn.execute("SELECT count(*), sum(n) FROM public.orders").fetchone() == (
            1000,
            500500,
        )
        assert conn.execute("SHOW cluster_name").fetchone() == (b.id,)
    evidence = b.ours("DescribeMigrationEvidence", TaskId=task)["Evidence"]
    assert evidence["task"]["state"] == "finished" and PASSWORD not in json.dumps(evidence)
    assert b.ours("DescribeMigrationSeries", TaskId=task, MaxPoints=5)["Points"]
    _told(two, task)
    b.ours("CloseMigration", TaskId=task)
    assert not _listed(two)


def _checked_again(two: Two, id: int, finding: str) -> dict[str, Any]:
    """An assessment of which one finding was looked at again."""
    two.b.ours("RecheckAssessmentFinding", TaskId=id, FindingId=finding, SourcePassword=PASSWORD)
    assert two.b.status() == "INS_MAINTAINING"
    with pytest.raises(CallRefused) as busy:
        two.b.ours("RecheckAssessment", TaskId=id, SourcePassword=PASSWORD)
    assert busy.value.id == "IncorrectDBInstanceState"
    two.b.until("Running")
    seen = two.b.ours("DescribeAssessment", TaskId=id)
    assert seen["RecheckPending"] is None and seen["Recheck"]["FindingId"] == finding
    assert PASSWORD not in json.dumps(seen)
    return seen


def _moments(seen: dict[str, Any]) -> dict[str, str]:
    """When each finding of an assessment was looked at."""
    return {finding["id"]: finding["checked"] for finding in seen["Report"]["findings"]}


def _fixed(two: Two, id: int, *findings: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What was answered to an order of fixes, and what came of it."""
    named = {f"FindingIds.{n}": each for n, each in enumerate(findings, 1)}
    answer = two.b.ours(
        "ApplyAssessmentFixes", TaskId=id, AdminAccount="boss", AdminPassword=PASSWORD, **named
    )

    def seen() -> dict[str, Any]:
        return two.b.ours("DescribeAssessment", TaskId=id)

    assert wait_until(lambda: not seen()["FixesPending"], 30, 0.2)
    return answer, seen()["Fixes"]


def _tried(two: Two, wanted: dict[str, str], password: str = PASSWORD) -> None:
    """The way to the source from the destination's place: `wanted` levels, the rest is well."""
    address, port = two.a.address()
    answer = two.b.ours(
        "TestSourceConnection", DBInstanceName=two.b.id, SourceIpAddress=address, SourcePort=port,
        SourceAccount=MOVER, SourcePassword=password, SourceCategory="aliyunRDS",
    )  # fmt: skip
    levels = {each["Id"]: each["Level"] for each in answer["Findings"]}
    assert answer["Passed"] == ("error" not in wanted.values()), answer
    assert {id: level for id, level in levels.items() if id in wanted} == wanted
    assert len(levels) + len(answer["Skipped"]) == 6
    assert PASSWORD not in json.dumps(answer) and str(two.state) not in json.dumps(answer)


def _told(two: Two, task: str) -> None:
    """Steps, the switchover's moments and the news of a migration that has succeeded."""
    told = two.b.ours("DescribeMigration", TaskId=task)
    steps = {step["Name"]: step["Outcome"] for step in told["Steps"]}
    assert steps.items() >= dict.fromkeys(("copy", "start", "fence", "promote"), "done").items()
    moved = told["Switchover"]
    assert all(phase["Milliseconds"] >= 0 for phase in moved["Phases"]), moved
    ends = {phase["Name"]: phase["End"] for phase in moved["Phases"]}
    assert ends["intent"] == moved["PointOfNoReturn"] < ends["promote"] == moved["WritesAccepted"]
    assert list(ends.values()) == sorted(set(ends.values())), ends
    assert moved["WriteOutageMilliseconds"] > 0 and moved["Diverged"] == []
    assert (moved["WriteOutageFrom"], moved["Undone"]) == ("read_only", False)
    assert told["Events"][0]["Level"] == "info"
    assert str(two.state) not in json.dumps(told["Events"]) + json.dumps(moved)


def _server_since(two: Two) -> object:
    """When the destination's server was started; it is shut in."""
    with two.server(two.b) as conn:
        since = conn.execute("SELECT pg_postmaster_start_time()").fetchone()
        assert "NoNewPrivs:\t1" in Path(f"/proc/{conn.info.backend_pid}/status").read_text()
    return since


def _listed(two: Two) -> list[object]:
    body = two.b.rds(
        "DescribeCloudMigrationResult", dbinstance_name=two.b.id, page_number=1, page_size=30
    )
    return list(body.items)


@pytest.mark.slow
def test_a_service_that_is_killed_in_every_phase_goes_on(two: Two) -> None:
    two.a.admit(two.b.cidr)
    two.b.rds("CreateCloudMigrationPrecheckTask", **two.whence())
    two.again()  # while it assesses
    two.b.until("Running")
    two.begin()
    two.again()  # before or while it begins
    two.until(lambda it: it.migrate_stage != "precheck")
    two.again()
    two.until(lambda it: it.replication_state == "streaming")
    two.again()
    two.close_source()
    two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
    two.again()  # the order was given, and perhaps passed on
    two.until(lambda it: it.migrate_stage == "success")
    two.b.until("Running")
    with two.server(two.b) as conn:
        assert conn.execute("SELECT count(*) FROM orders").fetchone() == (1000,)


@pytest.mark.slow
def test_a_switchover_of_a_source_that_accepts_writes_is_put_back_and_all_can_be_cancelled(
    two: Two,
) -> None:
    two.a.admit(two.b.cidr)
    two.assess()
    task = two.begin()
    two.until(lambda it: it.replication_state == "streaming")
    two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
    back = two.until(lambda it: "is not on for the whole server" in it.detail)
    assert back.migrate_stage == "increment"
    shown = two.b.ours("DescribeMigration", TaskId=task)
    assert shown["Error"]["id"] == "fence.not_effective" and shown["Status"] == "ReadyToSwitch"
    with two.server(two.a) as conn:
        conn.execute("INSERT INTO orders VALUES (0)")

    two.b.ours("CancelMigration", TaskId=task)
    two.b.until("Running")
    shown = two.b.ours("DescribeMigration", TaskId=task)
    assert shown["Status"] == "Cancelled"
    with two.server(two.a) as conn:
        assert conn.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)
    with two.server(two.b) as conn:
        tables = conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)
    two.b.ours("DeleteMigration", TaskId=task)
    assert two.assess()[1].endswith("*Migrate check success*")


@pytest.mark.slow
def test_two_migrations_switch_over_at_the_same_time(two: Two) -> None:
    pairs = (two, two.another())
    for each in pairs:
        each.a.admit(each.b.cidr)
        each.settled(each.a)
    for each in pairs:
        each.assess()
        each.begin()
    for each in pairs:
        each.until(lambda it: it.replication_state == "streaming")
        each.close_source()
    with ThreadPoolExecutor() as pool:
        ordered = [
            pool.submit(each.b.rds, "ActivateMigrationTargetInstance", dbinstance_name=each.b.id)
            for each in pairs
        ]
        assert len({order.result().task_id for order in ordered}) == 2
    for each in pairs:
        each.until(lambda it: it.migrate_stage == "success")
        with each.server(each.b) as conn:
            assert conn.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
            assert conn.execute("SHOW cluster_name").fetchone() == (each.b.id,)
            assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


@pytest.mark.slow
def test_forced_it_switches_over_although_the_source_would_accept_writes(two: Two) -> None:
    """And with other keys than it was begun with, of the account and of the secrets."""
    two.a.admit(two.b.cidr)
    two.assess()
    two.begin()
    two.change_keys()
    two.until(lambda it: it.replication_state == "streaming")
    two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id, force_switch="1")
    done = two.until(lambda it: it.migrate_stage == "success")
    assert "somebody's word alone" in done.detail


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs real addresses")
def test_a_source_from_elsewhere_brings_no_superuser_along(two: Two) -> None:
    with elsewhere(two, 6000) as source:
        whence = {"source_port": 6000, "source_category": "other"}
        id, refused = two.assess(**whence)
        assert "mover has no monitor privilege" in refused
        before = _moments(two.b.ours("DescribeAssessment", TaskId=id))
        with pytest.raises(CallRefused) as unknown:
            _fixed(two, id, "connect.pg_monitor", "nonsense")
        assert unknown.value.id == "InvalidFindingId.NotFound"
        answer, (none, fix) = _fixed(two, id, "auth.hba", "connect.pg_monitor")
        assert [each["Outcome"] for each in answer["Findings"]] == ["not_applicable", "pending"]
        fix, none = sorted((none, fix), key=lambda each: each["outcome"])
        assert (fix["id"], fix["lines"]) == ("connect.pg_monitor", ['GRANT pg_monitor TO "mover";'])
        assert fix["undo"] == ['REVOKE pg_monitor FROM "mover";']
        assert (none["id"], none["outcome"]) == ("auth.hba", "not_applicable") and none["why"]
        seen = _checked_again(two, id, "connect.pg_monitor")
        assert seen["Status"] == "Successful" and seen["Recheck"]["Everything"]
        now = _moments(seen)
        assert all(now[each] > moment for each, moment in before.items() if each in now)
        with source.connect() as conn:
            conn.execute(f"ALTER ROLE {MOVER} CONNECTION LIMIT 3")
        seen = _checked_again(two, id, "connect.limit")
        assert seen["Recheck"]["Before"] == ["ok"] and seen["Recheck"]["Levels"] == ["warning"]
        changed = {each for each, moment in _moments(seen).items() if moment != now[each]}
        assert changed == {"connect.limit"} and not seen["Recheck"]["Everything"]
        _fixed(two, id, "connect.limit")
        seen = _checked_again(two, id, "connect.limit")
        assert seen["Recheck"]["Levels"] == ["ok"]
        two.b.ours("RecheckAssessment", TaskId=id, SourcePassword=PASSWORD)
        two.b.until("Running")
        assert two.b.ours("DescribeAssessment", TaskId=id)["Status"] == "Successful"
        _, passed = two.assess(**whence)
        assert passed.endswith("*Migrate check success*"), passed
        two.begin(**whence)
        two.until(lambda it: it.replication_state == "streaming")
        source.stop()
        source_again(two, source)
        two.until(lambda it: "The source was restarted during the migration" in it.detail)
        two.until(lambda it: it.replication_state == "streaming")
        with source.connect() as conn:
            conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            conn.execute("SELECT pg_reload_conf()")
        two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
        two.until(lambda it: it.migrate_stage == "success")
    two.b.until("Running")
    with two.server(two.b) as conn:
        rows = conn.execute(
            "SELECT rolname, rolsuper, rolcanlogin FROM pg_roles"
            " WHERE rolname IN ('postgres', 'boss', 'pgsql', 'mover') ORDER BY 1"
        ).fetchall()
        assert rows == [
            ("boss", False, True), ("mover", False, True), ("pgsql", True, True),
            ("postgres", True, False),
        ]  # fmt: skip


@contextmanager
def elsewhere(two: Two, port: int) -> Iterator[Cluster]:
    """A server that is not ours, at the address of the first instance, on another port."""
    data = two.state / "elsewhere"
    source = Cluster(data, find(max(majors())), port, superuser="postgres")
    source.init()
    settings = {"listen_addresses": two.a.address()[0], "max_connections": 50}
    lines = [f"host {what} all {two.b.cidr} scram-sha-256" for what in ("all", "replication")]
    source.configure(settings, lines)
    source_again(two, source)
    try:
        with source.connect() as conn:
            conn.execute(f"CREATE ROLE boss LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
            conn.execute(f"CREATE ROLE {MOVER} LOGIN CREATEROLE REPLICATION PASSWORD '{PASSWORD}'")
        yield source
    finally:
        source.stop("immediate")


def source_again(two: Two, source: Cluster) -> None:
    """Start it at its place."""
    room.start(FabricClient(Layout(two.state / "network").socket), two.a.id, source)


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["auto", "relay"])
def test_the_example_loses_nothing(tmp_path: Path, without_proxy: None, driver: str) -> None:
    running = Running(tmp_path, "--network", driver)
    try:
        done = subprocess.run(
            [sys.executable, _EXAMPLE, "--endpoint", running.endpoint], capture_output=True,
            text=True, env={**os.environ, "LANDBRIDGE_STATE": str(tmp_path)}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0 missing" in done.stdout
    finally:
        running.kill()
        running.clean()
