"""The demonstration's own proof: it must see what is missing, doubled or damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fix_servers import Servers, Source, majors
from landbridge.cli.demo import check
from landbridge.cli.demo.check import Acknowledgement
from landbridge.cli.demo.children import Load, WriterProcess
from landbridge.cli.demo.writer import Writer
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import ProcessId, wait_until

LEDGER = "CREATE TABLE ledger (n bigint, payload text, written timestamptz DEFAULT now())"
LOAD = """
CREATE TABLE pgbench_branches (bid int, bbalance int);
CREATE TABLE pgbench_tellers (tid int, bid int, tbalance int);
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int);
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler text);
INSERT INTO pgbench_branches VALUES (1, 0);
INSERT INTO pgbench_tellers SELECT n, 1, 0 FROM generate_series(1, 10) n;
INSERT INTO pgbench_accounts SELECT n, 1, 0 FROM generate_series(1, 100000) n;
"""


@pytest.fixture
def server(servers: Servers) -> Source:
    """A server with an empty ledger that admits the demonstration's application."""
    source = servers.source(max(majors()))
    source.sql(LEDGER)
    return source


def application(source: Source, folder: Path, *other_ports: int) -> Conninfo:
    """What the application is configured with, as in servers.py."""
    passfile = folder / "application.pgpass"
    source.admin().write_passfile(passfile)
    ports = (source.port, *other_ports)
    return (
        source.admin()
        .with_passfile(passfile)
        .with_(
            host=",".join(["127.0.0.1"] * len(ports)), port=",".join(map(str, ports)),
            target_session_attrs="read-write",
        )
    )  # fmt: skip


def acks(*numbers: int) -> list[Acknowledgement]:
    return [Acknowledgement(n, n / 1000, 5432, 1) for n in numbers]


def compare(source: Source, *numbers: int) -> check.Comparison:
    with source.connect() as conn:
        return check.compare(acks(*numbers), conn)


def write_rows(source: Source, *numbers: int) -> None:
    for n in numbers:
        source.sql(f"INSERT INTO ledger (n, payload) VALUES ({n}, md5('{n}'))")


def test_complete_ledger_is_clean(server: Source) -> None:
    write_rows(server, 1, 2, 3)
    found = compare(server, 1, 2, 3)
    assert found.is_clean and found.acknowledged == 3 and found.unacknowledged == 0


def test_missing_duplicated_and_damaged_rows_are_found(server: Source) -> None:
    write_rows(server, 1, 2, 2, 4, 5)
    server.sql("UPDATE ledger SET payload = 'x' WHERE n = 4")
    found = compare(server, 1, 2, 3, 4)
    assert not found.is_clean
    assert (found.missing, found.duplicated, found.damaged) == ([3], [2], [4])
    assert found.unacknowledged == 1


def test_outage_is_the_gap_between_two_servers() -> None:
    rows = [
        Acknowledgement(1, 10.0, 1, 1), Acknowledgement(2, 10.5, 1, 1),
        Acknowledgement(3, 10.6, 2, 3), Acknowledgement(4, 12.0, 2, 1),
    ]  # fmt: skip
    gap = check.outage(rows)
    assert gap is not None and round(gap, 3) == 0.1
    assert check.outage(rows[:2]) is None


def test_acknowledgement_cut_short_is_none(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged"
    path.write_text("1 1000000000 5432 1\n2 2000000000 5432 1\n3 30000")
    assert [a.number for a in check.read_acknowledgements(path)] == [1, 2]


def test_torn_transaction_shows_in_the_balances(server: Source) -> None:
    _make_load_tables(server)
    with server.connect() as conn:
        assert check.balances(conn).agree
        conn.execute("UPDATE pgbench_tellers SET tbalance = 1 WHERE tid = 1")
        assert not check.balances(conn).agree


def _make_load_tables(source: Source) -> None:
    with source.connect() as conn:
        conn.execute(LOAD)


def test_commit_whose_answer_was_lost_is_not_repeated(server: Source, tmp_path: Path) -> None:
    """The server commits, the connection breaks before the writer hears of it."""
    text = make_conninfo(**application(server, tmp_path).public())
    writer = Writer(text, tmp_path / "acks", 100)
    writer._conn = _Deaf(writer._connect())  # type: ignore[assignment]
    assert writer.write(1)
    (line,) = check.read_acknowledgements(tmp_path / "acks")
    assert line.attempts == 2
    writer.close()
    assert compare(server, 1).is_clean


class _Deaf:
    """A connection on which the insert happens and its answer does not arrive."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn

    def execute(self, *arguments: object) -> None:
        self._conn.execute(*arguments)  # type: ignore[arg-type]
        self._conn.close()
        raise psycopg.OperationalError("the connection is lost")

    def close(self) -> None:
        self._conn.close()


def test_writer_survives_restarts_without_losing_or_doubling(
    server: Source, tmp_path: Path
) -> None:
    writer = WriterProcess(application(server, tmp_path), tmp_path, 1000)
    writer.start()
    try:
        for goal in (100, 200, 300):
            assert wait_until(lambda goal=goal: _number(writer) > goal, 60, every=0.05)
            server.stop("immediate" if goal == 200 else "fast")
            server.start()
        assert wait_until(lambda: _number(writer) > 400, 60, every=0.05)
    finally:
        writer.stop()
    rows = check.read_acknowledgements(writer.acknowledged_file)
    assert max(a.attempts for a in rows) > 1
    with server.connect() as conn:
        found = check.compare(rows, conn)
    assert found.is_clean and found.unacknowledged <= 1


def _number(writer: WriterProcess) -> int:
    last = writer.last()
    return last.number if last else 0


@pytest.mark.parametrize("tools", ["with pgbench", "without"])
def test_load_comes_back_after_a_restart(server: Source, tmp_path: Path, tools: str) -> None:
    equipped = [d for d in discover() if "pgbench" in d.tools]
    bare = [d for d in discover() if "pgbench" not in d.tools]
    wanted = equipped if tools == "with pgbench" else bare
    if not wanted:
        pytest.skip(f"no distribution {tools}")
    _make_load_tables(server)
    load = Load(application(server, tmp_path), tmp_path, wanted[0], clients=2, scale=1)
    load.start()
    try:
        assert wait_until(lambda: _transactions(server) > 20, 60, every=0.1)
        server.restart()
        before = _transactions(server)
        assert wait_until(lambda: _transactions(server) > before + 20, 60, every=0.1)
    finally:
        load.stop()
    with server.connect() as conn:
        assert check.balances(conn).agree


def _transactions(source: Source) -> int:
    ((number,),) = source.sql("SELECT count(*) FROM pgbench_history")
    return int(number)


def test_writer_ends_when_its_parent_is_killed(server: Source, tmp_path: Path) -> None:
    config = {
        "conninfo": make_conninfo(**application(server, tmp_path).public()),
        "acknowledged": str(tmp_path / "acks"),
        "rate": 1000,
    }
    (tmp_path / "writer.json").write_text(json.dumps(config))
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, tmp_path / "writer.json"], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = ProcessId.of(int(parent.stdout.readline()))
    assert child is not None
    assert wait_until((tmp_path / "acks").exists, 60)
    parent.kill()
    parent.communicate()
    assert wait_until(lambda: not child.alive(), 60)


_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "landbridge.cli.demo.writer", sys.argv[1]],
                         stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""
