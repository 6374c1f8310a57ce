"""What the destination takes over from the source's configuration, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_following import CHEAP, copied, notes, started
from fix_servers import MIGRATOR, Servers, Source
from landbridge.errors import LandbridgeError
from landbridge.migration.standby import configuration, start_standby
from landbridge.migration.standby.settings import SourceSetting, choose
from landbridge.migration.task import Task
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import find
from landbridge.postgres.hotstandby import HOT_STANDBY

MEGABYTE = 2**20


def shown(task: Task, name: str) -> str:
    with task.cluster().connect() as conn:
        (value,) = conn.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
    return str(value)


def append(source: Source, name: str, text: str) -> None:
    path = source.data / name
    source.account.write(path, path.read_text() + text)


@pytest.mark.parametrize("major", [10, 15])
def test_hot_standby_parameters_are_at_least_the_source_s(
    servers: Servers, state_dir: Path, major: int
) -> None:
    of_source = {
        "max_connections": 120, "max_prepared_transactions": 7, "max_worker_processes": 9,
        "max_wal_senders": 11, "max_locks_per_transaction": 80,
    }  # fmt: skip
    source = servers.source(major, settings={**of_source})
    own = {**CHEAP, "max_connections": "50", "max_worker_processes": "20"}
    task = started(servers, source, state_dir, settings=own)
    for name in HOT_STANDBY:
        expected = 20 if name == "max_worker_processes" else of_source[name]
        assert shown(task, name) == str(expected)


def test_what_matters_to_applications_is_taken_over(servers: Servers, state_dir: Path) -> None:
    source = servers.source(
        15,
        settings={
            "work_mem": "9MB", "TimeZone": "Europe/Vienna", "search_path": '"$user", public, x',
            "statement_timeout": "7min", "default_text_search_config": "pg_catalog.german",
            "wal_level": "logical", "log_min_duration_statement": "1s", "archive_mode": "on",
            "archive_command": "cp %p /nowhere", "default_transaction_read_only": "off",
            "shared_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "3s",
            "synchronous_standby_names": "", "cluster_name": "the source",
        },
    )  # fmt: skip
    # What a role or a database of the migration account overrides is not the server's value.
    source.sql(f"ALTER ROLE {MIGRATOR} SET statement_timeout = 0")
    source.sql("ALTER DATABASE postgres SET work_mem = '1MB'")
    task = started(servers, source, state_dir, settings={**CHEAP, "work_mem": "10MB"})
    conf = (task.cluster().data / "postgresql.conf").read_text()
    assert "work_mem = '10MB'" in conf and "statement_timeout = '7min'" in conf
    for name, value in {
        "TimeZone": "Europe/Vienna", "search_path": '"$user", public, x',
        "default_text_search_config": "pg_catalog.german", "wal_level": "logical",
        "shared_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "3s",
        "archive_mode": "off", "cluster_name": "", "log_min_duration_statement": "-1",
    }.items():  # fmt: skip
        assert shown(task, name) == value
    (left,) = [e["names"] for e in task.journal.entries() if e.get("id") == "standby.settings_left"]
    assert {"archive_command", "cluster_name", "log_min_duration_statement"} <= set(left)
    assert "work_mem" not in left


def test_configuration_of_the_source_is_set_aside_without_passwords(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = copied(servers, source, state_dir)
    cluster = task.cluster()
    # As a source that was a standby once has it, in the copy's own folder.
    (cluster.data / "postgresql.auto.conf").write_text(
        "primary_conninfo = 'host=old password=oldS3cret'\nwork_mem = '5MB'\n"
    )
    (cluster.data / "pg_hba.conf").write_text(
        "host all all 0.0.0.0/0 trust\nhost all all ::/0 ldap ldapbindpasswd=oldS3cret\n"
    )
    (cluster.data / "recovery.signal").touch()
    start_standby(task)
    assert not (cluster.data / "recovery.signal").exists()
    assert not (cluster.data / "pg_hba.conf").exists()
    kept = (cluster.side / "source-postgresql.auto.conf").read_text()
    assert "oldS3cret" not in kept and "work_mem = '5MB'" in kept
    hba = (cluster.side / "source-pg_hba.conf").read_text()
    assert "0.0.0.0/0" in hba and "oldS3cret" not in hba
    assert "0.0.0.0/0" not in cluster.hba.read_text()
    assert (cluster.data / "postgresql.auto.conf").read_text().count("\n") == 1


def test_files_of_the_copy_are_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path, find(15), 5432)
    name = "postgresql.conf"
    monkeypatch.setattr(configuration, "_MOST", 10_000)
    (tmp_path / name).write_text("a = 1\n" * 1000)
    assert configuration._copied(cluster, name) == "a = 1\n" * 1000
    with (tmp_path / name).open("r+b") as large:
        large.truncate(1 << 40)  # sparse: more than any memory
    with pytest.raises(LandbridgeError) as refused:
        configuration._copied(cluster, name)
    assert refused.value.id == "start.configuration_size"
    (tmp_path / name).unlink()
    assert configuration._copied(cluster, name) is None
    (tmp_path / name).symlink_to("/etc/passwd")
    assert configuration._copied(cluster, name) is None


def test_a_line_that_is_too_long_is_not_searched_but_left_out() -> None:
    hostile = "://" + ":" * 2_000_000
    kept = configuration._without_secrets(f"a = 1\nb = '{hostile}'\n{' ' * 5000}\nc = 2\n")
    assert kept.splitlines()[0::3] == ["a = 1", "c = 2"]
    assert len(kept) < 200 and "# b: not kept" in kept


def test_setting_this_host_refuses_is_dropped_with_a_note(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    real = configuration.read_settings
    locale = "Client Connection Defaults / Locale and Formatting"
    foreign = [
        SourceSetting("lc_monetary", "tlh_QO.utf8", locale),
        SourceSetting("TimeZone", "Kronos/Capital", locale),
    ]
    monkeypatch.setattr(
        configuration, "read_settings", lambda c: ([*real(c)[0], *foreign], *real(c)[1:])
    )
    task = started(servers, source, state_dir)
    assert notes(task).count("standby.setting_refused") == 2


def test_setting_of_the_user_that_the_server_refuses_is_an_error(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = copied(servers, source, state_dir, settings={**CHEAP, "work_mem": "plenty"})
    with pytest.raises(LandbridgeError) as refused:
        start_standby(task)
    assert refused.value.id == "start.setting_refused" and "work_mem" in refused.value.message


def test_own_hba_lines_replace_the_ones_made_from_networks(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir, hba_file="host app app 10.0.0.0/8 scram-sha-256\n")
    text = task.cluster().hba.read_text()
    assert "host app app 10.0.0.0/8 scram-sha-256" in text and "127.0.0.1/32" not in text


def test_clients_the_request_allows_may_read_the_standby(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = started(servers, source, state_dir)
    with source.conninfo().with_(port=task.request.port).connect() as conn:
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def test_memory_is_clamped_to_a_quarter_of_this_host() -> None:
    pages = 8 * 1024 * MEGABYTE // 8192
    setting = SourceSetting("shared_buffers", str(pages), "Resource Usage / Memory")
    choice = choose([setting], {}, distribution=find(15), subscriptions=False,
                    memory=4 * 1024 * MEGABYTE)  # fmt: skip
    assert int(choice.carried["shared_buffers"]) * 8192 == 1024 * MEGABYTE
    assert [id for id, _ in choice.notes] == ["standby.memory_clamped"]
    large = choose([setting], {}, distribution=find(15), subscriptions=False,
                   memory=64 * 1024 * MEGABYTE)  # fmt: skip
    assert large.carried["shared_buffers"] == str(pages) and large.notes == []


def test_libraries_that_are_missing_or_act_on_their_own_are_not_loaded() -> None:
    group = "Client Connection Defaults / Shared Library Preloading"
    asked = SourceSetting("shared_preload_libraries", 'auto_explain, "nowhere" ', group)
    choice = choose([asked], {}, distribution=find(15), subscriptions=False)
    assert choice.carried["shared_preload_libraries"] == "auto_explain"
    assert [id for id, _ in choice.notes] == ["standby.libraries_missing"]


def test_logical_workers_wait_when_there_are_subscriptions() -> None:
    setting = SourceSetting("max_logical_replication_workers", "8", "Replication / Subscribers")
    choice = choose([setting], {}, distribution=find(15), subscriptions=True)
    assert "max_logical_replication_workers" not in choice.carried
    assert choice.later["max_logical_replication_workers"] == "8"
