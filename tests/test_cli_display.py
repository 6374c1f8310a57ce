"""What a person sees of a migration, from journals made up for the purpose."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from fix_cli import Cli
from landbridge.cli.display.follow import follow
from landbridge.cli.display.lines import entry_line
from landbridge.cli.display.screen import screen
from landbridge.cli.display.view import PATH, Mark, View
from landbridge.cli.output import Mode, Output
from landbridge.cli.summary import failure
from landbridge.cli.tasks import tasks
from landbridge.cli.verify import picture
from landbridge.errors import LandbridgeError
from landbridge.migration import worker
from landbridge.migration.states import State
from landbridge.migration.task import Request, Task, Tasks, write_json


@pytest.fixture
def task(state_dir: Path) -> Task:
    request = Request(
        source={"host": "db.example", "port": "5433", "user": "migrator"}, data="/srv/pg/new",
        port=5434, major=15, superuser="pgsql", system_identifier="7300000000000000001",
    )  # fmt: skip
    return Tasks(state_dir).create(request, {})


def drawn(view: View) -> str:
    """The picture as text, on a terminal of 120 columns."""
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(screen(view))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def step(task: Task, name: str, **facts: Any) -> None:
    task.journal.append("step", name=name, phase="begin")
    task.journal.append("step", name=name, phase="end", **facts)


def until_synchronizing(task: Task) -> None:
    finding = {"id": "a", "level": "warning", "cause": "odd"}
    write_json(task.folder / "assessment.json", {"findings": [finding]})
    step(task, "assess", errors=0, warnings=1)
    task.journal.enter(State.COPYING)
    step(task, "copy", bytes=150 * 1024**2, wire_bytes=40 * 1024**2, seconds=2.0,
         compression="zstd:3")  # fmt: skip
    task.journal.enter(State.STARTING)
    task.journal.enter(State.SYNCHRONIZING)


def until_promoted(task: Task) -> None:
    until_synchronizing(task)
    task.journal.enter(State.FENCING)
    step(task, "fence", fence_lsn="0/ABCDEF8", fence_next_xid=777)
    task.journal.enter(State.DRAINED)
    at = "2026-01-01T10:00:00.{:06}+00:00"
    task.journal.append(
        "step", name="promote", phase="begin", closing=at.format(0), fenced=at.format(9800),
        drained=at.format(15000),
    )  # fmt: skip
    task.journal.append("step", name="promote", phase="end")
    task.journal.enter(State.PROMOTED)
    result = {"promoted": at.format(52000), "released": at.format(60000), "write_outage_ms": 52.0,
              "fenced": at.format(9800), "drained": at.format(15000)}  # fmt: skip
    (task.folder / "switchover").mkdir()
    write_json(task.folder / "switchover" / "result.json", result)


def test_every_phase_is_on_screen_before_anything_happens(task: Task) -> None:
    view = View(task)
    view.update()
    text = drawn(view)
    assert task.id in text and "db.example:5433" in text and "/srv/pg/new :5434" in text
    assert [p.mark for p in view.phases] == [Mark.ACTIVE] + [Mark.WAITING] * (len(PATH) - 1)
    for phase in view.phases:
        assert phase.label in text


def test_copy_shows_bytes_rate_time_left_and_compression(task: Task) -> None:
    task.journal.enter(State.COPYING)
    task.write_live(
        phase="copying", copied=75 * 1024**2, total=150 * 1024**2, rate=50.0 * 1024**2, eta=1.5,
        compression="zstd:3", wal_received=1024**2,
    )  # fmt: skip
    view = View(task)
    view.update()
    text = drawn(view)
    assert "75 MB of 150 MB, 50 MB/s, 1.5 s left, zstd:3" in text
    assert "50 %" in text and "WAL 1 MB" in text


def test_copy_that_brings_nothing_says_since_when(task: Task) -> None:
    task.journal.enter(State.COPYING)
    figures = {"phase": "copying", "copied": 50 * 1024**2, "total": 100 * 1024**2, "eta": 3.0}
    write_json(task.folder / "live.json", {"at": "2026-01-01T10:00:00+00:00", **figures})
    view = View(task)
    view.update()
    assert "50 MB of 100 MB; nothing has arrived since" in drawn(view)
    assert "left" not in drawn(view)
    task.write_live(**figures)
    view.update()
    assert "left" in drawn(view) and "nothing has arrived" not in drawn(view)


def test_lag_is_a_curve_and_wal_has_hours_left(task: Task) -> None:
    until_synchronizing(task)
    view = View(task)
    for lag in (0, 4096, 8192, 1024):
        task.write_live(
            phase="synchronizing", lag_bytes=lag, lag_seconds=0.004, caught_up=lag == 0,
            wal_kept_bytes=16 * 1024**2, wal_budget_bytes=16 * 1024**3, wal_rate=1024**2,
            wal_hours_left=4.5, sessions=8,
        )  # fmt: skip
        view.update()
    text = drawn(view)
    assert "150 MB, at 75 MB/s, zstd:3, 40 MB over the wire" in text
    assert "▁▅█▂" in text and "highest 8 kB" in text and view.max_lag == 8192
    assert "16 MB of 16 GB" in text and "a cut line would fill in 4 h 30 min" in text
    assert "lag 1 kB, 4 ms" in text


@pytest.mark.parametrize("fence", ["sync", "manual"])
def test_fencing_claims_nothing_before_the_fence_stands(task: Task, fence: str) -> None:
    until_synchronizing(task)
    task.amend(fence=fence)
    task.journal.append("signal", name="switchover")
    task.journal.enter(State.FENCING)
    if fence == "manual":
        lines = ["ALTER SYSTEM SET default_transaction_read_only = on;"]
        task.journal.note("fence.by_hand", lines[0], statements=lines)
    view = View(task)
    view.update()
    assert "acknowledged" not in drawn(view) and view.is_switching
    if fence == "manual":
        assert "accepts writes until you have fenced it" in view.guarantee
        assert lines[0] in drawn(view) and f"{task.id} --fenced" in drawn(view)
    else:
        assert "may acknowledge writes until the fence stands" in view.guarantee


@pytest.mark.parametrize("width", [40, 80, 120])
def test_list_of_tasks_can_be_read_at_every_width(
    task: Task, width: int, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_synchronizing(task)
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli("tasks").out
    assert max(map(len, out.splitlines())) <= width
    for words in (task.id, "Incremental synchronization", "db.example:5433", "/srv/pg/new"):
        assert words in out


def test_cut_line_and_blocking_transactions_are_said(task: Task) -> None:
    until_synchronizing(task)
    task.write_live(
        phase="synchronizing", lag_bytes=10, disconnected_since="2026-01-01T10:00:00+00:00",
        long_transactions=[{"pid": 4, "user": "ann", "database": "shop", "age_seconds": 3700}],
        prepared_transactions=[{"gid": "gx", "database": "shop", "age_seconds": 5}],
    )  # fmt: skip
    view = View(task)
    view.update()
    text = drawn(view)
    assert "disconnected since" in text
    assert "ann in shop, pid 4, open for 1 h 1 min" in text
    assert "prepared transaction 'gx'" in text


def test_point_of_no_return_is_one_line_with_the_switchover_in_milliseconds(task: Task) -> None:
    until_promoted(task)
    view = View(task)
    view.update()
    text = drawn(view)
    assert text.count("POINT OF NO RETURN") == 1
    assert "+9.8 ms read-only confirmed" in text
    assert "+52 ms destination writable" in text
    assert "nothing acknowledged after 0/ABCDEF8" in text
    assert "writes stood still for 52 ms" in text


def test_undone_switchover_returns_to_synchronizing_and_says_why(task: Task) -> None:
    until_synchronizing(task)
    task.journal.append("signal", name="switchover")
    task.journal.enter(State.FENCING)
    task.journal.enter(State.SYNCHRONIZING)
    task.journal.append(
        "error", id="switchover.time_limit", message="60 s were over", held="switchover"
    )
    view = View(task)
    view.update()
    assert view.state is State.SYNCHRONIZING and view.held is not None
    marks = {p.state: p.mark for p in view.phases}
    assert marks[State.SYNCHRONIZING] is Mark.ACTIVE and marks[State.FENCING] is Mark.WAITING
    entered = [e["at"] for e in task.journal.entries() if e.get("state") == "synchronizing"]
    assert view.entered[State.SYNCHRONIZING].isoformat(timespec="microseconds") == entered[0]
    assert "60 s were over" in drawn(view)
    task.journal.append("signal", name="switchover")
    view.update()
    assert view.held is None


def test_what_put_an_earlier_switchover_back_is_not_what_failed(task: Task) -> None:
    task.journal.append("error", id="switchover.time_limit", message="by the guard", remedy=None)
    task.journal.enter(State.SYNCHRONIZING)
    task.journal.append("error", id="follow.slot_lost", message="lost", remedy=None)
    task.journal.enter(State.FAILED)
    view = View(task)
    view.update()
    error = failure(view)
    assert error is not None and error.id == "follow.slot_lost"


@pytest.mark.parametrize("end", [State.FAILED, State.CANCELLED])
def test_ended_migration_shows_where_it_ended(task: Task, end: State) -> None:
    task.journal.enter(State.COPYING)
    task.journal.append("error", id="copy.failed", message="the line is cut", remedy=None)
    task.journal.enter(end)
    view = View(task)
    view.update()
    marks = {p.state: p.mark for p in view.phases}
    assert marks[State.ASSESSING] is Mark.DONE and marks[State.COPYING] is Mark.ENDED
    assert view.summary()["stage"] == "basebackup"
    assert view.is_over and view.error is not None and view.error["id"] == "copy.failed"


def test_each_entry_is_one_plain_line(task: Task) -> None:
    until_promoted(task)
    task.journal.note("replay.paused", "Replay is\npaused.", level="warning")
    view = View(task)
    said = [line for entry in view.update() if (line := entry_line(view, entry))]
    assert all("\n" not in line for line in said if "1 warning" not in line)
    text = "\n".join(said)
    assert "1 warning\n    warning: a: odd" in text
    assert "Full copy" in text and "150 MB" in text
    assert "warning: Replay is paused. [replay.paused]" in text
    assert text.count("POINT OF NO RETURN") == 1
    assert text.index("nothing acknowledged after") < text.index("POINT OF NO RETURN")


def test_half_written_entry_is_read_once_it_is_whole(task: Task) -> None:
    view = View(task)
    view.update()
    line = json.dumps({"at": "2026-01-01T10:00:00+00:00", "kind": "note", "id": "x", "text": "y"})
    with task.journal.path.open("a") as file:
        file.write(line[:20])
        file.flush()
        assert view.update() == []
        file.write(line[20:] + "\n")
    assert [entry["id"] for entry in view.update()] == ["x"]


def test_following_without_a_terminal_writes_lines(
    task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    until_synchronizing(task)
    task.journal.enter(State.CANCELLED)
    follow(View(task), Output(), lambda view: view.is_over)
    out = capsys.readouterr().out
    assert "Full copy" in out and "Cancelled" in out and "\x1b" not in out


def test_events_are_json_lines_of_the_journal_and_the_figures(
    task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    until_synchronizing(task)
    task.write_live(phase="synchronizing", lag_bytes=5)
    task.journal.enter(State.CANCELLED)
    follow(View(task), Output(Mode.EVENTS), lambda view: view.is_over)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [event["kind"] for event in events]
    assert "state" in kinds and "step" in kinds and "live" in kinds
    assert all("at" in event for event in events)


def test_order_that_could_not_be_written_is_waited_for_by_nobody(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_synchronizing(task)

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr("landbridge.migration.requests.send", fail)
    with pytest.raises(OSError, match="full"):
        worker.request_switchover(task)
    view = View(task)
    view.update()
    assert not view.is_switching and (error := failure(view)) is not None
    assert error.id == "switchover.not_ordered"
    with pytest.raises(LandbridgeError, match="no switchover is under way"):
        worker.request_undo(task)


def test_state_folder_that_cannot_be_looked_at_is_said(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDBRIDGE_STATE", f"/tmp/{300 * 'x'}")
    called = cli("tasks")
    assert called.code == 1 and "[state.unreadable]" in called.err


@pytest.mark.parametrize("terminal", [False, True])
def test_names_that_look_like_styles_are_shown_as_they_are(
    task: Task, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")  # no colours between the words
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    odd = {
        "kind": "role",
        "name": "[/b]",
        "source": "[red]1",
        "destination": ":smile:",
        "equal": False,
    }
    table = {"database": "[/db]", "schema": "[red]", "table": "[/t]", "equal": False,
             "rows_source": 1, "rows_destination": 2, "error": "[/gone]"}  # fmt: skip
    found = {"tables": [table], "roles": [odd], "sequences": [], "large_objects": [],
             "databases": [], "definitions": [], "differences": 2, "skipped": [],
             "point": "0/1"}  # fmt: skip
    task.write_request(replace(task.request, data="/srv/[pg]"))
    out = Output()
    assert out.console.is_terminal is terminal
    out.show(*picture(found, all_tables=True), Text("[/x] on [red]"))
    tasks()
    shown = capsys.readouterr().out
    for text in ("[/db].[red].[/t]", "[/gone]", "role [/b] differs: [red]1 here :smile:",
                 "[/x] on [red]", "/srv/[pg]"):  # fmt: skip
        assert text in shown, shown
