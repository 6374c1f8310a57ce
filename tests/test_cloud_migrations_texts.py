"""Detail and ReplicationInfo: the vendor's grammar, from what really was found."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import landbridge
from landbridge.assessment.model import Finding, Group, Level, Report
from landbridge.cloud import Cloud, CloudError, accounts, audit
from landbridge.cloud.migrations import detail, outcomes, replication, trying
from landbridge.cloud.migrations import series as course
from landbridge.cloud.migrations.migrations import cancel
from landbridge.cloud.migrations.mover import waits_for_us
from landbridge.cloud.migrations.progress import Progress, status
from landbridge.cloud.migrations.series import Series
from landbridge.cloud.migrations.tables import Assessment, Migration, Order
from landbridge.cloud.migrations.told import REMEDIES, Teller
from landbridge.errors import LandbridgeError
from landbridge.migration.states import Replication, Stage, State
from landbridge.migration.task import Tasks

SOURCE = {"address": "10.10.1.5", "port": "5432", "account": "mover"}


def finding(id: str, level: Level, cause: str = "because", group: Group = Group.WAL) -> Finding:
    return Finding(id, level, id.title(), cause, "do something", (), {}, group)


def report(*findings: Finding) -> Report:
    return Report(findings, (), "", "", {}, {})


def test_an_assessment_reads_like_the_vendors() -> None:
    found = report(
        finding("cloud.empty", Level.OK),
        finding("connect.address", Level.OK),
        finding("connect.port", Level.OK),
        finding("version.major", Level.INFO),
        finding("collation.version", Level.WARNING, "glibc 2.28 here,\n  2.36 there."),
    )
    assert detail.assessed(found, SOURCE).splitlines() == [
        "[Check rds empty]",
        "Check rds databases: success",
        "[Check source connectivity]",
        "Check ip connectable: success",
        "Check port connectable: success",
        "[Check source version]",
        "Check major version consistent: success",
        "[Check source glibc version]",
        "Check source glibc version compatible: warning(warning:source glibc version is not"
        " compatible with rds pg. glibc 2.28 here, 2.36 there.)",
        "*Migrate check success*",
    ]


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("cloud.empty", "postgres not empty, check if any table exists"),
        ("connect.address", "10.10.1.5 is unapproachable"),
        ("connect.port", "5432 is unapproachable"),
        ("connect.login", "cannot connect to source database by mover"),
        ("connect.createrole", "mover has no createrole privilege"),
    ],
)
def test_errors_are_said_in_the_vendors_words(id: str, said: str) -> None:
    lines = detail.assessed(report(finding(id, Level.ERROR)), SOURCE).splitlines()
    assert lines[1].endswith(f": error(error:{said}. because)")
    assert lines[-1] == "*Migrate check failure*"


def test_of_several_findings_of_a_line_the_worst_is_told() -> None:
    found = report(
        finding("wal.level", Level.OK), finding("wal.slots", Level.ERROR, "none is free"),
        finding("wal.senders", Level.WARNING),
    )  # fmt: skip
    assert "Check wal keep size large enough: error(error:none is free)" in detail.assessed(
        found, SOURCE
    )


def test_no_error_is_left_out_though_the_vendor_has_no_line_for_it() -> None:
    found = report(
        finding("transactions.prepared", Level.ERROR, "two of them", Group.ACTIVITY),
        finding("auth.hba", Level.INFO, "nobody", Group.SECURITY),
    )
    assert detail.assessed(found, SOURCE).splitlines() == [
        "[Check activity]", "Transactions.Prepared: error(error:two of them)",
        "*Migrate check failure*",
    ]  # fmt: skip


def test_every_id_of_a_line_is_a_check_of_ours() -> None:
    from landbridge.assessment.registry import CHECKS

    known = {check.id for check in CHECKS} | {"cloud.empty", "cloud.storage"}
    ids = [id for lines in detail.CHECKS.values() for line in lines for id in line.ids]
    assert set(ids) <= known
    assert len(ids) == len(set(ids))


def test_replication_info_is_of_texts_and_without_the_password() -> None:
    standby = {
        "status": "streaming", "receive_start_lsn": "0/5000000", "receive_start_tli": 1,
        "flushed_lsn": "0/5016158", "received_tli": 1, "is_slave": True,
        "latest_end_time": "2026-01-31T20:00:00.12+08:00",
        "conninfo": "user=mover password=s3cret passfile=/x/y host=10.10.1.5 port=5432"
        " options=-c wal_sender_timeout=5s application_name=landbridge_m",
    }  # fmt: skip
    told = json.loads(replication.info(standby, 0.25, synced=False))
    assert set(map(type, told.values())) == {str}
    assert (told["Status"], told["ReceiveStartTli"], told["IsSlave"]) == ("streaming", "1", "true")
    assert (told["ReplayLag"], told["Synced"]) == ("0.250", "false")
    assert told["LatestEndTime"] == "2026-01-31T12:00:00.120+00:00"
    assert told["Conninfo"] == (
        "user=mover password=******** dbname=replication host=10.10.1.5 port=5432"
        " application_name=landbridge_m"
    )
    older = json.loads(replication.info({"received_lsn": "0/5016158"}, None, synced=False))
    assert told["ReceivedLsn"] == older["ReceivedLsn"] == "0/5016158"
    nothing = json.loads(replication.info(None, None, synced=True))
    assert set(nothing) == set(told)
    assert (nothing["Status"], nothing["IsSlave"], nothing["Synced"]) == ("", "false", "true")


class Record:
    """A migration's record, written as the work itself writes it."""

    def __init__(self, root: Path) -> None:
        self.tasks = Tasks(root)
        folder = root / "tasks" / "m-1"
        folder.mkdir(parents=True)
        self.row = Migration(id="1", task="m-1", is_active=True, order=Order.NONE, trouble="",
                             address="10.10.1.5", port=5432, account="mover")  # fmt: skip
        self.journal = self.seen().record.journal  # type: ignore[union-attr]

    def seen(self) -> Progress:
        return Progress.of(self.tasks, self.row)

    def text(self) -> list[str]:
        passed = Assessment(report=report(finding("cloud.empty", Level.OK)).as_dict())
        return self.seen().text(self.row, lambda: passed).splitlines()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path)


