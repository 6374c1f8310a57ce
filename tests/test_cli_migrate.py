"""Migrations through the command line alone, with real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fix_cli import Cli
from fix_processes import command_lines
from fix_servers import (
    MIGRATOR_PASSWORD,
    OWNER_PASSWORD,
    QUICK,
    Servers,
    Source,
    contents,
    fill,
    majors,
)
from landbridge.migration.states import State
from landbridge.migration.task import Task, Tasks
from landbridge.migration.worker import request_switchover
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.process import wait_until


@pytest.fixture
def give_passwords(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Put the passwords into the environment; each command takes them out again."""

    def give() -> None:
        monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
        monkeypatch.setenv("LANDBRIDGE_FENCE_PASSWORD", OWNER_PASSWORD)
        monkeypatch.setenv("LANDBRIDGE_VERIFY_PASSWORD", OWNER_PASSWORD)

    return give


@pytest.fixture
def source(servers: Servers, state_dir: Path, give_passwords: Callable[[], None]) -> Source:
    """A prepared source with some data; passwords are in the environment, as a user has them."""
    made = servers.source(
        15 if 15 in majors() else max(majors()), settings={"max_prepared_transactions": 5}
    )
    fill(made, 5_000)
    give_passwords()
    return made


def where(source: Source) -> str:
    """The source as it is typed: no password in it."""
    return f"host=127.0.0.1 port={source.port} user=migrator dbname=postgres"


def the_task(state_dir: Path) -> Task:
    (task,) = Tasks(state_dir).all()
    return task


class Watch(threading.Thread):
    """Looks again and again for a password in the command line of any process."""

    def __init__(self, *secrets: str) -> None:
        super().__init__(daemon=True)
        self.secrets = [secret.encode() for secret in secrets]
        self.found: set[str] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            for _, line in command_lines():
                self.found |= {line.decode(errors="replace") for s in self.secrets if s in line}


@pytest.fixture
def nothing_in_process_list() -> Iterator[None]:
    watch = Watch(MIGRATOR_PASSWORD, OWNER_PASSWORD)
    watch.start()
    yield
    watch.ended.set()
    watch.join()
    assert not watch.found


def assert_no_password(folder: Path, said: str) -> None:
    """Neither in what was said nor in any file of the state directory."""
    for secret in (MIGRATOR_PASSWORD, OWNER_PASSWORD):
        assert secret not in said
        for path, content in contents(folder):
            assert secret.encode() not in content, path


#: Where a server might keep a connection string or somebody's words. The verifiers in
#: pg_authid are no passwords.
_CATALOGS = (
    "pg_settings", "pg_file_settings", "pg_hba_file_rules", "pg_db_role_setting",
    "pg_subscription", "pg_foreign_server", "pg_foreign_data_wrapper", "pg_user_mapping",
    "pg_stat_activity", "pg_stat_replication", "pg_stat_wal_receiver", "pg_replication_slots",
    "pg_prepared_xacts", "pg_shdescription", "pg_description", "pg_proc",
)  # fmt: skip


def assert_server_knows_no_password(cluster: Cluster, begin: int = 0) -> None:
    """Neither its log from byte `begin` on, nor its catalogs, nor any of its files."""
    with cluster.connect() as conn:
        conn.execute("CHECKPOINT")
        names = conn.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
    known = [cluster.log.read_bytes()[begin:]]
    for (name,) in names:
        with cluster.connect(name) as conn:
            for catalog in _CATALOGS:
                rows = conn.execute(f"SELECT t::text FROM pg_catalog.{catalog} t").fetchall()
                known += [text.encode() for (text,) in rows if text]
    files = contents(cluster.data, cluster.side)
    known += [content for path, content in files if path != cluster.log]
    assert len(known) > 1000
    for secret in (MIGRATOR_PASSWORD, OWNER_PASSWORD):
        assert not any(secret.encode() in text for text in known)
        assert not any(secret.replace("\\", "\\\\").encode() in text for text in known)


