"""The console's lists of assessments, migrations and whitelists, over rows; no server runs."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from threading import Thread

import pytest
import uvicorn

from assessment_facts import change, healthy, with_setting
from fix_api import Tenant
from fix_console import PASSWORD, Member, Surfer
from fix_tasks import World
from landbridge.api.app import Application
from landbridge.api.dispatch import Service
from landbridge.api.logs import logger
from landbridge.api.table import ACTIONS
from landbridge.assessment import Report, assess
from landbridge.cloud import Cloud, Secret, accounts, users
from landbridge.cloud.instances import classes, lifecycle
from landbridge.cloud.instances.parameters import specs
from landbridge.cloud.instances.states import Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations import assessments, managed
from landbridge.cloud.migrations.mover import tasks_of
from landbridge.cloud.migrations.tables import Assessment, Migration, Order
from landbridge.cloud.migrations.told import Teller
from landbridge.console.app import routes
from landbridge.console.pages.migrating import _curves
from landbridge.console.render import _environment
from landbridge.migration.states import State
from landbridge.migration.task import Task
from landbridge.postgres.facts.account import Override


@dataclass
class Ben:
    """The destination's owner at the console."""

    cloud: Cloud
    surfer: Surfer
    world: World
    id: str

    @property
    def at(self) -> str:
        return f"/console/rds/{self.id}"

    def text(self, page: str) -> str:
        reply = self.surfer.get(page)
        assert reply.status == 200, reply.text
        return unescape(reply.text)

    def sent(self, page: str, **fields: str) -> int:
        return self.surfer.send(f"{self.at}/{page}", fields).status

    @contextmanager
    def rows(self) -> Iterator[World]:
        """The rows, in a transaction of their own."""
        world = self.world
        with self.cloud.database.write() as world.session:
            world.ben = accounts.find(world.session, "ben")
            world.target = world.session.get_one(DBInstance, self.id)
            yield world

    def assessed(self, name: str | None = None, *, passes: bool = True) -> str:
        """The id of an assessment that is over."""
        with self.rows() as world:
            row = world.ask(name=name)
            world.settle(row, passes=passes)
            return row.id

    def migrated(self, name: str) -> str:
        """The id of a migration that came to nothing."""
        with self.rows() as world:
            row = world.migrate()
            self.end(world, row, name)
            return row.id

    def end(self, world: World, row: Migration, name: str) -> None:
        """The migration comes to nothing, and is called like this."""
        row.name, row.is_active = name, False
        lifecycle.release(world.target)
        world.target.applied = world.target.version


@pytest.fixture
def ben(cloud: Cloud, tmp_path: Path) -> Iterator[Ben]:
    with cloud.database.write() as session:
        world = World(cloud, session, tmp_path / "data")
        users.create(session, world.ben, "ben", Secret(PASSWORD))
        uid, id = world.ben.uid, world.target.id
    service = Service(cloud, ACTIONS, logger(io.StringIO()))
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
    application = Application(service, routes(service, lambda: False))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off", ws="none"))
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        surfer = Surfer(endpoint)
        who = Member(Tenant(endpoint, uid, "", ""), "ben", "ben")
        assert surfer.sign_in(who).status == 303
        yield Ben(cloud, surfer, world, id)
    finally:
        server.should_exit = True
        thread.join()