_WAY = (State.ASSESSING, State.COPYING, State.STARTING, State.SYNCHRONIZING, State.FENCING,
        State.DRAINED, State.PROMOTED, State.FINISHED)  # fmt: skip


def test_stages_and_replication_come_from_the_table_of_states(record: Record) -> None:
    told = []
    for state in _WAY:
        record.journal.enter(state)
        record.row.is_active = state is not State.FINISHED
        seen = record.seen()
        told.append((seen.stage, seen.replication))
    assert [stage for stage, _ in told] == [
        Stage.PRECHECK, Stage.BASEBACKUP, Stage.STARTUP, Stage.INCREMENT, Stage.SWITCH,
        Stage.SWITCH, Stage.SWITCH, Stage.SUCCESS,
    ]  # fmt: skip
    assert told[0][1] is Replication.UNSTARTED and told[-1][1] is Replication.FINISH
    assert record.seen().switched_at is not None and record.seen().is_promoted
    record.row.is_active = True  # the destination is not handed back yet
    assert (record.seen().stage, status(record.row, record.seen())) == (Stage.SWITCH, "Switching")


def test_while_it_follows_the_latest_figures_say_how(record: Record) -> None:
    record.journal.enter(State.SYNCHRONIZING)
    assert record.seen().replication is Replication.CATCHUP
    lost = "2026-05-01T12:00:00.000+00:00"
    for away in ({"disconnected_since": lost}, {"source_reachable": False, "source_seen": lost}):
        record.seen().record.write_live(state="disconnect", **away)  # type: ignore[union-attr]
        assert record.seen().replication is Replication.DISCONNECT
        held = record.seen().hold
        assert held is not None and held.since == lost and "2026-05-01 12:00:00 UTC" in held.text
        assert status(record.row, record.seen()) == "ReadinessUnknown"
    old = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    stream = {"status": "streaming", "conninfo": "user=mover passfile=/x/y"}
    figures = {"at": old, "state": "streaming", "lag_bytes": 0, "caught_up": True, "stream": stream}
    live = record.seen().record.folder / "live.json"  # type: ignore[union-attr]
    live.write_text(json.dumps(figures))
    assert record.seen().replication is Replication.DISCONNECT
    assert record.seen().live.keys() == {"at", "state", "age_seconds"}
    assert json.loads(record.seen().info)["Status"] == ""
    assert status(record.row, record.seen()) == "ReadinessUnknown"
    words = f"The latest figures are those of {old[:10]} {old[11:19]} UTC."
    assert words in record.seen().hold.text  # type: ignore[union-attr]
    assert words in record.seen().text(record.row, Assessment)
    record.row.order = Order.SWITCH
    assert status(record.row, record.seen()) == "Switching"
    record.row.order = Order.NONE
    record.journal.append("signal", name="switchover")  # passed on, and not begun yet
    assert status(record.row, record.seen()) == "Switching"
    record.journal.append("error", id="fence.not_effective", message="m", held="switchover")
    assert status(record.row, record.seen()) == "ReadinessUnknown"
    live.write_text(json.dumps(figures | {"at": datetime.now(UTC).isoformat()}))
    assert status(record.row, record.seen()) == "ReadyToSwitch" and not record.seen().hold
    told = json.loads(record.seen().info)
    assert (told["Status"], told["Synced"]) == ("streaming", "true") and "/x/y" not in told.values()
    assert "stream" not in record.seen().live


