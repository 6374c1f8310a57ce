"""What a request is made of, and what is refused before anything is written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from fix_servers import MIGRATOR_PASSWORD, OWNER_PASSWORD, Servers, free_port
from landbridge.errors import LandbridgeError, ServerUnreachable, UsageError
from landbridge.migration import worker
from landbridge.migration.plan import create_task, make_request
from landbridge.migration.standby.connection import primary_conninfo
from landbridge.migration.task import Tasks
from landbridge.postgres.conninfo import Conninfo
from procedure_world import REQUEST, new_task

NOWHERE = Conninfo.parse(f"host=127.0.0.1 port={free_port()} user=u")


def test_the_source_says_who_it_is(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    source.sql("ALTER ROLE boss RENAME TO chief")
    admin = source.conninfo("chief", "0wner-s3cret")
    request = make_request(
        source.conninfo(), Path("somewhere"), 5999, fence_as=admin, time_limit=7.0
    )
    ((system,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    assert (request.major, request.superuser, request.system_identifier) == (15, "pgsql", system)
    assert (request.fence, request.time_limit) == ("sync", 7.0)
    assert request.data == str(Path("somewhere").absolute())
    assert "password" not in str(request)
    tasks = Tasks(state_dir)
    task = create_task(tasks, request, source.conninfo(), fence_as=admin)
    with task.conninfo("fence_as").connect() as conn:
        assert conn.execute("SELECT session_user").fetchone() == ("chief",)
    with pytest.raises(UsageError) as caught:
        create_task(tasks, request, source.conninfo(), fence_as=admin)
    assert caught.value.id == "task.exists"
    assert make_request(source.conninfo(), Path("x"), 5999).fence == "manual"


def test_a_source_named_by_a_service_or_the_environment_is_found_without_them(
    servers: Servers, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = servers.source(15)
    services = tmp_path / "services"
    services.write_text(f"[away]\nport={made.port}\nuser=migrator\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    source = Conninfo.parse("service=away").with_password(MIGRATOR_PASSWORD)
    admin = Conninfo.parse("service=away user=boss").with_password(OWNER_PASSWORD)
    request = make_request(source, Path("x"), 5999, fence_as=admin)
    task = create_task(Tasks(state_dir), request, source, fence_as=admin)
    monkeypatch.delenv("PGSERVICEFILE")
    monkeypatch.delenv("PGHOST")
    for role, user in (("source", "migrator"), ("fence_as", "boss")):
        with task.conninfo(role).connect() as conn:
            assert conn.execute("SELECT session_user").fetchone() == (user,)
    line = conninfo_to_dict(primary_conninfo(task, task.cluster()))
    assert (line["host"], line["port"]) == ("127.0.0.1", str(made.port))


def test_a_source_that_is_not_there() -> None:
    with pytest.raises(ServerUnreachable):
        make_request(NOWHERE, Path("x"), 5999)


def test_calls_at_the_same_time_make_one_task_and_lose_no_change(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path)

    def create(_number: int) -> str:
        try:
            return create_task(tasks, REQUEST, NOWHERE).id
        except UsageError as error:
            return error.id

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(8)))
        assert made.count("task.exists") == 7
        (task,) = tasks.all()
        list(pool.map(lambda i: task.amend(settings={f"s{i}": "1"}), range(8)))
    assert len(task.request.settings) == 8


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"fence": "wall"}, "plan.fence"),
        ({"fence": "sync"}, "plan.no_fence_account"),
        ({"fence": "lockout"}, "plan.no_fence_account"),
        ({"wal_policy": "hope"}, "plan.wal_policy"),
        ({"copy_engine": "teleport"}, "plan.copy_engine"),
        ({"switchover": "never"}, "plan.switchover"),
        ({"verify": "after"}, "plan.verify"),
        ({"compression": "zip:9"}, "plan.compression"),
        ({"compression": "zstd:x"}, "plan.compression"),
        ({"time_limit": 0.0}, "plan.time_limit"),
        ({"wal_budget": -1}, "plan.wal_budget"),
        ({"max_rate": 0}, "plan.max_rate"),
    ],
)
def test_wrong_values_are_refused_before_the_source_is_asked(
    options: dict[str, Any], id: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make_request(NOWHERE, Path("x"), 5999, **options)
    assert caught.value.id == id


def test_a_detached_worker_that_cannot_begin_says_why(tmp_path: Path) -> None:
    task = new_task(tmp_path)
    (task.folder / "engine.sqlite").write_text("this is no database, and long enough to see it")
    with pytest.raises(LandbridgeError) as caught:
        worker.detach(task)
    assert caught.value.id == "worker.did_not_start"
    assert "engine.damaged" in caught.value.message
