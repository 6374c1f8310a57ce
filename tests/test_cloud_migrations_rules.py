"""What may be assessed and migrated, decided over rows; no server runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fix_tasks import PASSWORD, World
from landbridge.assessment.model import Level, Report
from landbridge.cloud import Cloud, CloudError, accounts
from landbridge.cloud.instances import lifecycle
from landbridge.cloud.instances.states import Role, Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations import assessments, migrations, rules, settle
from landbridge.cloud.migrations.errand import Errand
from landbridge.cloud.migrations.foreign import is_of_the_machine
from landbridge.cloud.migrations.place import Verb, do
from landbridge.cloud.migrations.progress import Progress
from landbridge.cloud.migrations.search import wanted
from landbridge.cloud.migrations.source import locate
from landbridge.cloud.migrations.tables import Migration, Order, Verdict
from landbridge.cloud.paging import numbered
from landbridge.migration import worker
from landbridge.migration.states import Stage, State
from landbridge.migration.task import Request, Task
from landbridge.network.fabric import Endpoint

NAMES = "synchronous_standby_names"


@pytest.fixture
def world(cloud: Cloud, tmp_path: Path) -> Any:
    with cloud.database.write() as session:
        yield World(cloud, session, tmp_path / "data")


def refused(code: str, call: Callable[[], Any]) -> str:
    with pytest.raises(CloudError) as refusal:
        call()
    assert refusal.value.code == code
    return refusal.value.message


def test_the_destination_is_maintained_while_assessed_and_migrating_data_in_afterwards(
    world: World,
) -> None:
    row = assessments.create(
        world.session, world.cloud.vault, world.ben, world.target.id, world.place()
    )
    assert world.target.status is Status.MAINTAINING
    assert world.target.status.label == "Maintaining Instance"
    assert len(row.id) == 9 and len(row.name) == 11 and row.verdict is Verdict.RUNNING
    assert row.password_id is not None and assessments.text(row) == ""
    assessments.settle(world.session, world.cloud.vault, row.id, settle.report([]))
    assert (world.target.status, row.password_id) == (Status.RUNNING, None)
    task = world.migrate()
    assert world.target.status.label == "Migrating Data In"
    assert task.assessment_id == row.id and len(task.name) == 36


def test_only_a_running_primary_on_cloud_disks_is_a_destination(world: World) -> None:
    target = world.target
    target.role = Role.READ_ONLY
    refused("IncorrectDBInstanceType", world.assess)
    target.role, target.storage_type = Role.PRIMARY, lifecycle.LOCAL_SSD
    refused("OperationDenied.LocalStorage", world.assess)
    target.storage_type = "cloud_essd"
    for status in Status:
        if status is not Status.RUNNING:
            target.status = status
            refused("IncorrectDBInstanceState", world.assess)
    target.status = Status.RUNNING
    world.assess()


def test_a_migration_goes_by_the_latest_assessment_of_just_this_source(world: World) -> None:
    refused("OperationDenied.AssessmentNotPassed", world.migrate)
    world.assess()
    for other in ({"address": "10.10.1.99"}, {"port": 5433}, {"account": "other"}):
        refused(
            "OperationDenied.AssessmentNotPassed", lambda o=other: world.migrate(world.place(**o))
        )
    world.assess(passes=False)
    assert "Failed" in refused("OperationDenied.AssessmentNotPassed", world.migrate)
    passed = world.assess()
    assert world.migrate().assessment_id == passed.id


def test_one_task_at_a_time_for_a_destination_and_for_a_source(world: World) -> None:
    other = world.instance(world.ben, "10.30")
    world.join()
    world.assess()
    first = world.migrate()
    refused("IncorrectDBInstanceState", world.migrate)
    refused("IncorrectDBInstanceState", world.assess)
    assert first.source_id == world.source.id

    world.target, target = other, world.target
    near = world.place(address=target.address)  # the destination of another migration
    world.assess(near)
    refused("OperationDenied.AssessmentNotPassed", world.migrate)
    target.status = Status.RUNNING
    far = world.place()
    world.assess(far)
    refused("OperationDenied.SourceInMigration", lambda: world.migrate(far))


def test_a_private_address_is_another_host_in_another_account(world: World) -> None:
    elsewhere = world.place(address="192.168.7.7")
    world.assess(elsewhere)
    world.migrate(elsewhere)
    other = world.instance(world.ben, "10.30")
    world.target, first = other, world.target
    world.assess(elsewhere)
    refused("OperationDenied.SourceInMigration", lambda: world.migrate(elsewhere))
    world.ben = accounts.create(world.session, "carl")
    world.target = world.instance(world.ben, "10.20")
    world.assess(elsewhere)
    assert world.migrate(elsewhere).instance_id != first.id


def test_a_destination_that_was_filled_after_its_assessment_is_refused(world: World) -> None:
    world.assess()
    relation = world.data / "base" / "5" / "16384"
    relation.parent.mkdir(parents=True)
    for file in (relation, world.data / "PG_VERSION", world.data / "postmaster.pid"):
        file.write_text("15")
    said = refused("OperationDenied.DestinationNotEmpty", world.migrate)
    assert "databases or tables of its own" in said and "base/" not in said
    relation.unlink()
    world.migrate()


def test_an_assessment_is_forgotten_when_it_is_over_and_no_migration_goes_by_it(
    world: World,
) -> None:
    session, vault = world.session, world.cloud.vault
    running = assessments.create(session, vault, world.ben, world.target.id, world.place())
    refused("IncorrectDBInstanceState", lambda: assessments.delete(session, running))
    assessments.settle(session, vault, running.id, settle.report([]))
    assessments.delete(session, running)
    passed = world.assess()
    row = world.migrate()
    refused("DependencyViolation", lambda: assessments.delete(session, passed))
    settle.ended(session, vault, row.id, words="cancelled")
    migrations.delete(session, row)
    session.flush()
    assessments.delete(session, passed)
    session.flush()
    refused("InvalidTaskId.NotFound", lambda: assessments.find(session, world.ben, int(passed.id)))


def test_the_source_is_neither_restarted_resized_nor_deleted_meanwhile(world: World) -> None:
    def resize(instance: DBInstance) -> None:
        lifecycle.resize(instance, storage_gb=500)

    world.join()
    world.assess()
    row = world.migrate()
    for call in (lifecycle.restart, lifecycle.delete, resize):
        refused("IncorrectDBInstanceState", lambda c=call: c(world.source))
    refused("IncorrectDBInstanceState", lambda: resize(world.target))
    settle.ended(world.session, world.cloud.vault, row.id, words="cancelled")
    lifecycle.restart(world.source)


def test_commits_of_a_source_that_refuses_writes_wait_while_somebody_follows_it(
    world: World,
) -> None:
    from landbridge.cloud.instances import parameters
    from landbridge.cloud.instances import wanted as goal

    def names() -> Any:
        settings = goal.read(world.session, world.cloud.vault, world.source).settings
        assert settings["synchronous_commit"] == ("on" if NAMES in settings else "off")
        return settings.get(NAMES)

    def force(value: str) -> None:
        parameters.modify(world.session, world.source, {parameters.FORCE_READ_ONLY: value})

    parameters.modify(world.session, world.source, {"synchronous_commit": "off"})
    world.join()
    world.assess()
    row = world.migrate()
    force("on")
    assert names() is None  # there is nobody yet
    before = world.source.version
    settle.follows(world.session, row, "landbridge_m_1")
    settle.follows(world.session, row, "landbridge_m_1")
    assert (names(), world.source.version) == ('FIRST 1 ("landbridge_m_1")', before + 1)
    force("off")
    assert names() is None
    force("on")
    settle.came_to_nothing(world.session, row, "landbridge_m_1")
    assert names() is None
    settle.follows(world.session, row, "landbridge_m_2")
    settle.ended(world.session, world.cloud.vault, row.id, carried={})
    assert names() == 'FIRST 1 ("landbridge_m_2")'  # what waits is never acknowledged
    force("off")
    force("on")
    assert names() is None


def test_an_address_leads_to_an_instance_only_where_the_network_does(world: World) -> None:
    source, target = world.source, world.target
    twin = world.instance(world.ann, "10.10")
    assert twin.address == source.address

    def found(port: int = 5432) -> str | None:
        row = locate(world.session, target, source.address, port)
        return row.id if row else None

    assert found() is None
    world.join()
    assert (found(), found(5433)) == (source.id, None)
    assert locate(world.session, target, "db.example", 5432) is None
    said = refused("InvalidParameter", lambda: locate(world.session, target, target.address, 5432))
    assert "SourceIpAddress" in said and target.id in said


@pytest.mark.parametrize(
    "address",
    ["/var/run/postgresql", "127.0.0.1", "::1", "localhost", "a,b", "169.254.169.254", "0.0.0.0",
     "-x", "db host=other", "224.0.0.1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_a_source_is_another_host(world: World, address: str) -> None:
    refused("InvalidParameter", lambda: world.place(address=address))


def test_kinds_of_sources_have_two_generations_of_names(world: World) -> None:
    for given, known in (("ecsonvpc", "ecsOnVpc"), ("IDCONVPC", "idcOnVpc"), ("other", "other")):
        assert world.place(category=given).category == known
    refused("InvalidSourceCategory", lambda: world.place(category="mysql"))
    assert not is_of_the_machine("10.0.0.1") and is_of_the_machine("fe80::1%eth0")


def test_storage_that_is_too_small_is_an_error_and_a_tight_one_a_warning(tmp_path: Path) -> None:
    gigabyte = 1 << 30

    def level(size: int) -> Level:
        empty, storage = rules.findings(tmp_path / "none", 10, {"size": size})
        assert empty.level is Level.OK
        return storage.level

    assert level(11 * gigabyte) is Level.ERROR
    assert level(9 * gigabyte) is Level.WARNING
    assert level(8 * gigabyte) is Level.OK
    (only,) = rules.findings(tmp_path / "none", 10, {})
    assert only.id == "cloud.empty"


def test_a_switchover_begins_in_the_stage_increment_alone(world: World) -> None:
    world.assess()
    row = world.migrate()
    for state in State:
        progress = Progress(state=state, is_begun=True)
        if state is State.SYNCHRONIZING:
            continue
        refused("IncorrectDBInstanceState", lambda p=progress: migrations.switch(row, p))
    over = Progress(state=State.FAILED, before_end=State.SYNCHRONIZING, is_begun=True)
    ready = Progress(state=State.SYNCHRONIZING, is_begun=True)
    undone = replace(ready, entries=({"kind": "note", "id": "undo.begun", "at": "now"},))
    for progress in (over, undone):
        assert progress.stage is Stage.INCREMENT
        refused("IncorrectDBInstanceState", lambda p=progress: migrations.switch(row, p))
    assert row.order is Order.NONE
    migrations.switch(row, ready)
    assert row.order is Order.SWITCH
    refused("IncorrectDBInstanceState", lambda: migrations.switch(row, ready, forced=True))
    settle.passed_on(world.session, row.id, Order.SWITCH)
    migrations.switch(row, ready, forced=True)
    assert row.order is Order.FORCED_SWITCH
    settle.passed_on(world.session, row.id, Order.FORCED_SWITCH)
    refusal = {"kind": "error", "id": "fence.not_effective", "message": "m", "held": "switchover"}
    tried = ({"kind": "signal", "name": "switchover"}, refusal)
    often = replace(ready, entries=tried * 499)
    migrations.switch(row, often)
    settle.passed_on(world.session, row.id, Order.SWITCH)
    too_often = replace(ready, entries=tried * 500)
    refused("IncorrectDBInstanceState", lambda: migrations.switch(row, too_often))


def test_a_migration_is_put_away_when_it_is_over_and_cancelled_only_before(world: World) -> None:
    world.assess()
    row = world.migrate()
    for call in (migrations.close, lambda r: migrations.delete(world.session, r)):
        refused("IncorrectDBInstanceState", lambda c=call: c(row))
    promoted = Progress(state=State.PROMOTED, is_begun=True)
    refused("IncorrectDBInstanceState", lambda: migrations.cancel(row, promoted))
    migrations.cancel(row, Progress())
    assert row.order is Order.CANCEL
    settle.ended(world.session, world.cloud.vault, row.id, words="cancelled")
    assert (world.target.status, row.password_id) == (Status.REBOOTING, None)
    migrations.close(row)

    def listed(**only: Any) -> list[Any]:
        found = wanted(world.session, world.ben, Migration, world.target.id, **only)
        return list(numbered(world.session, found, 1, 30).rows)

    assert listed() == [] and listed(id=int(row.id)) == [row]
    migrations.delete(world.session, row)
    assert listed(id=int(row.id)) == []


def test_after_a_success_accounts_and_settings_are_those_that_came_with_the_data(
    world: World,
) -> None:
    from landbridge.cloud.instances import dbaccounts, parameters
    from landbridge.cloud.instances import wanted as goal

    dbaccounts.create(world.session, world.cloud.vault, world.target, "before", PASSWORD.reveal())
    world.target.applied = world.target.version
    world.assess()
    row = world.migrate()
    brought = {"work_mem": "8192", "shared_preload_libraries": "pg_stat_statements"}
    settle.ended(world.session, world.cloud.vault, row.id, carried=brought)
    assert world.target.accounts == [] and world.target.status is Status.RUNNING
    parameters.modify(world.session, world.target, {"work_mem": "4096"})
    settings = goal.read(world.session, world.cloud.vault, world.target).settings
    assert (settings["shared_preload_libraries"], settings["work_mem"]) == (
        "pg_stat_statements", "4096",
    )  # fmt: skip


def test_others_tasks_are_as_if_there_were_none(world: World) -> None:
    passed = world.assess()
    row = world.migrate()
    for find, id in ((assessments.find, passed.id), (migrations.find, row.id)):
        assert find(world.session, world.ben, int(id)).id == id
        refused("InvalidTaskId.NotFound", lambda f=find, i=id: f(world.session, world.ann, int(i)))
    for call in (
        lambda: migrations.under_way(world.session, world.ann, world.target.id),
        lambda: wanted(world.session, world.ann, Migration, world.target.id),
    ):
        refused("InvalidDBInstanceId.NotFound", call)
    assert Report.from_dict(passed.report or {}).findings


def test_a_migration_that_is_taken_up_again_has_the_programs_of_this_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been begun before an upgrade, or from another place."""
    world.assess()
    row = world.migrate()
    folder = world.cloud.folder / "tasks/m-00000001"
    folder.mkdir(parents=True)
    request = Request({}, str(world.data), 5432, world.target.major, "pgsql", "1")
    task = Task(folder)
    task.write_request(replace(request, through=("/old/python",), ending=("/old/python",)))
    row.task = task.id
    endpoint = Endpoint("127.0.0.1", 5432, decides_whitelist=False)
    fabric: Any = SimpleNamespace(ensure_endpoint=lambda _: endpoint)
    errand = Errand(world.cloud, lambda: fabric, threading.Event())
    detached: list[str] = []
    monkeypatch.setattr(worker, "detach", lambda task: detached.append(task.id))
    do(errand._job(world.session, fabric, Verb.RESUME, row))
    now = Task(folder).request
    assert now.through[0] == sys.executable and str(world.data.parent) in now.through[-1]
    assert now.ending[:1] in ((), (sys.executable,))
    assert detached == [task.id]
    assert replace(now, through=(), ending=()) == request
