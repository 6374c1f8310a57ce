"""What migrations leave in the state directory once their owners have deleted them."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from landbridge.cloud import Cloud, accounts
from landbridge.cloud.migrations import records
from landbridge.cloud.migrations.mover import tasks_of
from landbridge.cloud.migrations.tables import Assessment, Migration
from landbridge.migration.states import State
from landbridge.migration.task import Task


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
        common = {
            "owner_uid": ann.uid, "instance_id": "pgm-x", "name": "n", "category": "other",
            "address": "8.8.8.8", "port": 5432, "account": "mover",
        }  # fmt: skip
        session.add(Assessment(id="1", **common))
        session.flush()
        session.add(Migration(id="2", assessment_id="1", task="m-00000004", **common))
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
