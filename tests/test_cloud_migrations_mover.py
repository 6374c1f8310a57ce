"""Who looks after assessments and migrations is kept waiting by nobody's source."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from landbridge.cloud import Cloud, accounts
from landbridge.cloud.instances import look
from landbridge.cloud.instances.homes import Homes
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations import mover, settle
from landbridge.cloud.migrations.errand import Errand, TooLate
from landbridge.cloud.migrations.mover import Mover
from landbridge.cloud.migrations.place import Job, Verb
from landbridge.cloud.migrations.tables import Assessment, Migration, Order, Verdict
from landbridge.migration.states import State
from landbridge.migration.task import Request, Task
from landbridge.network.fabric import Fabric
from landbridge.postgres.process import wait_until


@pytest.fixture
def at_work(cloud: Cloud) -> Iterator[Any]:
    """Begins a mover in a thread of its own, which ends with the test."""
    stop = threading.Event()
    threads = []

    def begin(made: Mover) -> None:
        threads.append(threading.Thread(target=made.run))
        threads[-1].start()

    yield SimpleNamespace(stop=stop, begin=begin)
    stop.set()
    for thread in threads:
        thread.join(20)


def test_sources_that_never_answer_hold_up_neither_migrations_nor_other_accounts(
    cloud: Cloud, at_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts(owner: Any, n: int) -> dict[str, Any]:
        return {
            "id": f"{owner.name}{n}", "owner_uid": owner.uid, "instance_id": "pgm-x", "name": "n",
            "category": "other", "address": "8.8.8.8", "port": 5432, "account": "mover",
        }  # fmt: skip

    with cloud.database.write() as session:
        ann, bob = (accounts.create(session, name) for name in ("ann", "bob"))
        for n in range(9):
            session.add(Assessment(**facts(ann, n)))
        session.add(Assessment(verdict=Verdict.SUCCESSFUL, **facts(bob, 1)))
        session.flush()
        session.add(Migration(assessment_id="bob1", task="m-00000001", **facts(bob, 2)))
        session.add(Migration(assessment_id="bob1", **facts(bob, 3)))
        session.add(Assessment(**facts(bob, 4)))

    seen, answers = [], threading.Event()

    def do(_: Mover, id: str) -> None:
        seen.append(id)
        if id.startswith("ann"):
            answers.wait(60)

    monkeypatch.setattr(Mover, "_assess", do)
    monkeypatch.setattr(Mover, "_tend", do)
    at_work.begin(Mover(cloud, lambda: cast(Fabric, None), at_work.stop))
    try:
        assert wait_until(lambda: all(seen.count(f"bob{n}") > 1 for n in (2, 3, 4)), 20)
        anns = lambda: {id for id in seen if id.startswith("ann")}  # noqa: E731
        assert wait_until(lambda: len(anns()) >= mover._OF_ONE, 20)
        assert len(anns()) == mover._OF_ONE
    finally:
        answers.set()


def test_what_is_asked_of_a_source_that_never_answers_is_broken_off_and_said(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric = cast(Fabric, SimpleNamespace(command=lambda *_, **__: ["sleep", "60"]))
    errand = Errand(cloud, lambda: fabric, threading.Event())
    begun = time.monotonic()
    with pytest.raises(TooLate):
        errand._send(fabric, "pgm-x", Job("assess", "", "", 15), 0.1)
    assert time.monotonic() - begun < 30

    asked = Mover(cloud, lambda: fabric, threading.Event())
    monkeypatch.setattr(Errand, "_job", lambda *_: Job("assess", "", "", 15))
    monkeypatch.setattr(mover, "_LONGEST", 0.1)
    monkeypatch.setattr(look, "made", lambda *_: None)
    instance = DBInstance(id="pgm-x", storage_gb=20)
    row = Assessment(address="db.example", instance_id="pgm-x")
    report = asked._look(row, instance)
    (login,) = (finding for finding in report.findings if finding.id == "connect.login")
    assert login.level.value == "error" and "db.example" in login.cause


def test_what_was_begun_unsaid_is_taken_up_before_it_is_cancelled(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker has the data directory already: nobody else may be given it."""
    asked = Mover(cloud, lambda: cast(Fabric, None), threading.Event())
    folder = mover.tasks_of(cloud).root / "tasks" / "m-00000001"
    folder.mkdir(parents=True)
    data = str(Homes.of(cloud).home("pgm-x") / "data")
    task = Task(folder)
    task.write_request(Request({}, data, 5432, 15, "pgsql", "1"))
    said: list[str] = []

    def run(verb: Verb, row: Migration, **_: Any) -> dict[str, str]:
        said.append(verb.value)
        return {"task": task.id}

    errand = SimpleNamespace(clear=lambda row: said.append("clear"), run=run)
    monkeypatch.setattr(asked, "_errand", errand)
    monkeypatch.setattr(asked, "_give_up", lambda row, words: said.append(words))
    monkeypatch.setattr(settle, "begun", lambda *given: said.append(given[-1]))
    row = Migration(id="7", instance_id="pgm-x", order=Order.CANCEL)
    asked._begin(row)
    assert said == ["begin", task.id]
    said.clear()
    with task.locked():  # its worker lives: what it was begun with need not be there any more
        asked._begin(row)
    assert said == [task.id]
    said.clear()
    task.journal.enter(State.CANCELLED)
    asked._begin(row)
    assert said == ["cancelled before it was begun"]
