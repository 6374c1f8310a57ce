"""Real instances: made, reached through their whitelist, shut in, killed, adopted, removed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fix_instances import PASSWORD, Managed
from landbridge.cloud.instances import dbaccounts, lifecycle, look, parameters, whitelist
from landbridge.cloud.instances.states import AccountType, LockMode, Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until
from landbridge.servers import sandbox

#: CREATEROLE can become a shell on this one.
OLD = 15
MAJORS = {d.major for d in discover()}
NEW = max(MAJORS)
#: Verbatim from the cross-account procedure.
TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename not in ('replicator', 'monitor', 'pgsql', 'aurora') AND pid != pg_backend_pid();"""


@pytest.fixture(scope="module")
def pair(managed: Managed) -> Iterator[tuple[str, str]]:
    """Two running instances of one VPC; the first lets the second in, and has `mover`."""
    if OLD not in MAJORS:
        pytest.skip(f"no PostgreSQL {OLD}")
    first, second = managed.order(OLD, ("10.10.0.0/16",)), managed.order(NEW)
    managed.create_account(first, "mover")
    managed.settled(first)
    managed.settled(second)
    yield first, second


def test_a_new_instance_lets_nobody_in_until_its_whitelist_does(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    assert managed.psql(second, first, "mover", "SELECT current_user").stdout == "mover\n"
    managed.create_account(second, "mover")
    managed.settled(second)
    refused = managed.psql(first, second, "mover", "SELECT 1")
    assert refused.returncode == 2 and "10.10.1.1" in refused.stderr
    row = managed.read(first)
    assert row is not None
    block = [f"{row.address}/32"]
    managed.change(second, lambda s, i: whitelist.modify(s, i, block, group="migration"))
    managed.settled(second)
    assert managed.psql(first, second, "mover", "SELECT 1").stdout == "1\n"


def test_sessions_outlive_their_whitelist_unless_they_are_to_be_closed(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    sleep = managed.net.command(
        second, [*managed.client(second, first, "mover"), "-c", "SELECT pg_sleep(60)"]
    )
    child = managed.popen(sleep)
    with managed.session(first) as conn:
        assert wait_until(lambda: _sleepers(conn) == 1, 10)
        managed.change(first, lambda s, i: whitelist.modify(s, i, ["10.99.0.0/16"]))
        managed.settled(first)
        assert _sleepers(conn) == 1
        managed.change(first, lambda s, i: whitelist.close_strangers(i))
        managed.settled(first)
        assert wait_until(lambda: _sleepers(conn) == 0, 20)
    assert child.wait(10) == 2
    managed.change(first, lambda s, i: whitelist.modify(s, i, ["10.10.0.0/16"]))
    managed.settled(first)


def _sleepers(conn: psycopg.Connection[tuple[int, ...]]) -> int:
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    ).fetchone()
    assert row is not None
    return row[0]


def test_the_privileged_account_may_what_a_migration_needs_and_is_no_superuser(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    with managed.session(first) as conn:
        row = conn.execute(
            "SELECT rolcreaterole, rolcreatedb, rolreplication, rolsuper,"
            " pg_has_role('mover', 'pg_monitor', 'MEMBER'),"
            " pg_has_role('mover', 'pg_rds_superuser', 'MEMBER')"
            " FROM pg_roles WHERE rolname = 'mover'"
        ).fetchone()
        assert row == (True, True, True, False, True, True)
        text = conn.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'mover'").fetchone()
        assert text is not None and text[0].startswith("SCRAM-SHA-256$4096:")
    made = managed.psql(second, first, "mover", "CREATE DATABASE shop")
    assert made.returncode == 0, made.stderr
    assert managed.psql(second, first, "mover", "SELECT 1", "shop").stdout == "1\n"


def test_the_statement_that_ends_all_sessions_runs_verbatim(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    child = managed.popen(
        managed.net.command(
            second, [*managed.client(second, first, "mover"), "-c", "SELECT pg_sleep(60)"]
        )
    )
    with managed.session(first, "aurora") as ours:
        assert wait_until(lambda: _sleepers(ours) == 1, 10)
        done = managed.psql(second, first, "mover", TERMINATE)
        assert done.returncode == 0 and "t" in done.stdout.split(), done.stderr
        assert child.wait(10) == 2
        ours.execute("SELECT 1")  # spared


def test_accounts_are_those_of_the_catalog(managed: Managed, pair: tuple[str, str]) -> None:
    first, second = pair
    managed.create_account(first, "app", AccountType.NORMAL)
    managed.settled(first)
    assert managed.psql(second, first, "mover", "CREATE ROLE guest LOGIN").returncode == 0
    row = managed.read(first)
    assert row is not None
    found = {a.name: a.type for a in look.accounts(managed.cloud, row) or ()}
    assert found == {
        "mover": AccountType.SUPER, "app": AccountType.NORMAL, "guest": AccountType.NORMAL,
    }  # fmt: skip
    vault = managed.cloud.vault
    managed.change(first, lambda s, i: dbaccounts.reset(s, vault, i, "guest", PASSWORD))
    managed.change(first, lambda s, i: dbaccounts.delete(s, vault, i, "app"))
    managed.settled(first)
    assert managed.psql(second, first, "guest", "SELECT 1").stdout == "1\n"
    assert look.obstacle(managed.cloud, row, "guest") == ""
    rights = "{} CREATE ON SCHEMA public {} guest"
    assert managed.psql(second, first, "mover", rights.format("GRANT", "TO")).returncode == 0
    assert "privileges for schema public" in (why := look.obstacle(managed.cloud, row, "guest"))
    managed.change(first, lambda s, i: dbaccounts.delete(s, vault, i, "guest"))
    managed.settled(first)
    row = managed.read(first)
    assert row is not None
    with managed.cloud.database.read() as session:
        accounts = session.get_one(DBInstance, first).accounts
        assert {a.name: a.trouble for a in accounts}["guest"] == why == row.trouble
    assert managed.psql(second, first, "mover", rights.format("REVOKE", "FROM")).returncode == 0
    row = managed.read(first)
    assert row is not None
    assert {a.name for a in look.accounts(managed.cloud, row) or ()} == {"mover", "guest"}


def test_forced_read_only_holds_against_who_overrides_it(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    run = managed.psql
    assert run(second, first, "mover", "CREATE TABLE held (n int)").returncode == 0
    force = {parameters.FORCE_READ_ONLY: "on"}
    managed.change(first, lambda s, i: parameters.modify(s, i, force))
    managed.settled(first)
    plain = run(second, first, "mover", "INSERT INTO held VALUES (1)")
    assert "read-only transaction" in plain.stderr
    stubborn = run(
        second, first, "mover",
        "BEGIN READ WRITE; INSERT INTO held VALUES (1); SELECT pg_sleep(2); COMMIT",
    )  # fmt: skip
    assert "terminating connection" in stubborn.stderr, stubborn
    assert run(second, first, "mover", "SELECT count(*) FROM held").stdout == "0\n"
    off = {parameters.FORCE_READ_ONLY: "off"}
    managed.change(first, lambda s, i: parameters.modify(s, i, off))
    managed.settled(first)
    assert run(second, first, "mover", "INSERT INTO held VALUES (1)").returncode == 0


@pytest.mark.slow
def test_a_full_storage_refuses_writes_until_there_is_room(
    managed: Managed, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    size = {"now": 21 << 30}
    monkeypatch.setattr(
        "landbridge.cloud.instances.storage.used_bytes",
        lambda home: size["now"] if home.name == first else 0,
    )

    def is_locked(locked: bool) -> bool:
        row = managed.read(first)
        mode = LockMode.DISK_QUOTA if locked else LockMode.UNLOCK
        return row is not None and row.lock_mode is mode and row.applied == row.version

    assert wait_until(lambda: is_locked(True), 60, 0.1)
    assert "read-only" in managed.psql(second, first, "mover", "CREATE TABLE more (n int)").stderr
    size["now"] = 1 << 30
    assert wait_until(lambda: is_locked(False), 60, 0.1)
    assert managed.psql(second, first, "mover", "CREATE TABLE more (n int)").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_a_shell_inside_a_server_reaches_nothing_of_others(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    mine, others = managed.cluster(first), managed.cluster(second)
    assert mine.account.uid != others.account.uid
    process = mine.process()
    assert process is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    victim = others.process()
    assert victim is not None
    outside = others.data.parents[2] / "outside"
    outside.mkdir(exist_ok=True)
    outside.chmod(0o777)
    attempts = {
        "id -u": str(mine.account.uid),
        f"cat {others.data}/PG_VERSION": "",
        f"cat {managed.cloud.folder}/keyring": "",
        f"kill -0 {victim.pid} && echo alive": "",
        f"cat {mine.data}/PG_VERSION": str(OLD),
    }
    if sandbox.landlock_version() >= 2:
        attempts[f"touch {outside}/x && echo made"] = ""
        attempts[f"ls {outside} && echo seen"] = ""
    # On this major any privileged account can give itself the right to run programs.
    grant = "GRANT pg_execute_server_program TO mover"
    assert managed.psql(second, first, "mover", grant).returncode == 0
    for command, expected in attempts.items():
        program = f"sh -c '{command}' 2>/dev/null || true"
        quoted = program.replace("'", "''")
        told = managed.psql(
            second, first, "mover",
            f"CREATE TEMP TABLE told (t text); COPY told FROM PROGRAM '{quoted}'; TABLE told",
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert told.stdout.split() == expected.split(), command


def test_a_read_only_instance_follows_its_primary(managed: Managed, pair: tuple[str, str]) -> None:
    first, second = pair

    def order(session: object, _: object) -> str:
        owner = managed.owner(session)
        return lifecycle.create_read_only(
            session, managed.cloud.vault, owner, first, region_id="cn-hangzhou", major=OLD,
            zone_id="cn-hangzhou-h", class_name="pg.n2.1c.1m", storage_gb=20,
        ).id  # fmt: skip

    replica = managed.change(first, order)
    managed.settled(replica)
    managed.change(replica, lambda s, i: whitelist.modify(s, i, ["10.10.0.0/16"]))
    managed.settled(replica)
    run = managed.psql
    assert run(second, first, "mover", "CREATE TABLE news AS SELECT 1 n").returncode == 0
    assert wait_until(
        lambda: run(second, replica, "mover", "SELECT n FROM news").stdout == "1\n", 15, 0.2
    )
    assert "read-only" in run(second, replica, "mover", "DROP TABLE news").stderr
    with managed.session(first) as conn:
        sender = conn.execute("SELECT usename, application_name FROM pg_stat_replication")
        assert sender.fetchall() == [("replicator", replica.replace("-", "_"))]
    managed.change(replica, lambda s, i: lifecycle.delete(i))
    assert wait_until(lambda: managed.read(replica) is None, 60, 0.1)
    with managed.session(first) as conn:
        assert conn.execute("SELECT FROM pg_replication_slots").fetchall() == []


def test_a_killed_server_is_started_again_and_a_restart_gives_what_waited_for_it(
    managed: Managed, pair: tuple[str, str]
) -> None:
    _, second = pair
    cluster = managed.cluster(second)
    before = cluster.process()
    assert before is not None
    before.send(signal.SIGKILL)
    assert wait_until(lambda: cluster.process() not in (None, before), 30, 0.1)
    managed.settled(second)
    managed.change(second, lambda s, i: parameters.modify(s, i, {"max_connections": "133"}))
    row = managed.settled(second)
    assert (look.settings(managed.cloud, row) or {})["max_connections"] == "100"
    managed.change(second, lambda s, i: lifecycle.restart(i))
    row = managed.settled(second)
    assert (look.settings(managed.cloud, row) or {})["max_connections"] == "133"


def test_servers_live_on_without_the_service_and_are_adopted(
    managed: Managed, pair: tuple[str, str]
) -> None:
    first, second = pair
    before = managed.cluster(first).process()
    managed.cease()
    try:
        assert managed.psql(second, first, "mover", "SELECT 1").stdout == "1\n"
        force = {"work_mem": "9999"}
        managed.change(first, lambda s, i: parameters.modify(s, i, force))
    finally:
        managed.begin()
    row = managed.settled(first)
    assert managed.cluster(first).process() == before
    assert (look.settings(managed.cloud, row) or {})["work_mem"] == "9999"


def test_a_deleted_instance_leaves_nothing(managed: Managed, pair: tuple[str, str]) -> None:
    _, second = pair
    doomed = managed.order(NEW)
    cluster_home = managed.keeper.homes.home(doomed)
    begun = time.monotonic()
    assert wait_until(cluster_home.exists, 30)
    managed.change(doomed, lambda s, i: lifecycle.delete(i))  # while it is being made
    assert wait_until(lambda: managed.read(doomed) is None, 60, 0.1), time.monotonic() - begun
    assert not cluster_home.exists()
    assert wait_until(lambda: doomed not in {it.id for it in managed.net.observe()}, 60, 0.1)
    row = managed.read(second)
    assert row is not None and row.status is Status.RUNNING
