"""The demonstration from its command to its verdict, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fix_processes import command_lines
from fix_servers import majors
from landbridge.postgres.process import wait_until

DEMO = [sys.executable, "-m", "landbridge.cli", "demo"]
SMALL = ["--scale", "1", "--clients", "2", "--rate", "200"]


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of the demonstration's own, that servers can reach."""
    folder = Path(tempfile.mkdtemp(prefix="lb-demo-"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, *SMALL, "--output", str(scratch / "evidence"), *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=scratch,
    )  # fmt: skip


def assert_nothing_left(scratch: Path) -> None:
    """No process and no file of the run, except the evidence."""
    assert [p.name for p in scratch.iterdir() if p.name != "evidence"] == []
    for _, line in command_lines():
        assert f"{scratch}/landbridge-demo".encode() not in line


def check_verdict(found: dict[str, object], major: int | None = None) -> None:
    text = json.dumps(found)
    assert found["passed"] is True, text
    for group, names in {
        "assessment": {"errors", "warnings"},
        "copy": {"bytes", "seconds", "compression"},
        "sync": {"max_lag_bytes"},
        "switchover": {"write_outage_ms", "fence", "undo_possible_until"},
        "writer": {"acknowledged", "missing", "duplicated", "write_outage_ms"},
        "verification": {"tables", "differences"},
        "evidence": {"path"},
        "postgres": {"major"},
    }.items():
        values = found[group]
        assert isinstance(values, dict) and names <= set(values)
        assert all(values[name] is not None for name in names), (group, values)
    writer, verification = found["writer"], found["verification"]
    assert isinstance(writer, dict) and isinstance(verification, dict)
    assert writer["acknowledged"] > 400
    assert (writer["missing"], writer["duplicated"], writer["damaged"]) == (0, 0, 0)
    assert verification["tables"] >= 8 and verification["differences"] == 0


def test_demo_moves_a_cluster_under_load_and_finds_every_row(scratch: Path) -> None:
    process = start(scratch, "--json")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    found = json.loads(out)
    check_verdict(found)
    evidence = Path(found["evidence"]["path"])
    assert evidence.exists() and evidence.with_suffix(".html").exists()
    assert json.loads(evidence.read_text())["task"]["state"] == "finished"
    assert_nothing_left(scratch)


@pytest.mark.slow
@pytest.mark.parametrize("major", majors())
@pytest.mark.parametrize("fence", ["sync", "lockout"])
def test_demo_works_on_every_major(scratch: Path, major: int, fence: str) -> None:
    process = start(scratch, "--json", "--major", str(major), "--fence", fence)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    found = json.loads(out)
    check_verdict(found)
    assert found["postgres"]["major"] == major and found["switchover"]["fence"] == fence
    assert_nothing_left(scratch)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_interrupted_demo_leaves_nothing_running(scratch: Path, number: signal.Signals) -> None:
    process = start(scratch)
    copied = "*/destination"
    assert wait_until(lambda: any(scratch.glob(copied)), 120, every=0.02), process.poll()
    process.send_signal(number)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130, out + err
    assert "interrupted" in err and "Traceback" not in err
    assert not (scratch / "evidence").exists()
    assert_nothing_left(scratch)


def test_demo_of_an_absent_major_says_how_to_get_it(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = set(majors())
    absent = next((m for m in range(10, 19) if m not in present), None)
    if absent is None:
        monkeypatch.setenv("LANDBRIDGE_ENGINES", "")
        absent = 10
    process = start(scratch, "--json", "--major", str(absent))
    out, _ = process.communicate(timeout=180)
    error = json.loads(out)["error"]
    assert process.returncode == 1 and error["id"] == "programs.missing"
    assert_nothing_left(scratch)