def test_home_tells_what_runs_and_what_failed_last(ben: Ben) -> None:
    def home() -> tuple[str, str, bool]:
        """How many tasks run; what needs attention; whether there was an assessment."""
        text = ben.text("/console/")
        number = re.search(r"<b>(\d+)</b><span>assessments and migrations", text)
        todo = re.search(r'<ul class="todo">(.*?)</ul>', text, re.DOTALL)
        assert number is not None
        said = re.sub(r"<span class=\"unseen\">.*?</span>|<[^>]*>", " ", todo[1]) if todo else ""
        done = re.search(r'class="done"[^>]*>(?:(?!</li>).)*Assess the feasibility', text)
        return number[1], " ".join(said.split()), bool(done)

    with ben.rows() as world:
        first = world.ask(name="first").id
    assert home() == ("1", "", False)
    assert "Feasibility assessment" in ben.text("/console/")
    with ben.rows() as world:
        world.settle(world.session.get_one(Assessment, first), passes=False)
    assert home() == ("0", "Feasibility assessment first failed Look at it", False)
    ben.assessed("second")
    assert home() == ("0", "", True)
    task = ben.migrated("moving")
    assert "moving failed" in home()[1]
    with ben.rows() as world:
        again = world.ask(name="third")
        again.created_at += timedelta(seconds=1)
        third = again.id
    assert home() == ("1", "", True)  # it is tried again
    with ben.rows() as world:
        assessments.delete(world.session, _over(world, third))
    assert ben.sent(f"migration/tasks/{task}/close", confirm="moving") == 303
    assert home() == ("0", "", True)


def test_a_copy_that_does_not_get_on_is_told_and_its_source_may_be_given_up(ben: Ben) -> None:
    ben.assessed()
    with ben.rows() as world:
        row = world.migrate()
        row.name, row.task = "moving", "m-1"
        page = f"{ben.at}/migration/tasks/{row.id}"
    (tasks_of(ben.cloud).root / "tasks/m-1").mkdir(parents=True)
    record = Task(tasks_of(ben.cloud).root / "tasks/m-1")
    record.journal.enter(State.COPYING)
    record.journal.append("step", name="copy", phase="begin")
    record.write_live(phase="copying", part="copying", copied=5, total=9, rate=3.0, eta=1.0,
                      wal_received=0)  # fmt: skip
    assert ">Running<" in ben.text(page) and f"{page}/cancel" in ben.text(page)
    error = {"id": "copy.wire_dead", "message": "the line is dead"}
    record.journal.append("step", name="copy", phase="failed", error=error)
    for shown in (ben.text(page), ben.text("/console/")):
        assert "The copy failed: the line is dead. It is tried again by itself." in shown
    assert ">Interrupted<" in ben.text(page)
    record.journal.append("signal", name="cancel")
    assert ">Cancelling<" in ben.text(page) and f"{page}/cancel" not in ben.text(page)
    record.journal.note("undo.begun", "Cancelling: what was begun is put back.")
    waiting = "Cancelling: waiting for the source to drop slot s"
    record.journal.note("undo.waiting", waiting, waiting=waiting)
    for shown in (ben.text(page), ben.text("/console/")):
        assert waiting in shown
    assert f"{page}/give-up" in ben.text(page)
    assert ben.surfer.send(f"{page}/cancel", {"confirm": "moving"}).status == 422
    assert ben.surfer.send(f"{page}/give-up", {"confirm": "moving"}).status == 303
    record.journal.note("undo.given_up", "The slot s is left on the source.", level="alarm")
    record.journal.enter(State.CANCELLED)
    with ben.rows() as world:
        given_up = world.session.get_one(Migration, row.id)
        assert given_up.order is Order.CANCEL
        given_up.order, given_up.is_active = Order.NONE, False
    over = ben.text(page)
    assert "<b>Alarm:</b> The slot s is left" in over and "Slot dropped" not in over
    assert over.count("The slot s is left on the source.") == 2  # also in the event log
    assert '<span class="status bad">alarm</span>' in over


def test_a_copy_that_began_again_is_a_line_of_its_own() -> None:
    copied = [(1, 9), (5, 9), (0, 0), (2, 9), (9, 9)]
    points = [
        {"at": f"2026-05-01T12:00:0{second}+00:00", "copied": done, "total": total}
        for second, (done, total) in enumerate(copied)
    ]
    (curve,) = _curves(points)
    first, second = (each["values"] for each in curve["data"]["series"])
    assert first == [1, 5, None, 2, 9] and second == [9, 9, None, 9, 9]


