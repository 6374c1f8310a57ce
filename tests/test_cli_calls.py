"""Calling the command line rightly and wrongly: help, errors, exit codes, pure JSON."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psycopg
import pytest
import sqlalchemy

from fix_cli import Cli
from landbridge.cli import options
from landbridge.cli.app import command
from landbridge.cli.log import LogFile
from landbridge.migration.task import FENCES, WAL_POLICIES, Request

COMMANDS = sorted(command().commands)
CLOSED = "host=127.0.0.1 port=1 user=nobody dbname=postgres"


@pytest.fixture(autouse=True)
def _state(state_dir: Path) -> None:
    """Every call of this file works in a state directory of its own."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(cli: Cli, name: str) -> None:
    called = cli(name, "--help")
    assert called.code == 0 and "Usage: landbridge" in called.out
    subject = command().commands[name]
    assert subject.help
    for parameter in subject.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_help_does_not_wait_for_the_driver_or_the_engine() -> None:
    code = (
        "import sys; import landbridge.cli.app as a; a.command();"
        "print([m for m in ('psycopg', 'dbos', 'sqlalchemy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"


def test_version_is_said(cli: Cli) -> None:
    assert cli("--version").out.startswith("landbridge 0.")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["migrate"], "SOURCE"),
        (["migrate", CLOSED], "--to"),
        (["nonsense"], "nonsense"),
        (["migrate", CLOSED, "--to", "/x", "--no-such-option"], "--no-such-option"),
        (["migrate", CLOSED, "--to", "/x", "--max-rate", "fast"], "--max-rate"),
        (["migrate", CLOSED, "--to", "/x", "--wal-budget", "0GB"], "--wal-budget"),
        (["migrate", CLOSED, "--to", "/x", "--compression", "zip"], "--compression"),
        (["migrate", CLOSED, "--to", "/x", "--port", "0"], "--port"),
        (["migrate", CLOSED, "--to", "/x", "--fence", "wood"], "--fence"),
        (["migrate", CLOSED, "--to", "/x", "--allow", "10.0.0.1/8"], "--allow"),
        (["migrate", CLOSED, "--to", "/x", "--set", "work_mem"], "--set"),
        (["assess", CLOSED, "--to", "/x", "--set", "work mem=1"], "work mem"),
        (["assess", CLOSED, "--to", "/x", "--set", "Port=1"], "port"),
        (["migrate", CLOSED, "--to", "/x", "--set", "primary_conninfo=host=x"], "primary_conninfo"),
        (["migrate", CLOSED, "--to", ""], "--to"),
        (["assess", CLOSED.replace("=1 ", "=5x101 "), "--to", "/x"], "5x101"),
        (["assess", CLOSED.replace("=1 ", "=99999 "), "--to", "/x"], "99999"),
        (["migrate", CLOSED, "--to", "/x", "--waive", "destination.prot"], "destination.prot"),
        (["migrate", CLOSED, "--to", "/x", "--tablespace", "=/new"], "--tablespace"),
        (["migrate", CLOSED, "--to", "/x", "--time-limit", "0"], "--time-limit"),
        (["migrate", CLOSED, "--to", "/x", "--switchover", "ask"], "--switchover"),
        (["migrate", CLOSED, "--to", "/x", "--hba-file", "/no/such/file"], "--hba-file"),
        (["show", "m-none"], "m-none"),
        (["verify", "m-none", "--before", "--after"], "--before"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else value,
)
def test_wrong_call_ends_2_and_names_what_is_wrong(
    cli: Cli, arguments: list[str], named: str
) -> None:
    called = cli(*arguments)
    assert called.code == 2 and called.out == ""
    assert named in called.err
    assert called.err.startswith("landbridge: ") and "]" in called.err.splitlines()[0]
    as_json = cli(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.object["error"]["id"]
    assert named in as_json.object["error"]["message"]


def test_bare_command_shows_the_help_and_a_wrong_one_what_there_is(cli: Cli) -> None:
    bare = cli()
    assert bare.code == 0 and "Usage: landbridge" in bare.out and "switchover" in bare.out
    wrong = cli("mirgate")
    assert wrong.code == 2 and "'migrate'" in wrong.err and "assess, migrate, verify" in wrong.err


def test_two_forms_of_output_are_not_given_at_once(cli: Cli) -> None:
    called = cli("migrate", CLOSED, "--to", "/x", "--json", "--events")
    assert called.code == 2 and "--events" in called.object["error"]["message"]


def test_waived_id_that_no_check_has_is_answered_with_the_like(cli: Cli) -> None:
    called = cli("migrate", CLOSED, "--to", "/x", "--waive", "destination.prot", "--json")
    assert called.object["error"]["id"] == "plan.waive"
    assert "destination.port" in called.object["error"]["remedy"]


def test_port_nobody_listens_on_is_said_with_a_remedy(cli: Cli) -> None:
    called = cli("migrate", CLOSED, "--to", "/nowhere/new", "--json")
    assert called.object["error"]["id"] == "server.unreachable"
    assert "Check host and port" in called.object["error"]["remedy"]


def test_what_cannot_be_written_is_said_on_stderr(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        answer = landbridge("engines", "--json", stdout=full)
    assert answer.returncode == 1 and "Traceback" not in answer.stderr
    assert "the output cannot be written: No space left on device [output.failed]" in answer.stderr
    reader, writer = os.pipe()
    os.close(reader)
    answer = landbridge("engines", "--json", stdout=writer)
    os.close(writer)
    assert answer.returncode == 141 and answer.stderr == ""
    unwritten = landbridge("assess", CLOSED, "--to", "/x", "--html", tmp_path / "no" / "x.html")
    assert unwritten.returncode == 1 and "[output.failed]" in unwritten.stderr


def test_folders_that_are_closed_are_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "tasks").mkdir(parents=True)
    limited: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may enter everything, and setpriv is not here")
        limited = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        shutil.chown(closed, "nobody")
    closed.chmod(0o700 if limited else 0)
    try:
        listed = landbridge("tasks", "--json", before=limited, state=closed)
        assert json.loads(listed.stdout)["error"]["id"] == "state.unreadable"
        assessed = landbridge("assess", CLOSED, "--to", closed / "x", "--json", before=limited)
        found = {f["id"]: f for f in json.loads(assessed.stdout)["findings"]}
        assert assessed.returncode == 3
        assert str(closed) == found["destination.access"]["data"]["blocked_at"]
    finally:
        closed.chmod(0o700)


def test_log_of_a_closed_state_directory_is_private_and_not_to_be_guessed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("landbridge.postgres.distribution.discover", lambda: 1 / 0)
    monkeypatch.setenv("LANDBRIDGE_STATE", "/dev/null/state")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    called = cli("engines", "--json")
    assert called.object["error"]["id"] == "internal"
    (log,) = tmp_path.glob("landbridge-*.log")
    assert str(log) in called.object["error"]["remedy"]
    assert "ZeroDivisionError" in log.read_text() and log.stat().st_mode & 0o077 == 0


def _sqlite_full() -> Exception:
    """What SQLAlchemy makes of SQLite's complaint."""
    conn = sqlite3.connect(":memory:")
    conn.execute("PRAGMA max_page_count = 1")
    try:
        conn.execute("CREATE TABLE t (x)")
    except sqlite3.OperationalError as full:
        return sqlalchemy.exc.OperationalError("INSERT", {}, full)
    raise AssertionError


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        psycopg.errors.DiskFull("full"),
        _sqlite_full(),
    ],
)
def test_full_disk_is_no_defect(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.setattr("landbridge.postgres.distribution.discover", fail)
    called = cli("engines", "--json")
    assert called.code == 1 and called.object["error"]["id"] == "disk.full"


def test_log_that_cannot_be_written_is_not_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landbridge.postgres.distribution.discover", lambda: 1 / 0)
    monkeypatch.setattr(LogFile, "path", Path("/dev/full"))
    called = cli("engines", "--json")
    assert called.object["error"]["id"] == "internal"
    assert "/dev/full" not in called.object["error"]["remedy"]
    assert "Traceback" not in cli.said


def test_run_keeps_the_callers_place(tmp_path: Path) -> None:
    clone, here = tmp_path / "clone", tmp_path / "here"
    (clone / ".venv/bin").mkdir(parents=True)
    here.mkdir()
    shutil.copy(Path(__file__).parent.parent / "run", clone)
    (clone / ".venv/bin/landbridge").write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    (clone / ".venv/bin/landbridge").chmod(0o755)
    for stamp in ("pyproject.toml", "uv.lock", ".venv/.landbridge-set-up"):
        (clone / stamp).touch()
    answer = subprocess.run(
        [clone / "run", "landbridge", "assess", "--to", "new"],
        cwd=here, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.split() == [str(here), "assess", "--to", "new"]


def landbridge(
    *arguments: object,
    before: Sequence[str] = (),
    state: Path | None = None,
    stdout: IO[str] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, behind another one's words."""
    environment = {**os.environ, **({"LANDBRIDGE_STATE": str(state)} if state else {})}
    return subprocess.run(
        [*before, sys.executable, "-m", "landbridge.cli", *map(str, arguments)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=environment,
    )  # fmt: skip


def test_unreadable_connection_string_is_refused_without_repeating_it(cli: Cli) -> None:
    called = cli("assess", "host=x pass word=hunter2", "--to", "/x", "--json")
    assert called.code == 2 and called.object["error"]["id"] == "conninfo.invalid"
    assert "hunter2" not in cli.said


@pytest.mark.parametrize("arguments", [["tasks"], ["engines"]])
def test_lists_are_one_object(cli: Cli, arguments: list[str]) -> None:
    called = cli(*arguments, "--json")
    assert called.code == 0 and list(called.object) == [arguments[0]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "m-none"], ["watch", "m-none"], ["switchover", "m-none", "--yes"],
        ["cancel", "m-none", "--yes"], ["resume", "m-none"], ["verify", "m-none"],
        ["migrate", CLOSED, "--to", "/nowhere/new"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_error_is_one_object_for_programs_and_one_message_for_people(
    cli: Cli, arguments: list[str]
) -> None:
    as_json = cli(*arguments, "--json")
    assert as_json.code in (1, 2)
    assert set(as_json.object["error"]) >= {"id", "message", "remedy", "retryable"}
    assert as_json.err == ""
    human = cli(*arguments)
    assert human.out == "" and human.err.count("landbridge: ") == 1
    assert f"[{as_json.object['error']['id']}]" in human.err
    assert "Traceback" not in human.err


def test_events_end_with_the_error(cli: Cli) -> None:
    called = cli("watch", "m-none", "--events")
    events = [json.loads(line) for line in called.out.splitlines()]
    assert events[-1]["kind"] == "error" and events[-1]["id"] == "task.unknown"


def test_defect_of_ours_is_one_message_and_a_log(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("with PGPASSWORD hunter2 in it")

    monkeypatch.setenv("PGPASSWORD", "hunter2")
    monkeypatch.setattr("landbridge.postgres.distribution.discover", broken)
    called = cli("engines", "--json")
    assert called.code == 1 and called.object["error"]["id"] == "internal"
    log = state_dir / "log" / "landbridge.log"
    assert str(log) in called.object["error"]["remedy"]
    assert "ZeroDivisionError" in log.read_text()
    assert "hunter2" not in log.read_text() + cli.said
    assert log.stat().st_mode & 0o077 == 0


def test_interrupt_ends_130_with_a_message(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("landbridge.postgres.distribution.discover", interrupted)
    called = cli("engines", "--json")
    assert called.code == 130 and called.object["error"]["id"] == "interrupted"


def test_choices_and_defaults_are_those_of_a_request() -> None:
    defaults = {name: field.default for name, field in Request.__dataclass_fields__.items()}
    assert [f.value for f in options.Fence] == list(FENCES)
    assert [p.value for p in options.WalPolicy] == list(WAL_POLICIES)
    assert [v.value for v in options.Verify] == ["none", "before"]
    assert defaults["time_limit"] == options.TIME_LIMIT
    assert defaults["wal_budget"] == options.WAL_BUDGET
    migrate = {p.name: p.default for p in command().commands["migrate"].params}
    for name in ("compression", "listen", "reindex"):
        assert migrate[name] == defaults[name]


def test_documentation_of_the_commands_is_up_to_date() -> None:
    tool = Path(__file__).parent.parent / "tools/cli_docs.py"
    answer = subprocess.run([sys.executable, tool, "--check"], check=False)
    assert answer.returncode == 0, "run ./run docs"
