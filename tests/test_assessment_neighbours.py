"""A destination in, on or around a cluster that is in use is refused, and nothing of it harmed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from fix_cli import Cli
from fix_servers import MIGRATOR_PASSWORD, Servers, Source, fill
from landbridge.assessment import DestinationPlan, Finding, Report, assess, gather
from landbridge.migration.task import Tasks
from landbridge.postgres.distribution import find
from landbridge.postgres.facts import line as line_facts
from landbridge.postgres.facts.neighbours import Home, Relation, neighbours, running_pid
from landbridge.postgres.process import wait_until

#: Words of commands that move, remove, stop or open something.
HARMFUL = re.compile(r"\b(mv|rm|rmdir|pg_ctl|kill|chmod|chown|remove|stop)\b")


@pytest.fixture(autouse=True)
def load_the_line_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_facts, "BUDGET", 0.05)


@pytest.fixture
def source(servers: Servers) -> Source:
    """A running source with a tablespace."""
    made = servers.source(15)
    space = servers.root / "space"
    made.account.make_dir(space)
    made.sql(f"CREATE TABLESPACE fast LOCATION '{space}'")
    return made


def in_use(report: Report) -> Finding:
    for error in report.errors:
        assert error.id.startswith("destination.")
        lines = [line for fix in error.fixes for line in fix.lines]
        assert not HARMFUL.search("\n".join([*lines, error.remedy or ""])), error
    return next(f for f in report.errors if f.id == "destination.running")


def test_every_place_in_or_around_the_running_source_is_refused(
    servers: Servers, source: Source
) -> None:
    root, (_, port) = servers.root, servers.destination()
    link = root / "link"
    link.symlink_to(source.data)
    places = {
        source.data: Relation.SAME,
        link: Relation.SAME,
        link / "deeper" / "new": Relation.INSIDE,
        source.data / "base" / "5": Relation.INSIDE,
        root / "space" / "new": Relation.INSIDE,
        root: Relation.AROUND,
    }
    before = sorted(p for p in root.rglob("*") if "pg_wal" not in p.parts and p.is_dir())
    mapped = DestinationPlan(source.data, port, find(15), {str(root / "space"): str(root / "s")})
    for place, relation in places.items():
        finding = in_use(assess(gather(source.conninfo(), replace(mapped, data=place), sample=0)))
        assert finding.data["relation"] == relation.name.lower(), place
        assert finding.data["source"] is True
        assert "the source's own" in finding.cause
        assert f"process {(source.data / 'postmaster.pid').read_text().split()[0]}" in finding.cause
    spaced = replace(mapped, data=root / "new", tablespaces={str(root / "space"): f"{link}/new"})
    assert "lies inside" in in_use(assess(gather(source.conninfo(), spaced, sample=0))).cause
    assert before == sorted(p for p in root.rglob("*") if "pg_wal" not in p.parts and p.is_dir())


def test_a_cluster_is_noticed_whoever_tells_of_it(servers: Servers, source: Source) -> None:
    data, new = source.data, source.data / "new"
    pid = int((data / "postmaster.pid").read_text().split()[0])
    # Nothing but the process list; then nothing but what lies around it; then the source's word.
    (seen,) = [n for n in neighbours(servers.root) if not n.tablespace]
    assert (seen.relation, Path(seen.path), seen.pid) == (Relation.AROUND, data, pid)
    source.stop()
    assert neighbours(servers.root) == ()
    (seen,) = neighbours(new)
    assert (seen.relation, seen.pid, seen.source) == (Relation.INSIDE, None, False)
    assert neighbours(data) == ()
    identity = "1"
    assert neighbours(data, Home(str(data), (), identity)) == (), "another host's, same path"
    (seen,) = neighbours(data, Home(str(data), (), None))
    assert seen.relation is Relation.SAME and seen.source


def test_a_server_started_as_postmaster_is_noticed(tmp_path: Path) -> None:
    """As PGDG's units for RHEL do; a program of that name stands for it."""
    data, program = tmp_path / "data", tmp_path / "postmaster"
    (data / "global").mkdir(parents=True)
    (data / "global/pg_control").write_bytes(bytes(8))
    shutil.copy(which("sleep") or "", program)
    with subprocess.Popen([program, "60"], cwd=data) as process:
        try:
            (data / "postmaster.pid").write_text(f"{process.pid}\n")
            # Popen returns when the kernel closes its pipe, just before it sets the name.
            assert wait_until(lambda: running_pid(data) == process.pid, 20)
            assert [n.pid for n in neighbours(data)] == [process.pid]
        finally:
            process.kill()