def test_figures_of_a_source_that_does_not_answer_are_unknown() -> None:
    unknown = ("lag_bytes", "lag_seconds", "wal_kept_bytes", "wal_hours_left", "sessions")
    figures = dict.fromkeys(unknown) | {
        "source_seen": "2026-05-01T12:00:00+00:00", "wal_budget_bytes": 100,
    }  # fmt: skip
    said = _environment().get_template("migration_figures.html").render(
        figures=figures, task={"Stage": "increment"}
    )  # fmt: skip
    assert said.count(">unknown<") == 3 and "since <time" in said


def _over(world: World, id: str) -> Assessment:
    row = world.session.get_one(Assessment, id)
    world.settle(row)
    return row


def test_a_name_is_confirmed_as_it_is_seen(ben: Ben) -> None:
    ben.assessed("  of  two words ")
    page = ben.text(f"{ben.at}/migration")
    assert ">of  two words</div>" in page  # spaces around a name are no part of it
    task = ben.migrated(" from   before ")
    assert ben.sent(f"migration/tasks/{task}/close") == 303  # by which nothing is lost
    at = f"migration/tasks/{task}/delete"
    pattern = re.search(r' pattern="([^"]*)"', ben.text(f"{ben.at}/{at}"))
    assert pattern is not None
    assert pattern[1] == r"\s*from\s+before\s*"
    assert ben.sent(at, confirm="frombefore") == 422
    assert ben.sent(at, confirm="from before") == 303


def test_lists_are_whole_and_what_is_over_is_deleted(ben: Ben) -> None:
    ids = [ben.assessed(f"number {n}") for n in range(52)]
    page = ben.text(f"{ben.at}/migration")
    assert [f"number {n}" for n in range(52) if f">number {n}</div>" not in page] == []
    with ben.rows() as world:  # the newest is what the migration goes by
        row = world.migrate()
        task = row.id
    assert ben.sent(f"migration/tasks/{task}/delete", confirm=task) == 422
    tasks = f"{ben.at}/migration/tasks"
    assert "migration/create" not in ben.text(tasks)  # there is one
    with ben.rows() as world:
        ben.end(world, world.session.get_one(Migration, task), "moving")
    assert "migration/create" in ben.text(tasks)
    assert ben.surfer.get(f"{tasks}/{task}/switchover").location == f"{tasks}/{task}"
    assert f"{task}/close" in ben.text(tasks) and f"{task}/delete" not in ben.text(tasks)
    assert ben.sent(f"migration/tasks/{task}/close", confirm="moving") == 303
    page = ben.text(tasks)
    assert "1 closed task<" in page and f'href="{tasks}/{task}/delete"' in page
    assert f"{task}/delete" in ben.text(f"{tasks}/{task}")

    last = f"migration/assessments/{ids[-1]}/delete"
    assert last in ben.text(f"{ben.at}/migration")
    refused = ben.surfer.send(f"{ben.at}/{last}", {"confirm": "number 51"})
    assert refused.status == 422 and f"in use by {task}" in refused.text
    assert ben.sent(f"migration/tasks/{task}/delete", confirm="moving") == 303
    assert "No migration yet." in ben.text(tasks)
    assert ben.sent(last, confirm="number 5") == 422
    assert ben.sent(last, confirm="number 51") == 303
    page = ben.text(f"{ben.at}/migration")
    assert ">number 51</div>" not in page and ">number 50</div>" in page


def test_of_a_report_one_finding_or_all_is_ordered(ben: Ben) -> None:
    admin = {"AdminAccount": "postgres", "AdminPassword": "x"}
    for where, fields, found in (
        ("again", {"SourcePassword": "x"}, ("Running", None)),
        ("findings/cloud.empty/again", {"SourcePassword": "x"}, ("Failed", "cloud.empty")),
        ("fix", admin, ("Failed", None)),
        ("findings/nothing/fix", admin, ("Failed", None)),
    ):
        id = ben.assessed(passes=False)
        status = ben.sent(f"migration/assessments/{id}/{where}", **fields)
        assert status == (404 if "nothing" in where else 303), where
        with ben.rows() as world:
            row = world.session.get_one(Assessment, id)
            assert (row.verdict.value, row.recheck) == found, where
            assert (row.fix_account == "postgres") == (where == "fix")
            if world.target.status is Status.MAINTAINING:
                lifecycle.release(world.target)
                world.target.applied = world.target.version