def test_a_copy_that_fails_again_and_again_or_stands_still_is_no_running_one(
    record: Record,
) -> None:
    def step(phase: str, **facts: Any) -> dict[str, Any]:
        return record.journal.append("step", name="copy", phase=phase, **facts)

    def figures(age: float = 0.0) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
        live = {"at": at, "part": "copying", "copied": 5, "total": 9, "rate": 3.0, "eta": 1.3}
        (record.tasks.root / "tasks/m-1/live.json").write_text(json.dumps(live))

    record.journal.enter(State.COPYING)
    step("begin")
    figures()
    assert status(record.row, record.seen()) == "Running" and record.seen().live["rate"] == 3.0
    figures(age=6)
    assert status(record.row, record.seen()) == "Interrupted"
    assert (record.seen().live["rate"], record.seen().live["eta"]) == (0.0, None)
    figures()
    first = step("failed", error={"id": "copy.wire_dead", "message": "the line is dead"})
    step("begin")
    step("failed", error={"id": "copy.wire_dead", "message": "the line is still dead"})
    step("begin")
    held = record.seen().hold
    assert held is not None and held.since == first["at"] and "is still dead" in held.text
    assert status(record.row, record.seen()) == "Interrupted"
    figures()  # the third attempt moves
    assert status(record.row, record.seen()) == "Running"


def test_what_is_put_back_is_told_until_that_is_over_with_what_it_waits_for(
    record: Record,
) -> None:
    record.journal.enter(State.SYNCHRONIZING)
    cancel(record.row, record.seen())
    record.row.order = Order.NONE  # passed on to the worker
    record.journal.append("signal", name="cancel")
    assert status(record.row, record.seen()) == "Cancelling" and not record.seen().hold
    with pytest.raises(CloudError, match="already"):
        cancel(record.row, record.seen())
    with pytest.raises(CloudError, match="nothing that could be given up"):
        cancel(record.row, record.seen(), give_up=True)
    record.journal.note("undo.begun", "Cancelling: what was begun is put back.")
    waits = {"waiting": "Cancelling: waiting for the source to drop slot s"}
    for _ in range(2):
        record.journal.note("undo.waiting", "Cancelling ...", **waits)
    held = record.seen().hold
    assert held is not None and held.text.startswith(waits["waiting"])
    noted = [e["at"] for e in record.seen().entries if e.get("id") == "undo.waiting"]
    assert held.since == noted[0]
    assert status(record.row, record.seen()) == "Cancelling"
    cancel(record.row, record.seen(), give_up=True)
    assert record.row.order is Order.CANCEL
    record.journal.enter(State.CANCELLED)
    assert record.seen().undoing is None and record.seen().hold is None


