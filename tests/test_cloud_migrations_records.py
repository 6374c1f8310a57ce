"""What migrations leave in the state directory once their owners have deleted them."""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from landbridge.api.metrics import Metrics
from landbridge.cloud import Cloud, accounts
from landbridge.cloud.accounts import Account
from landbridge.cloud.migrations import figures, records
from landbridge.cloud.migrations.mover import tasks_of
from landbridge.cloud.migrations.tables import Assessment, Migration
from landbridge.errors import StoreFailed
from landbridge.migration.states import State
from landbridge.migration.task import Task
from landbridge.store import Database


def aged(path: Path, age: timedelta) -> None:
    moment = time.time() - age.total_seconds()
    os.utime(path, (moment, moment))


def record(cloud: Cloud, id: str, state: State, age: timedelta) -> None:
    folder = tasks_of(cloud).root / "tasks" / id
    folder.mkdir(parents=True)
    (folder / "request.json").write_text("{}")
    (folder / "evidence.json").write_text(id)
    task = Task(folder)
    task.journal.enter(state)
    aged(task.journal.path, age)


def of(owner: Account) -> dict[str, Any]:
    """What a row needs."""
    return {
        "owner_uid": owner.uid, "instance_id": "pgm-x", "name": "n", "category": "other",
        "address": "8.8.8.8", "port": 5432, "account": "mover",
    }  # fmt: skip


def test_a_deleted_migrations_record_goes_and_its_evidence_later(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = records.RECORD * 2, records.RECORD / 2
    for id, state, age in (
        ("m-00000001", State.FINISHED, old), ("m-00000002", State.CANCELLED, new),
        ("m-00000003", State.SYNCHRONIZING, old), ("m-00000004", State.FINISHED, old),
    ):  # fmt: skip
        record(cloud, id, state, age)
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        session.add(Assessment(id="1", **of(ann)))
        session.flush()
        session.add(Migration(id="2", assessment_id="1", task="m-00000004", **of(ann)))
    records.sweep(cloud)
    left = [task.id for task in tasks_of(cloud).all()]
    assert sorted(left) == ["m-00000002", "m-00000003", "m-00000004"]
    evidence = cloud.folder / "evidence"
    (kept,) = evidence.iterdir()
    assert kept.read_text() == "m-00000001"

    monkeypatch.setattr(records, "MOST_EVIDENCE", 2)
    for n, days in enumerate((3, 2, 1), 5):
        (evidence / f"m-0000000{n}.json").touch()
        aged(evidence / f"m-0000000{n}.json", timedelta(days=days))
    aged(kept, records.EVIDENCE + timedelta(days=1))
    records.sweep(cloud)
    assert sorted(f.name for f in evidence.iterdir()) == ["m-00000006.json", "m-00000007.json"]


def test_the_operators_figures_count_migrations_and_name_nobody(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        session.add(Assessment(id="1", **of(ann)))
        session.flush()
        for id, state in enumerate(
            (State.SYNCHRONIZING, State.SYNCHRONIZING, State.COPYING, State.FAILED), 2
        ):
            task = f"m-0000000{id}"
            record(cloud, task, state, timedelta())
            if state is State.SYNCHRONIZING:
                live = {"state": "streaming", "lag_seconds": id * 1.5, "caught_up": True}
                tasks_of(cloud).get(task).write_live(**live)
            active = state is not State.FAILED
            session.add(
                Migration(id=str(id), assessment_id="1", task=task, is_active=active, **of(ann))
            )
    now = 100.0
    monkeypatch.setattr(figures, "time", SimpleNamespace(monotonic=lambda: now))
    metrics = Metrics(cloud)
    assert told(metrics) == {
        **dict.fromkeys(figures.STATUSES, 0.0), "ReadyToSwitch": 2.0, "Running": 1.0, "Failed": 1.0,
        "lag ReadyToSwitch": 4.5,
    }  # fmt: skip

    with cloud.database.write() as session:
        session.delete(session.get_one(Migration, "3"))
    assert told(metrics)["ReadyToSwitch"] == 2.0, "not made anew for whoever asks in a loop"
    now += 10
    assert (told(metrics)["ReadyToSwitch"], told(metrics)["lag ReadyToSwitch"]) == (1.0, 3.0)
    now += 10
    monkeypatch.setattr(type(cloud.database), "read", away)
    metrics.count("sts.GetCallerIdentity", "Success", 0.1)
    assert told(metrics) == {}
    assert b"landbridge_api_calls_total" in metrics.page()


def away(_: Database) -> None:
    raise StoreFailed("away")


def told(metrics: Metrics) -> dict[str, float]:
    """What is told of migrations: by status, and their lag."""
    page = metrics.page().decode()
    lines = re.findall(r"^landbridge_migrations(_lag_seconds)?{(.*)} (\S+)$", page, re.MULTILINE)
    names = [(lag, re.fullmatch(r'status="(\w+)"', labels)) for lag, labels, _ in lines]
    assert all(match for _, match in names), lines
    return {
        f"{'lag ' if lag else ''}{match[1]}": float(value)
        for (lag, match), (_, _, value) in zip(names, lines, strict=True)
        if match
    }