def test_a_report_speaks_of_pages_and_offers_a_fix_as_somebody_who_may_apply_it(ben: Ben) -> None:
    bold = Override("app", None, "default_transaction_read_only", "off")
    facts = change(with_setting(healthy(), "wal_level", "minimal"), source__overrides=(bold,))
    report = managed.told(assess(change(facts, plan__fence="manual")), specs(15))
    with ben.rows() as world:
        id = world.ask().id
        told = Report.from_dict(Teller((), ()).report(report.as_dict()))
        assessments.settle(world.session, ben.cloud.vault, id, told)
    at = f"{ben.at}/migration/assessments/{id}"
    page = ben.text(at)
    assert "Set wal_level to replica at the source (Parameters), and restart it" in page
    assert "RestartDBInstance DBInstanceId=SOURCE</pre>" in page  # as calls of the API
    assert "Landbridge can apply it as app or migrator" in page
    form = ben.text(f"{at}/findings/fence.overrides/fix")
    assert 'value="app"' in form and "app, migrator, or another that may" in form
    assert f"{at}/findings/wal.level/fix" not in page
    refused = ben.surfer.send(f"{at}/fix", {"AdminAccount": "", "AdminPassword": "x"})
    assert refused.status == 422 and "RESET default_transaction_read_only" in refused.text


def test_classes_are_offered_with_what_a_server_gets(ben: Ben) -> None:
    page = ben.text("/console/rds/create")
    shown = re.findall(r">(pg\.\S+) – (\d+) cores?, (\d+) GB</option>", page)
    assert len(shown) > 2
    for name, cores, memory in shown:
        found = classes.find(name)
        assert (found.cpus, found.memory_mb) == (int(cores), 1024 * int(memory)), name


def test_a_whitelist_is_not_replaced_unseen_and_can_be_deleted(ben: Ben) -> None:
    def save(group: str, entries: str, seen: str = "", is_new: bool = False) -> str:
        """What is said beside a field; empty if it was saved."""
        more = "" if is_new else f"?group={group}"
        fields = {"DBInstanceIPArrayName": group, "SecurityIps": entries, "seen": seen}
        reply = ben.surfer.send(f"{ben.at}/whitelist/edit{more}", fields)
        said = re.search(r'class="error" id="field-\w+-error">([^<]*)', reply.text)
        return said[1] if said else ""

    assert save("office", "10.1.0.1", is_new=True) == ""
    assert "There is a whitelist of this name" in save("office", "10.9.0.1", is_new=True)
    assert 'name="seen" value="10.1.0.1"' in ben.text(f"{ben.at}/whitelist/edit?group=office")
    assert save("office", "10.1.0.1 10.1.0.2", seen="10.1.0.1") == ""
    late = save("office", "10.1.0.1\n10.1.0.3", seen="10.1.0.1")  # of another tab
    assert "it has 10.1.0.1, 10.1.0.2 now" in late
    page = ben.text(f"{ben.at}/whitelist")
    assert "10.1.0.1, 10.1.0.2<" in page and "default/delete" not in page
    assert "whitelist/office/delete" in page
    assert ben.sent("whitelist/office/delete", confirm="offic") == 422
    assert ben.sent("whitelist/office/delete", confirm="office") == 303
    assert ben.surfer.get(f"{ben.at}/whitelist/office/delete").status >= 400
    assert "10.1.0.1" not in ben.text(f"{ben.at}/whitelist")
    assert "it was deleted" in save("office", "10.1.0.1", seen="10.1.0.1")
    assert ben.sent("whitelist/default/delete", confirm="default") == 422