def test_a_server_on_its_way_into_its_directory_claims_no_other(tmp_path: Path) -> None:
    """Until it has entered its data directory it stands where it was started, such as in /."""
    program = tmp_path / "postgres"
    shutil.copy(which("sleep") or "", program)
    with subprocess.Popen([program, "60"], cwd="/") as process:
        try:
            named = Path(f"/proc/{process.pid}/comm")
            assert wait_until(lambda: named.read_text().strip() == "postgres", 20)
            assert process.pid not in [n.pid for n in neighbours(tmp_path / "new")]
        finally:
            process.kill()


def test_the_command_refuses_the_source_however_it_is_waived(
    cli: Cli, source: Source, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"host=127.0.0.1 port={source.port} user=migrator dbname=postgres"
    inside = source.data / "new"
    call = ["migrate", where, "--to", inside, "--port", 7000, "--json"]
    fill(source, 10)
    monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
    waived = cli(*call, "--waive", "destination.running")
    assert waived.code == 2 and "cannot be waived" in waived.object["error"]["message"]
    assert Tasks(state_dir).all() == []
    monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
    refused = cli(*call)
    assert refused.code == 3, refused.out
    (task,) = Tasks(state_dir).all()
    assert "destination.running" in refused.object["error"]["message"]
    assert task.state.value == "failed" and not os.path.lexists(inside)
    assert source.sql("SELECT count(*) FROM items") == [(10,)]
    assert source.sql("SELECT * FROM pg_replication_slots") == []


def test_clusters_that_lie_there_are_named_for_what_they_are(servers: Servers) -> None:
    source = servers.source(15)
    other = servers.source(16, start=False)
    same = servers.source(15, start=False)
    _, port = servers.destination()

    def said(data: Path, **more: bool) -> tuple[str, str]:
        plan = DestinationPlan(data, port, find(15), **more)
        (finding,) = [
            f
            for f in assess(gather(source.conninfo(), plan, sample=0)).findings
            if f.id == "destination.empty"
        ]
        return finding.level.value, finding.cause

    level, cause = said(other.data, replaces_empty_cluster=True)
    assert level == "error" and "empty cluster of PostgreSQL 16; the source is PostgreSQL" in cause
    level, cause = said(same.data)
    assert level == "error" and "empty cluster of PostgreSQL 15" in cause
    assert said(same.data, replaces_empty_cluster=True)[0] == "info"
    other.start()
    other.sql("CREATE TABLE mine ()")
    other.stop()
    level, cause = said(other.data, replaces_empty_cluster=True)
    assert level == "error" and "PostgreSQL 16 with contents" in cause


def test_settings_are_tried_by_the_programs_of_the_destination(servers: Servers) -> None:
    for major in (10, 18):
        source = servers.source(major)
        data, port = servers.destination(f"to{major}")
        given = {
            "wrok_mem": "64MB", "max_connections": "many", "work_mem": "1", "block_size": "4096",
            "log_min_messages": "loud", "random_page_cost": "1.1", "app.name": "x",
            "shared_preload_libraries": "nosuch",
        }  # fmt: skip
        plan = DestinationPlan(data, port, find(major), settings=given)
        report = assess(gather(source.conninfo(), plan, sample=0))
        refused = {f.data["setting"]: f.cause for f in report.errors}
        assert set(refused) == {
            "wrok_mem", "max_connections", "work_mem", "block_size", "log_min_messages",
            "shared_preload_libraries",
        }  # fmt: skip
        assert {f.id for f in report.errors} == {"settings.refused"}
        assert "unrecognized configuration parameter" in refused["wrok_mem"]
        lower = replace(plan, settings={"max_connections": "20"})
        found = assess(gather(source.conninfo(), lower, sample=0))
        assert [f.id for f in (*found.errors, *found.warnings)] == ["settings.hot_standby"]
