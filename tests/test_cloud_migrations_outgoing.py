"""What the owner of a source knows of the migrations out of it; no server runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from landbridge.cloud import Cloud, CloudError
from landbridge.cloud.migrations import settle
from landbridge.cloud.migrations.outgoing import Outgoing, outgoing
from landbridge.cloud.migrations.tables import Migration
from landbridge.console.pages.instance_access import _in_use
from landbridge.console.visit import Visit
from landbridge.migration.states import State
from landbridge.migration.task import Task, Tasks
from test_cloud_migrations_rules import World


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path / "control")


@pytest.fixture
def world(cloud: Cloud, tmp_path: Path) -> Any:
    with cloud.database.write() as session:
        yield World(cloud, session, tmp_path / "data")


def _promoted(world: World, tasks: Tasks, row: Migration) -> None:
    row.task = f"m-{row.id}"
    (tasks.root / "tasks" / row.task).mkdir(parents=True)
    Task(tasks.root / "tasks" / row.task).journal.enter(State.PROMOTED)
    settle.ended(world.session, world.cloud.vault, row.id, words="finished")


def test_a_source_is_in_use_then_moved_and_told_to_its_owner_alone(
    world: World, tasks: Tasks
) -> None:
    def told(account: Any, *instance: str) -> list[Outgoing]:
        return list(outgoing(world.session, tasks, account, *instance))

    world.join()
    world.assess()
    assert told(world.ann) == []
    row = world.migrate()
    assert told(world.ann) == told(world.ann, world.source.id)
    assert told(world.ann) == [Outgoing(world.source.id, "mover", None)]
    _promoted(world, tasks, row)
    (moved,) = told(world.ann)
    assert moved.moved_at is not None and moved.instance_id == world.source.id
    assert told(world.ben) == []
    with pytest.raises(CloudError, match="does not exist"):
        told(world.ben, world.source.id)
    # what is migrated back is there again
    back = Migration(
        id="999999999", owner_uid=world.ann.uid, instance_id=world.source.id, name="back",
        category="aliyunRDS", address="10.20.1.1", port=5432, account="mover",
        source_id=world.target.id, assessment_id=row.assessment_id,
    )  # fmt: skip
    world.session.add(back)
    world.session.flush()
    _promoted(world, tasks, back)
    assert told(world.ann) == []
    assert [each.instance_id for each in told(world.ben)] == [world.target.id]


@dataclass
class _Asked:
    """A visit of an instance's page, with what the API answers."""

    rows: list[dict[str, Any]]

    def __getitem__(self, name: str) -> str:
        return "pgm-1"

    def call(self, action: str, **arguments: object) -> dict[str, Any]:
        assert (action, arguments) == (
            "landbridge.DescribeOutgoingMigrations", {"DBInstanceId": "pgm-1"}
        )  # fmt: skip
        return {"Items": self.rows}


def test_an_account_that_a_migration_uses_is_named_before_it_is_deleted() -> None:
    rows: list[dict[str, Any]] = [{"AccountName": "mover", "Moved": False}]
    visit = cast(Visit, _Asked(rows))
    assert "A migration reads from this instance as mover" in _in_use(visit, "mover", "stops")
    assert _in_use(visit, "other", "stops") == ""
    rows[0]["Moved"] = True
    assert _in_use(visit, "mover", "stops") == ""
