"""The evidence: complete, self-contained, without secrets, whatever the migration's end."""

from __future__ import annotations

import doctest
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from landbridge.migration.evidence import page, scrub, write_evidence
from landbridge.migration.evidence.steps import steps
from landbridge.migration.journal import now
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult
from landbridge.migration.task import Request, Task, Tasks, write_json
from landbridge.postgres.conninfo import Conninfo

PASSWORD = "Wanderer-7:päss\\word"


def make(state_dir: Path) -> Task:
    source = Conninfo.parse("host=db1.example port=5432 user=mover dbname=app").with_password(
        PASSWORD
    )
    request = Request(
        source=source.public(), data="/srv/pg/app", port=5433, major=15, superuser="postgres",
        system_identifier="7312345678901234567", waive=("wal.archive",),
        settings={"archive_cleanup_command": "curl -u me:topsecret"},
        hba_file="host all all samenet ldap ldapbindpasswd=topsecret",
        fence_as={"host": "db1.example", "user": "boss"},
    )  # fmt: skip
    return Tasks(state_dir).create(request, {"source": source})


def journey(task: Task) -> None:
    """The journal and files of a migration that went to its end, with one attempt undone."""
    journal = task.journal
    step = journal.append
    step("step", name="assess", phase="begin")
    step("step", name="assess", phase="end", errors=0, warnings=2)
    journal.enter(State.COPYING)
    step("step", name="copy", phase="begin")
    step("step", name="copy", phase="end", bytes=1_610_000_000, end_lsn="0/5A000100")
    journal.enter(State.STARTING)
    step("step", name="start", phase="begin")
    step("step", name="start", phase="end")
    journal.enter(State.SYNCHRONIZING)
    journal.note("follow.disconnected", "The line was cut for 8 s.", level="warning")
    journal.append("signal", name="switchover")
    step("step", name="fence", phase="begin")
    journal.append("error", id="switchover.undone", message="replay did not arrive", remedy="Retry")
    step("step", name="fence", phase="undone")
    step("step", name="fence", phase="begin")
    step("step", name="fence", phase="end", lsn="0/61000ABC", next_xid=48213)
    step("step", name="promote", phase="begin")
    step("step", name="promote", phase="end")
    switched(task, [])
    journal.enter(State.PROMOTED)
    journal.enter(State.FINISHED)


def switched(task: Task, diverged: list[dict[str, Any]]) -> None:
    """The result that a switchover leaves."""
    at = now()
    result = SwitchoverResult(
        "sync", "0/61000ABC", 48213, 48213, task.request.system_identifier, 1, 2, at, at, at, at,
        at, 97.4, 12, at, diverged,
    )  # fmt: skip
    (task.folder / "switchover").mkdir(exist_ok=True)
    write_json(task.folder / "switchover/result.json", result.as_dict())