def test_the_latest_look_at_a_switchover_stays_where_no_newer_one_comes(
    cloud: Cloud, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[dict[str, Any] | LandbridgeError] = []

    class Errand:
        def run(self, *_: Any, **__: Any) -> dict[str, Any]:
            answer = answers.pop(0)
            if isinstance(answer, LandbridgeError):
                raise answer
            return answer

    monkeypatch.setattr(trying, "_errand", lambda _: nullcontext(Errand()))
    record.row.owner_uid = 1
    record.journal.enter(State.SYNCHRONIZING)
    slow = LandbridgeError("it was killed", id="place.failed")

    def look(answer: dict[str, Any] | LandbridgeError) -> dict[str, Any]:
        answers.append(answer)
        return trying.readiness(cloud, record.row, record.seen())

    with pytest.raises(CloudError, match="no answer within"):
        look(slow)
    first = look({"is_closed": True})
    assert first["problem"] == "" and first["is_closed"]
    again = look(slow)
    assert again["at"] == first["at"] and "no answer within" in again["problem"]
    assert look({"is_closed": False})["problem"] == ""


def test_what_came_of_a_switchover_is_in_the_trail_once(cloud: Cloud, record: Record) -> None:
    record.journal.append("signal", name="switchover")
    assert outcomes.latest(record.seen().entries) is None
    record.journal.append("error", id="fence.broken", message="m", held="switchover")
    failed = outcomes.latest(record.seen().entries)
    record.journal.enter(State.PROMOTED)
    done = outcomes.latest(record.seen().entries)
    assert failed and failed[1] == "fence.broken" and done and done[1] == "Success"
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        record.row.owner_uid = ann.uid
        for found in (failed, failed, done):
            outcomes.tell(session, record.row, *found)
            session.flush()
        told = [e for e in audit.trail(session, ann) if e.source == outcomes.SOURCE]
        assert [e.outcome for e in told] == ["Success", "fence.broken"]


def test_one_that_fails_is_put_back_and_not_running(record: Record) -> None:
    record.journal.enter(State.COPYING)
    record.journal.append("error", id="copy.failed", message="the disk is full", remedy=None)
    record.journal.note("undo.begun", "Putting back: what was begun is put back.")
    assert status(record.row, record.seen()) == "PuttingBack"


def test_one_cancelled_before_anything_was_begun_has_not_failed(record: Record) -> None:
    record.row.task, record.row.order, record.row.is_active = None, Order.CANCEL, False
    assert status(record.row, record.seen()) == "Cancelled"
    assert "Nothing on either side has been changed" in record.seen().guarantee
    record.row.order = Order.NONE
    assert status(record.row, record.seen()) == "Failed"


def test_where_a_password_came_from_is_no_news() -> None:
    text = 'authentication failed for user "m" password retrieved from file "/state/x/pass"'
    told = Teller((Path("/state"),), ()).text(text)
    assert told == 'authentication failed for user "m"'


def test_a_migration_that_came_to_nothing_keeps_its_last_stage(record: Record) -> None:
    for state in (State.ASSESSING, State.COPYING):
        record.journal.enter(state)
    record.journal.append("error", id="copy.failed", message="the disk is full", remedy="room!")
    record.journal.enter(State.FAILED)
    seen = record.seen()
    assert (seen.stage, seen.replication) == (Stage.BASEBACKUP, Replication.DISCONNECT)
    assert seen.error is not None and seen.error["id"] == "copy.failed"
    assert any(line.endswith("--- the disk is full. room!") for line in record.text())
    record.row.is_active = False
    assert status(record.row, seen) == "Failed"


def test_what_waits_for_somebody_else_than_the_owner_is_tried_again_later_each_time() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def entry(seconds: int, **facts: Any) -> dict[str, Any]:
        return {"at": (now - timedelta(seconds=seconds)).isoformat(), **facts}

    held = {"kind": "error", "held": "start"}
    resumed = entry(100, kind="signal", name="resume")
    assert not waits_for_us([], now)
    assert not waits_for_us([entry(5, **held)], now)
    assert waits_for_us([entry(20, **held)], now)
    assert not waits_for_us([entry(20, **held), entry(1, kind="signal", name="resume")], now)
    assert not waits_for_us([resumed, entry(20, **held)], now)
    assert waits_for_us([resumed, entry(40, **held)], now)
    assert not waits_for_us([entry(900, kind="error", held="switchover")], now)
    assert waits_for_us([resumed] * 50 + [entry(700, **held)], now)


def test_the_detail_of_a_migration_tells_its_checks_and_then_its_course(record: Record) -> None:
    record.journal.enter(State.ASSESSING)
    record.journal.note("worker.started", "Process 1 works on the task.")
    record.journal.enter(State.COPYING)
    record.journal.enter(State.SYNCHRONIZING)
    record.journal.note("follow.source_restarted", "The source\nwas restarted.", level="warning")
    text = record.text()
    assert text[:2] == ["[Check rds empty]", "Check rds databases: success"]
    begun, followed = text.index("[Start RDS instance]"), text.index("[Synchronize data]")
    assert begun == 2 and followed == 5
    assert text[3].endswith(" --- Checking prerequisites") and text[3].startswith("20")
    assert text[6].endswith(" --- Incremental synchronization")
    assert text[7].endswith(" --- The source was restarted.")
    assert "Process" not in "\n".join(text)


STATE = Path("/srv/landbridge")
HOME = STATE / "instances/pgm-1"


def _texts() -> Iterator[str]:
    """Every text of the packages whose words a record may hold, values left out."""
    for package in ("migration", "assessment", "postgres"):
        for path in (Path(landbridge.__file__).parent / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (getattr(part, "value", "X") for part in node.values)
                    yield "".join(part if isinstance(part, str) else "X" for part in parts)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_no_text_that_a_record_may_hold_advises_commands_of_the_machine() -> None:
    teller = Teller((STATE,), ())
    verbs = "resume|cancel|switchover|show|migrate|verify"
    advice = re.compile(rf"landbridge (?:{verbs})\b(?! \w+ to )|(?<=[ (])--[a-z]")
    found = [text for text in _texts() if advice.search(text)]
    assert len(found) > 30
    assert [told for text in found if advice.search(told := teller.text(text))] == []


def test_the_owner_is_told_what_the_api_can_do_and_no_place_of_the_machine(record: Record) -> None:
    teller = Teller((STATE,), (Path("/opt/engines/15"),))
    assert teller.text(
        f"{HOME}/data is not empty; look into {HOME}/data.landbridge/server.log."
    ) == ("the destination's folder is not empty; look into the destination's folder")
    assert teller.text("The copy is kept. Start it then:\nlandbridge resume m-1") == (
        "The copy is kept."
    )
    silent = (
        f"cannot connect to the server on {HOME}/data: connection is bad: connection to server on"
        f' socket "{HOME}/data/.s.PGSQL.5432" failed: No such file or directory Is the server'
        " running locally and accepting connections on that socket?"
    )
    assert teller.text(silent) == (
        "the destination's server does not answer: No such file or directory"
    )
    outside = f"Not all is there (outside {HOME}/data: {HOME}/a.conf, {HOME}/b.conf), so it fails."
    assert teller.text(outside) == "Not all is there, so it fails."
    error = {"id": "fence.not_effective", "message": "it may write",
             "remedy": "Run them, or `landbridge switchover m-1 --fenced`."}  # fmt: skip
    assert "ForceSwitch=1" in teller.value(error)["remedy"]
    found = finding("destination.disk", Level.WARNING, f"{HOME}/data is small").as_dict()
    hidden = finding("destination.running", Level.INFO, "a neighbour").as_dict()
    fixes = [{"where": where, "lines": ["true"]} for where in ("source", "destination")]
    raw = {"findings": [found | {"fixes": fixes}, hidden],
           "destination": {"data": str(HOME), "port": 1, "version": "15.4"}}  # fmt: skip
    told = teller.report(raw)
    assert told["destination"] == {"version": "15.4"} and "/srv" not in json.dumps(told)
    assert [f["id"] for f in told["findings"]] == ["destination.disk"]
    assert told["findings"][0]["fixes"] == fixes[:1]


def test_before_anything_was_begun_it_is_in_precheck() -> None:
    row = Migration(id="1", task=None, is_active=True, order=Order.NONE)
    seen = Progress.of(Tasks(Path("/nonexistent")), row)
    assert (seen.stage, seen.replication, seen.error) == (
        Stage.PRECHECK, Replication.UNSTARTED, None,
    )  # fmt: skip
    row.is_active = False
    assert Progress.of(Tasks(Path("/nonexistent")), row).state is State.FAILED


def test_a_course_is_kept_once_a_second_and_told_in_as_many_figures_as_wanted(
    tmp_path: Path,
) -> None:
    series = Series(tmp_path)
    for second in range(10):
        for part in (1, 5):
            live: dict[str, Any] = {
                "at": f"2026-01-31T12:00:0{second}.{part}+00:00", "lag_bytes": second, "pid": 1,
            }  # fmt: skip
            series.add(live)
    assert [point["lag_bytes"] for point in series.read(100)] == list(range(10))
    assert [point["lag_bytes"] for point in series.read(3)] == [3, 7, 9]
    assert "pid" not in series.read(1)[0]
    end = {"at": "2026-01-31T12:00:09.9+00:00", "phase": "copied", "copied": 9, "total": 9}
    series.add(end)  # the end of a copy, also within a second
    assert series.read(1)[0] == end


def test_a_course_of_weeks_is_kept_in_a_file_that_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "MOST", 40)
    monkeypatch.setattr(course, "LATEST", 10)
    begun = datetime(2026, 1, 31, tzinfo=UTC)
    path = tmp_path / "series.jsonl"
    series = Series(tmp_path)
    for second in range(1000):
        if second % 300 == 0:
            series = Series(tmp_path)  # another service
            with path.open("a") as file:
                file.write('{"at": "2026-01-3\n')  # one was cut short
        series.add({"at": (begun + timedelta(seconds=second)).isoformat(), "lag_bytes": second})
        assert path.read_text().count("\n") <= 40 + 4
    kept = [point["lag_bytes"] for point in series.read(1000)]
    assert kept[-10:] == list(range(990, 1000))
    gaps = [after - before for before, after in pairwise([0, *kept])]
    assert kept == sorted(set(kept)) and max(gaps) < 1000 / 3
    evenly = [point["lag_bytes"] for point in series.read(4)]
    assert evenly[-1] == 999 and len(evenly) <= 4 and evenly[0] < 400


def test_an_owner_is_sent_to_what_the_service_offers_and_nowhere_where_all_is_well() -> None:
    def told(level: str) -> str | None:
        value = {"id": "version.major", "level": level, "remedy": None}
        remedy: str | None = Teller((), ()).value(value)["remedy"]
        return remedy

    assert told("error") == REMEDIES["version.major"] and told("ok") is None