def test_whole_migration_as_one_object_without_a_password_anywhere(
    cli: Cli, servers: Servers, source: Source, state_dir: Path, nothing_in_process_list: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    data, port = servers.destination()
    # What neither a standby nor a source that is fenced would be.
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-write")
    source.sql("ALTER SYSTEM SET log_statement = 'all'")
    source.sql("ALTER SYSTEM SET log_replication_commands = on")
    source.reload()
    begin = source.log.stat().st_size
    called = cli(
        "migrate", f"{where(source)} target_session_attrs=read-write",
        "--to", data, "--port", port, "--fence-as", "user=boss target_session_attrs=read-write",
        "--verify-as", "user=boss", "--set", "log_statement=all",
        "--switchover", "auto", "--verify", "before", "--json",
    )  # fmt: skip
    assert called.code == 0, called.err
    found = called.object
    assert found["state"] == "finished" and found["stage"] == "success"
    assert found["steps"]["copy"]["bytes"] > 1024**2
    assert found["switchover"]["write_outage_ms"] > 0
    assert Path(found["evidence"]["path"]).exists()
    destination = the_task(state_dir).cluster()
    with destination.connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (5000,)
    assert source.sql("SELECT * FROM pg_replication_slots") == []
    assert_server_knows_no_password(source, begin)
    assert_server_knows_no_password(destination)

    shown = cli("show", found["id"])
    assert shown.code == 0 and "Finished" in shown.out and "evidence.html" in shown.out
    assert shown.out.count("POINT OF NO RETURN") == 1
    listed = cli("tasks", "--json").object["tasks"]
    assert [t["id"] for t in listed] == [found["id"]]
    assert cli("cancel", found["id"], "--yes", "--json").object["error"]["id"] == "cancel.too_late"
    assert cli("resume", found["id"]).code == 2
    forgotten = cli("forget", found["id"], "--yes", "--json").object
    assert [Path(p).suffix for p in forgotten["evidence"]] == [".html", ".json"]
    assert json.loads(Path(forgotten["evidence"][1]).read_text())
    assert Tasks(state_dir).all() == [] and list(state_dir.glob("*/m-*.json"))
    assert_no_password(state_dir, cli.said)


def test_background_work_is_watched_switched_over_and_verified(
    cli: Cli, servers: Servers, source: Source, state_dir: Path, give_passwords: Callable[[], None]
) -> None:
    data, port = servers.destination()
    lines = state_dir.with_name("lines.conf")
    lines.write_text("host all clerk 10.9.0.0/16 scram-sha-256\n")
    started = cli(
        "migrate", where(source), "--to", data, "--port", port,
        "--verify-as", "user=boss", "--hba-file", lines, "--detach", "--json",
    )  # fmt: skip
    assert started.code == 0, started.err
    id = started.object["id"]
    task = the_task(state_dir)
    assert task.request.hba_file == lines.read_text()
    assert wait_until(lambda: task.read_live().get("caught_up") is True, 180, every=0.1)
    assert task.request.fence == "manual"

    give_passwords()
    unconfirmed = cli("switchover", id, "--fence-as", "user=boss", "--json")
    assert task.request.fence == "sync"
    assert unconfirmed.code == 2 and "--yes" in unconfirmed.object["error"]["remedy"]
    with source.connect() as conn:
        conn.execute("BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'gx'")
    refused = cli("switchover", id, "--yes", "--json")
    assert refused.code == 1 and refused.object["error"]["id"] == "switchover.refused"
    assert "[switchover.prepared_transactions]" in refused.object["error"]["message"]
    source.sql("ROLLBACK PREPARED 'gx'")

    switched = cli("switchover", id, "--yes", "--events")
    assert switched.code == 0, switched.out
    events = [json.loads(line) for line in switched.out.splitlines()]
    assert events[-1]["kind"] == "result" and events[-1]["state"] == "finished"
    assert "promoted" in [e["state"] for e in events if e["kind"] == "state"]
    assert wait_until(lambda: not task.is_worked_on(), 20, every=0.1)
    assert cli("watch", id).code == 0

    give_passwords()
    verified = cli("verify", id, "--json")
    assert verified.code == 0, verified.err
    assert verified.object["differences"] == 0 and verified.object["error"] is None
    assert [t["table"] for t in verified.object["tables"]] == ["items"]
    assert not (task.folder / "secrets").exists()
    assert_no_password(state_dir, cli.said)


def test_interrupted_migration_is_continued_by_the_same_command_and_cancelled(
    cli: Cli, servers: Servers, source: Source, state_dir: Path, give_passwords: Callable[[], None]
) -> None:
    data, port = servers.destination()
    command = ["migrate", where(source), "--to", str(data), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "landbridge.cli", *command], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "Switch over, from elsewhere" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    assert "Incremental synchronization" in said.splitlines()[-2]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    task = the_task(state_dir)
    assert process.returncode == 130, err
    assert "POINT OF NO RETURN" not in out and "Traceback" not in err
    assert f"landbridge resume {task.id}" in err and f"landbridge cancel {task.id}" in err
    assert not task.is_worked_on() and task.cluster().process() is not None
    kept = cli("forget", task.id, "--yes", "--json")
    assert kept.code == 2 and kept.object["error"]["id"] == "task.not_over"
    assert the_task(state_dir).id == task.id

    give_passwords()
    changed = ("--max-rate", "50MB", "--set", "work_mem=8MB", "--fence-as", "user=boss")
    continued = cli(*command, *changed, "--detach")
    assert continued.code == 0 and f"Going on with {task.id}" in continued.out
    assert "not changed by this call: --set, --max-rate, --fence-as\n" in continued.err
    other = cli("migrate", where(source).replace(str(source.port), "1"), *command[2:], "--json")
    assert other.object["error"]["id"] == "task.exists"
    assert wait_until(task.is_worked_on, 30, every=0.1)
    cancelled = cli("cancel", task.id, "--yes", "--json")
    assert cancelled.code == 0, cancelled.out
    assert cancelled.object["state"] == "cancelled"
    assert not data.exists() or not any(data.iterdir())
    assert source.sql("SELECT * FROM pg_replication_slots") == []
    assert_no_password(state_dir, cli.said + out + err)


@pytest.mark.slow
def test_resumed_with_the_password_of_the_source_in_the_environment_still_fences(
    cli: Cli, servers: Servers, source: Source, state_dir: Path, give_passwords: Callable[[], None]
) -> None:
    data, port = servers.destination()
    started = cli(
        "migrate", where(source), "--to", data, "--port", port, "--fence-as", "user=boss",
        "--detach", "--json",
    )  # fmt: skip
    assert started.code == 0, started.err
    task = the_task(state_dir)
    assert wait_until(lambda: task.read_live().get("caught_up") is True, 180, every=0.1)
    (pid,) = (e["pid"] for e in task.journal.entries() if e.get("id") == "worker.started")
    os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: not task.is_worked_on(), 60, every=0.1)
    request_switchover(task)
    give_passwords()
    resumed = cli("resume", task.id, "--json")
    assert resumed.code == 0, resumed.out
    assert resumed.object["state"] == "finished"
    assert not [name for name in os.environ if name.endswith("PASSWORD")]