def hidden_text(page: str) -> list[str]:
    """Everything in a page that would cause a request or run a script."""
    found = []

    class Look(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("script", "link", "img", "iframe", "object", "embed"):
                found.append(tag)
            found.extend(f"{k}={v}" for k, v in attrs if k in ("src", "href") or k[:2] == "on")

    Look().feed(page)
    return found + re.findall(r"url\(|@import", page)


def test_every_step_of_the_journal_is_in_it(state_dir: Path) -> None:
    task = make(state_dir)
    journey(task)
    text = write_evidence(task).read_text()
    document = json.loads((task.folder / "evidence.json").read_text())
    found = [(s["name"], s["outcome"]) for s in document["steps"]]
    assert found == [
        ("assess", "done"), ("copy", "done"), ("start", "done"), ("fence", "undone"),
        ("fence", "done"), ("promote", "done"),
    ]  # fmt: skip
    assert document["steps"][1]["lsn"] == "0/5A000100"
    assert all(s["seconds"] >= 0 for s in document["steps"])
    assert document["switchover"]["fence_lsn"] == "0/61000ABC"
    assert document["diverged"] == []
    for fact in ("0/61000ABC", "48213", "7312345678901234567", "undone", "wal.archive", "97 ms"):
        assert fact in text, fact


def test_journal_can_be_matched(state_dir: Path) -> None:
    task = make(state_dir)
    journey(task)
    write_evidence(task)
    document = json.loads((task.folder / "evidence.json").read_text())
    task.journal.note("later", "grows on")
    begin = task.journal.path.read_bytes()[: document["journal"]["bytes"]]
    assert hashlib.sha256(begin).hexdigest() == document["journal"]["sha256"]


def test_page_is_self_contained(state_dir: Path) -> None:
    task = make(state_dir)
    journey(task)
    assert hidden_text(write_evidence(task).read_text()) == []


def test_no_secret_passes(state_dir: Path) -> None:
    task = make(state_dir)
    task.journal.note("x", f"fe_sendauth: host=h password='{PASSWORD}' user=u")
    task.journal.note("y", f"somebody wrote {PASSWORD} here", conninfo="postgres://u:geheim@h/d")
    task.journal.append("error", id="z", message="x", remedy=None, password="n0nsense")
    write_evidence(task)
    for name in ("evidence.json", "evidence.html"):
        text = (task.folder / name).read_text()
        escaped = json.dumps(PASSWORD)[1:-1]
        for secret in (PASSWORD, escaped, "geheim", "n0nsense", "topsecret"):
            assert secret not in text, (name, secret)
        assert (task.folder / name).stat().st_mode & 0o077 == 0
    assert "ldapbindpasswd" not in (task.folder / "request.json").read_text()
    assert "ldapbindpasswd" in str(task.request.hba_file)
    task.remove_secrets()
    assert task.request.hba_file == ""


@pytest.mark.parametrize("end", [State.FAILED, State.CANCELLED, State.ASSESSING])
def test_valid_for_a_migration_that_ended_early(state_dir: Path, end: State) -> None:
    task = make(state_dir)
    task.journal.append("step", name="copy", phase="begin")
    task.journal.append("error", id="copy.failed", message="No space left", remedy="Free some.")
    task.journal.append("step", name="copy", phase="failed", error={"id": "copy.failed"})
    task.journal.append("step", name="copy", phase="undone", removed="the partial copy")
    task.journal.enter(end)
    text = write_evidence(task).read_text()
    document = json.loads((task.folder / "evidence.json").read_text())
    assert document["task"]["state"] == end.value
    assert document["steps"][0]["outcome"] == "undone"
    assert "No space left" in text and "the partial copy" in text


def test_diverged_commits_are_loud(state_dir: Path) -> None:
    task = make(state_dir)
    journey(task)
    switched(task, [{"xid": 48300, "lsn": "0/61000F00"}])
    text = write_evidence(task).read_text()
    assert "Commits diverged" in text and "48300" in text


def test_verification_is_shown(state_dir: Path) -> None:
    from landbridge.migration.verify import TableResult, Verification

    task = make(state_dir)
    journey(task)
    result = Verification("after", "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00")
    result.tables = [
        TableResult("app", "public", f"t{i}", 5, 5, "1", "1", True, "0/1") for i in range(30)
    ]
    result.tables.append(TableResult("app", "public", "odd", 5, 4, "1", "2", False, "0/1"))
    result.skip("table app.public.log", "unlogged: not replicated")
    write_json(task.folder / "verification.json", result.as_dict())
    text = write_evidence(task).read_text()
    assert "Differences found" in text and "app.public.odd" in text and "unlogged" in text
    assert "app.public.t29" in text


@pytest.mark.parametrize("module", [page, scrub])
def test_examples(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_a_step_that_is_undone_later_took_no_longer() -> None:
    def entry(second: int, phase: str) -> dict[str, object]:
        return {"at": f"2026-05-01T12:00:{second:02}+00:00", "kind": "step", "name": "copy",
                "phase": phase}  # fmt: skip

    (step,) = steps([entry(0, "begin"), entry(8, "failed"), entry(50, "undone")])
    assert (step["outcome"], step["seconds"]) == ("undone", 8.0)
