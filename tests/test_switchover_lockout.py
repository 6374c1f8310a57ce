"""The fence `lockout`: the source's pg_hba.conf admits our own accounts alone."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from fix_servers import Servers, Source
from fix_standby import replaying, stopped, synchronizing_task, wait_streaming
from fix_writers import APP, APP_PASSWORD, Writer, acked_rows, missing_and_doubled, prepare, writing
from landbridge.errors import LandbridgeError
from landbridge.migration.fence.hba import HEADER, Rule, lock_out, read_rules, server_admits
from landbridge.migration.states import State
from landbridge.migration.switchover import preflight, switch_over
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.process import wait_until

OVERRIDE = "SET default_transaction_read_only = off; SET synchronous_commit = off"
#: Everything that a person may do to a file: no newline at the end, returns, tabs, bytes.
ODD = b'# caf\xe9\r\nhost\tall\t"all"  127.0.0.1/32 md5\r\nhost replication all 127.0.0.1/32 md5'


@pytest.mark.parametrize("major", [10, 15, 17])
def test_live_and_override_writers_lose_nothing(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source, fence="lockout")
    wait_streaming(source, task)
    ports = [source.port, task.request.port]
    writers = [Writer("polite", ports), Writer("o1", ports, OVERRIDE)]
    writers.append(Writer("o2", [source.port], OVERRIDE))
    before = source.hba.read_text()
    with writing(*writers):
        result = switch_over(task)
    assert missing_and_doubled(acked_rows(task.cluster()), writers) == (0, 0)
    assert result.diverged == []
    assert task.state is State.PROMOTED
    assert source.hba.read_text().startswith(HEADER)
    with source.admin().connect() as boss:
        assert boss.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host="127.0.0.1", port=source.port, user=APP, password=APP_PASSWORD, dbname="postgres"
        )
    assert "switchover.fence_kept" in [e.get("id") for e in task.journal.entries()]
    with source.admin().connect() as boss:
        for step in result.reopen:
            if step["where"] == "shell":
                for _ in range(2):  # once more changes nothing
                    subprocess.run(["sh", "-c", step["line"]], check=False)
            else:
                boss.execute(step["line"].encode())
    assert source.hba.read_text() == before
    reopened = source.conninfo(APP, APP_PASSWORD)
    assert wait_until(lambda: admitted(reopened), 10, every=0.05)
    with reopened.connect() as conn:
        conn.execute("INSERT INTO acked VALUES ('reopened', 1)")


def admitted(conninfo: Conninfo) -> bool:
    try:
        conninfo.connect().close()
    except LandbridgeError:
        return False
    return True


def test_undo_restores_the_file_byte_by_byte(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    original = source.hba.read_bytes() + ODD
    source.hba.write_bytes(original)
    task = synchronizing_task(servers, state_dir, source, fence="lockout", time_limit=6.0)
    wait_streaming(source, task)
    replay, undone = replaying(task), []

    def switch() -> None:
        try:
            switch_over(task)
        except LandbridgeError as error:
            undone.append(error.id)

    with stopped(replay):
        thread = threading.Thread(target=switch)
        thread.start()
        assert wait_until(lambda: source.hba.read_bytes().startswith(HEADER.encode()), 10)
        kept = task.folder / "switchover/hba.original"
        assert kept.read_bytes() == original
        assert kept.stat().st_mode & 0o777 == 0o600
        thread.join(20)
    assert undone == ["switchover.time_limit"]
    assert source.hba.read_bytes() == original
    source.conninfo().connect().close()
    source.sql("CREATE TABLE writable_again ()")
    assert "read_only" not in (source.data / "postgresql.auto.conf").read_text()
    assert not (task.folder / "switchover/hba.original").exists()


def test_rules_are_narrowed_to_our_accounts_as_the_server_reads_them(servers: Servers) -> None:
    source = servers.source(16)
    source.sql("CREATE ROLE crew; GRANT crew TO migrator; CREATE ROLE strangers")
    names = source.hba.with_name("names.txt")
    names.write_text("migrator, other\n")
    source.hba.write_text(
        "local all all trust\n"
        "host app,sameuser +crew 10.0.0.0/8 md5\n"
        "hostssl all +strangers,nobody 10.0.0.0/8 md5\n"
        f"host all @{names} ::1/128 scram-sha-256\n"
        "host all /^bo 192.168.1.7 255.255.255.255 reject\n"
        "host replication migrator samenet ident map=us\n"
    )
    with source.connect() as conn:
        lines = lock_out(read_rules(conn), ["boss", "migrator"], server_admits(conn))
    assert lines[1:-4] == [
        'local all "boss","migrator" trust',
        'host "app",sameuser "migrator" 10.0.0.0 255.0.0.0 md5',
        'host all "migrator" ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff scram-sha-256',
        'host all "boss" 192.168.1.7 255.255.255.255 reject',
        'host replication "migrator" samenet ident map="us"',
    ]
    source.hba.write_text("\n".join(lines) + "\n")
    with source.connect() as conn:
        assert all(set(r.users) <= {"boss", "migrator"} for r in read_rules(conn)[:-4])


def test_names_are_quoted_in_rules() -> None:
    rule = Rule("host", ("my db", "all"), ("all",), "h", None, "ldap", ("ldapprefix=a b",))
    assert rule.line(['odd "name"']) == (
        'host "my db",all "odd ""name""" h ldap ldapprefix="a b"'
    )  # fmt: skip


def test_guardrails_of_lockout(servers: Servers, state_dir: Path) -> None:
    source: Source = servers.source(15)
    task = synchronizing_task(servers, state_dir, source, fence="lockout")
    wait_streaming(source, task)
    assert not [rail for rail in preflight(task) if rail.blocks]
    with source.admin().connect(application_name="the application"):
        assert [r.id for r in preflight(task) if r.blocks] == ["fence.account_shared"]
    source.hba.write_text(source.hba.read_text() + "nonsense\n")
    assert [r.id for r in preflight(task) if r.blocks] == ["fence.hba_unreadable"]
    source.sql("ALTER ROLE boss NOSUPERUSER")
    assert [r.id for r in preflight(task) if r.blocks] == ["fence.rights"]


def test_lockout_needs_settings_that_can_be_changed(servers: Servers, state_dir: Path) -> None:
    source = servers.source(17, settings={"allow_alter_system": "off"})
    task = synchronizing_task(servers, state_dir, source, fence="lockout")
    wait_streaming(source, task)
    assert [r.id for r in preflight(task) if r.blocks] == ["fence.alter_system_off"]