def test_reader_of_the_output_that_goes_away_leaves_a_task_that_can_be_cancelled(
    cli: Cli, servers: Servers, source: Source, state_dir: Path
) -> None:
    data, port = servers.destination()
    command = [sys.executable, "-m", "landbridge.cli", "migrate", where(source), "--to", str(data)]
    process = subprocess.Popen(
        [*command, "--port", str(port)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141 and "nobody reads the output" in err
    task = the_task(state_dir)
    assert f"landbridge resume {task.id}" in err
    cancelled = cli("cancel", task.id, "--yes", "--json")
    assert cancelled.code == 0 and cancelled.object["state"] == "cancelled"
    assert source.sql("SELECT * FROM pg_replication_slots") == []


def test_cluster_in_sql_ascii_moves_with_bytes_that_are_no_text(
    cli: Cli, servers: Servers, state_dir: Path, give_passwords: Callable[[], None]
) -> None:
    source = servers.source(15 if 15 in majors() else max(majors()), encoding="SQL_ASCII")
    source.sql("CREATE ROLE clerk LOGIN")
    source.sql("CREATE DATABASE ledger OWNER clerk")
    source.sql("CREATE TABLE notes (id int PRIMARY KEY, note text)", "ledger")
    source.sql(
        r"INSERT INTO notes VALUES (1, E'caf\351'), (2, E'\377\376'), (3, 'plain')", "ledger"
    )
    source.sql("CREATE INDEX notes_note ON notes (note)", "ledger")
    empty = servers.source(source.distribution.major, start=False)
    arguments = (
        where(source), "--to", empty.data, "--port", empty.port, "--replace-empty",
        "--fence-as", "user=boss", "--json",
    )  # fmt: skip
    give_passwords()
    assessed = cli("assess", *arguments)
    assert assessed.code == 0, assessed.out
    give_passwords()
    moved = cli("migrate", *arguments, "--verify-as", "user=boss", "--switchover", "auto")
    assert moved.code == 0, moved.out
    give_passwords()
    verified = cli("verify", moved.object["id"], "--json")
    assert verified.code == 0 and verified.object["differences"] == 0, verified.out
    assert (empty.data.with_name(f"{empty.data.name}.before-{moved.object['id']}")).is_dir()
    tables = {(t["database"], t["table"]): t["rows_source"] for t in verified.object["tables"]}
    assert tables["ledger", "notes"] == 3
    evidence = json.loads(Path(moved.object["evidence"]["path"]).read_bytes().decode("utf-8"))
    assert evidence["task"]["id"] == moved.object["id"]
    with the_task(state_dir).cluster().connect("ledger") as conn:
        (encoding,) = conn.execute("SHOW server_encoding").fetchone() or ("",)
        assert encoding == "SQL_ASCII"
        found = conn.execute("SELECT encode(note::bytea, 'hex') FROM notes ORDER BY id").fetchall()
    assert found == [("636166e9",), ("fffe",), ("706c61696e",)]


def test_plan_says_what_would_be_done_and_does_nothing(
    cli: Cli, servers: Servers, source: Source, state_dir: Path
) -> None:
    data, port = servers.destination()
    called = cli(
        "migrate", where(source), "--to", data, "--port", port, "--fence-as", "user=boss",
        "--max-rate", "50MB", "--plan", "--json",
    )  # fmt: skip
    assert called.code == 0, called.err
    steps = {step["state"]: step for step in called.object["steps"]}
    assert "50 MB/s" in steps["copying"]["does"] and str(data) in steps["copying"]["does"]
    assert "As boss" in steps["fencing"]["does"]
    assert not data.exists() and Tasks(state_dir).all() == []
    assert source.sql("SELECT * FROM pg_replication_slots") == []


def test_unprepared_source_is_refused_with_the_lines_that_repair_it(
    cli: Cli, servers: Servers, state_dir: Path, tmp_path: Path, give_passwords: Callable[[], None]
) -> None:
    source = servers.source(
        15 if 15 in majors() else max(majors()), hba=["host all all 127.0.0.1/32 md5"]
    )
    data, port = servers.destination()
    arguments = (where(source), "--to", data, "--port", port)
    give_passwords()
    assessed = cli("assess", *arguments, "--html", tmp_path / "report.html")
    assert assessed.code == 3
    assert "connect.replication" in assessed.out
    assert "host replication migrator 127.0.0.1/32" in assessed.out
    assert "connect.replication" in (tmp_path / "report.html").read_text()
    give_passwords()
    refused = cli("migrate", *arguments, "--json")
    assert refused.code == 3 and refused.object["error"]["id"] == "assessment.errors"
    task = the_task(state_dir)
    assert task.state is State.FAILED
    shown = cli("show", task.id)
    assert "host replication migrator 127.0.0.1/32" in shown.out
    findings = cli("show", task.id, "--json").object["assessment"]["findings"]
    assert [f["id"] for f in findings if f["level"] == "error"] == ["connect.replication"]
    source.configure(QUICK, ["host all,replication all 127.0.0.1/32 md5"])
    source.reload()
    give_passwords()
    assert cli("assess", *arguments, "--json").code == 0
    assert_no_password(state_dir, cli.said)


def test_wrong_or_missing_password_is_said_without_repeating_it(
    cli: Cli, servers: Servers, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, port = servers.destination()
    arguments = (where(source), "--to", data, "--port", port, "--json")
    monkeypatch.setenv("PGPASSWORD", "wr0ng-s3cret")
    wrong = cli("migrate", *arguments)
    assert wrong.code == 1 and wrong.object["error"]["id"] == "server.unreachable"
    assert "The password is wrong, or it has expired" in wrong.object["error"]["remedy"]
    nothing = cli("migrate", where(source).replace("=postgres", "=nosuch"), *arguments[1:])
    assert nothing.object["error"]["id"] == "credentials.missing"
    monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
    nothing = cli("migrate", where(source).replace("=postgres", "=nosuch"), *arguments[1:])
    assert "Name an existing database" in nothing.object["error"]["remedy"]
    monkeypatch.setenv("PGPASSWORD", MIGRATOR_PASSWORD)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LANDBRIDGE_STATE", "/proc")
        unwritable = cli("migrate", *arguments)
        assert unwritable.object["error"]["id"] == "state.unwritable"
    missing = cli("migrate", *arguments)
    assert missing.code == 1 and missing.object["error"]["id"] == "credentials.missing"
    assert "PGPASSWORD" in missing.object["error"]["remedy"]
    typed = cli("migrate", f"{where(source)} password=wr0ng-s3cret", *arguments[1:])
    assert typed.code == 1 and "PGPASSWORD" in typed.err and "wr0ng" not in cli.said


def test_manual_fence_is_shown_awaited_and_verified(
    cli: Cli, servers: Servers, source: Source, state_dir: Path
) -> None:
    data, port = servers.destination()
    process = subprocess.Popen(
        [sys.executable, "-m", "landbridge.cli", "migrate", where(source), "--to", str(data),
         "--port", str(port), "--switchover", "auto"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "--fenced" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    task = the_task(state_dir)
    assert f"landbridge switchover {task.id} --fenced" in said
    shown = cli("show", task.id).out
    assert "ALTER SYSTEM SET" in shown and f"landbridge switchover {task.id} --fenced" in shown
    assert "the source accepts writes until you have fenced it" in shown
    statements = [line.strip() for line in said.splitlines() if line.strip().endswith(";")]
    assert len(statements) == 3 and "ALTER SYSTEM" in statements[0]
    with source.connect() as conn:
        for statement in statements:
            conn.execute(statement)
    told = cli("switchover", task.id, "--fenced", "--json")
    assert told.code == 0 and told.object["state"] == "finished"
    assert told.object["switchover"]["proved"]["fence"] is True
    assert told.object["switchover"]["write_outage_from"] == "read_only"
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Finished" in out and "POINT OF NO RETURN" in out
    assert cli("switchover", task.id, "--fenced").code == 1
    assert_no_password(state_dir, cli.said + said + out + err)


def test_fixes_are_applied_on_request_and_taken_back_by_the_lines_given(
    cli: Cli, servers: Servers, source: Source, give_passwords: Callable[[], None]
) -> None:
    source.sql("REVOKE pg_monitor FROM migrator")
    data, port = servers.destination()
    arguments = (where(source), "--to", data, "--port", port, "--fence-as", "user=boss", "--json")
    assert cli("assess", *arguments).code == 3
    give_passwords()
    repaired = cli("assess", *arguments, "--apply-fixes")
    assert repaired.code == 0, repaired.out
    (applied,) = repaired.object["applied"]
    assert applied["id"] == "connect.pg_monitor" and "GRANT" in applied["lines"][0]
    for line in applied["undo"]:
        source.sql(line)
    give_passwords()
    assert cli("assess", *arguments).code == 3
