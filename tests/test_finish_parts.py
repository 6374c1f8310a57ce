"""After the promotion: nothing of ours is left, and what the copy brought is put in order."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from assessment_facts import healthy
from fix_following import CHEAP, notes, promoted, started
from fix_servers import Servers, Source, fill
from landbridge.assessment.checks import content
from landbridge.assessment.model import Level
from landbridge.errors import LandbridgeError
from landbridge.migration.copying import CopyJob
from landbridge.migration.finish import finish
from landbridge.migration.standby import reconfigure, start_standby, undo_standby
from landbridge.migration.task import Task
from landbridge.postgres.facts.names import read_shared_names
from landbridge.postgres.facts.read import open_asker, read_source
from landbridge.postgres.process import start_detached, wait_until


def slots(source: Source) -> list[str]:
    return [name for (name,) in source.sql("SELECT slot_name FROM pg_replication_slots")]


def running(task: Task, name: str) -> str:
    with task.cluster().connect() as conn:
        (value,) = conn.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
    return str(value)


def test_name_that_is_not_utf8_is_an_error_before_and_does_not_stop_the_finish(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(10, encoding="SQL_ASCII")
    with source.connect(client_encoding="SQL_ASCII") as conn:
        for statement in (
            b'CREATE ROLE "r\xe9"',
            b'CREATE TABLE "t\xe9" ()',
            b'CREATE DATABASE "d\xe9"',
        ):
            conn.execute(statement)
    with source.admin().connect() as conn:
        facts = read_source(source.admin(), open_asker(conn))
    (found,) = content.names(replace(healthy(), source=facts))
    assert found.level is Level.ERROR
    task = started(servers, source, state_dir)
    done = finish(task, promoted(task))
    assert done.slot_dropped and slots(source) == []
    assert not (task.folder / "secrets").exists()
    assert "check_collations" in [part["part"] for part in done.left]
    assert "finish.part_left" in notes(task)
    with source.connect(client_encoding="SQL_ASCII") as conn:
        for fix in found.fixes:
            conn.execute(fix.lines[0].encode())
    with source.admin().connect() as conn:
        assert read_shared_names(open_asker(conn)) == ()


@pytest.mark.parametrize("major", [10, 12, 15, 18])
def test_finish_leaves_nothing_of_ours_and_may_be_repeated(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major, settings={"work_mem": "7MB", "lc_messages": "C.UTF-8"})
    fill(source, 100)
    task = started(servers, source, state_dir)
    result = promoted(task)
    with task.cluster().connect() as conn:
        conn.execute("ALTER SYSTEM SET maintenance_work_mem = '99MB'")
    first = finish(task, result)
    assert first.slot_dropped and slots(source) == []
    assert running(task, "maintenance_work_mem") == "99MB"
    assert first.statements == [] and first.subscriptions_disabled == []
    cluster = task.cluster()
    for name in ("primary_conninfo", "primary_slot_name", "recovery_target_timeline"):
        assert name not in (cluster.data / "postgresql.conf").read_text()
    assert not list(cluster.data.glob("recovery.*")) and not list(cluster.data.glob("standby.*"))
    assert not list(cluster.side.glob("primary.*"))
    assert not (task.folder / "secrets").exists()
    assert running(task, "work_mem") == "7MB" and running(task, "lc_messages") == "C.UTF-8"
    before = len(list(task.journal.entries()))
    assert finish(task, result) == first
    assert len(list(task.journal.entries())) == before
    cluster.restart()
    with cluster.connect() as conn:
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        conn.execute("INSERT INTO items VALUES (-1, 'mine')")


@pytest.mark.parametrize("what", [KeyboardInterrupt, OSError])
def test_interrupted_finish_goes_on_where_it_stopped(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch, what: type[BaseException]
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    result = promoted(task)
    with monkeypatch.context() as broken:
        broken.setattr(
            "landbridge.migration.finish.parts.drop_slot_at",
            lambda *a: (_ for _ in ()).throw(what),
        )
        with pytest.raises(what):
            finish(task, result)
    assert slots(source) == [task.slot]
    assert finish(task, result).slot_dropped
    ended = [
        e["name"] for e in task.journal.entries() if e["kind"] == "step" and e["phase"] == "end"
    ]
    assert len(ended) == len(set(ended)) == 7


def test_promoted_destination_is_neither_demoted_nor_removed(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    promoted(task)
    for forbidden in (reconfigure, undo_standby, start_standby):
        with pytest.raises(LandbridgeError) as refused:
            forbidden(task)
        assert refused.value.id in ("start.promoted", "start.not_a_standby")
    assert task.cluster().process() is not None


def test_empty_cluster_that_was_set_aside_is_named(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    aside = CopyJob(task).aside
    aside.mkdir()
    assert finish(task, promoted(task)).set_aside == str(aside)
    assert aside.exists()


def test_source_that_is_gone_does_not_stand_in_the_way(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    result = promoted(task)
    source.stop()
    done = finish(task, result)
    assert not done.slot_dropped
    assert done.statements == [
        {
            "where": "source",
            "database": "postgres",
            "sql": f"SELECT pg_drop_replication_slot('{task.slot}');",
        }
    ]
    assert "finish.slot_left" in notes(task)
    assert not (task.folder / "secrets").exists()


def test_archiving_begins_with_the_promotion(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15, settings={"archive_mode": "on", "archive_command": "false"})
    archive = servers.root / "archive"
    archive.mkdir()
    source.account.own(archive)
    task = started(
        servers, source, state_dir, archive_command=f"cp %p {archive}/%f", settings=CHEAP
    )
    source.sql("SELECT pg_switch_wal()")
    assert list(archive.iterdir()) == []
    finish(task, promoted(task))
    with task.cluster().connect() as conn:
        conn.execute("SELECT pg_switch_wal()")
    assert wait_until(lambda: bool(list(archive.iterdir())), 20)


def test_read_only_defaults_of_a_fence_are_lifted_and_older_ones_kept(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    source.sql("CREATE ROLE reports LOGIN")
    source.sql("ALTER ROLE reports SET default_transaction_read_only = on")
    source.sql("CREATE ROLE app LOGIN")
    task = started(servers, source, state_dir)
    source.sql("ALTER DATABASE postgres SET default_transaction_read_only = on")
    source.sql("ALTER ROLE ALL SET default_transaction_read_only = on", "template1")
    with source.connect(options="-c default_transaction_read_only=off") as conn:
        conn.execute("ALTER ROLE app NOLOGIN")
        lsn = conn.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
    with task.cluster().connect() as conn:
        caught_up = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        assert wait_until(lambda: conn.execute(caught_up, lsn).fetchone() == (True,), 20)
    done = finish(task, promoted(task))
    assert sorted(done.read_only_lifted) == [
        'ALTER DATABASE "postgres" RESET default_transaction_read_only',
        "ALTER ROLE ALL RESET default_transaction_read_only",
    ]
    assert [s["sql"] for s in done.statements] == ['ALTER ROLE "app" LOGIN']
    with task.cluster().connect() as conn:
        kept = conn.execute("SELECT setrole::regrole::text FROM pg_db_role_setting").fetchall()
    assert kept == [("reports",)]


def test_server_in_a_folder_of_an_odd_name_starts_without_our_folder_in_tmp(
    servers: Servers, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    odd = 'it\'s "new", ä'
    (servers.root / odd).mkdir(mode=0o755)
    task = started(servers, source, state_dir, name=f"{odd}/15")
    cluster = task.cluster()
    data = cluster.data
    temporary = cluster.socket_dir
    assert temporary.parent != data.parent
    with monkeypatch.context() as patch:  # a server keeps the folder that it was started with
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        assert cluster.socket_dir == temporary
    finish(task, promoted(task))
    cluster.stop()
    shutil.rmtree(temporary)
    process = start_detached(
        [cluster.distribution.program("postgres"), "-D", data], output=cluster.log,
        environment=cluster.distribution.environment, account=cluster.account,
    )  # fmt: skip
    assert wait_until(lambda: (data / f".s.PGSQL.{cluster.port}").exists(), 20), process
    assert running(task, "unix_socket_directories") == "."
    assert not temporary.exists()
