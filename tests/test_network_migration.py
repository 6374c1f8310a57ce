"""Whole migrations from inside one VPC to another, with all that a network does to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fix_cli import Cli
from fix_lab import LabCli, a_lab
from fix_network import Mode, Net, two_regions
from landbridge.lab.accounts import FENCE, text
from landbridge.lab.lab import Lab
from landbridge.lab.store import Labs
from landbridge.migration.task import Tasks
from landbridge.network.converge import converge
from landbridge.network.fabric import Outcome
from landbridge.network.things import Attachment, Grant, Line
from landbridge.postgres.process import wait_until

MBIT = 1_000_000
ONE_IN_THE_DEFAULT_RUN = ["netns", pytest.param("relay", marks=pytest.mark.slow)]
#: A client that notices within seconds that its connection is dead.
_CLIENT = "user=app dbname=postgres tcp_user_timeout=3000"
#: Commits numbers, every second one, wherever it can, and says which were acknowledged.
_WRITE = """
import itertools, psycopg, sys, time
numbers = itertools.count(int(sys.argv[2]), 2)
while True:
    try:
        with psycopg.connect(sys.argv[1], connect_timeout=2, autocommit=True) as conn:
            for number in numbers:
                conn.execute("INSERT INTO ledger VALUES (%s)", [number])
                print(number, flush=True)
                time.sleep(0.002)
    except psycopg.Error:
        time.sleep(0.02)
"""


class Ledger:
    """Clients on both sides of the line: one writes to the source, one to the destination."""

    def __init__(self, lab: LabCli, ends: ExitStack) -> None:
        self.lab = lab
        self.place = Lab.open(Labs(lab.root), None)
        self._ends = ends
        with self.place.servers.cluster("pgm-a").connect() as conn:
            conn.execute("CREATE ROLE app LOGIN PASSWORD 'app-pass'")
            conn.execute("CREATE TABLE ledger (n bigint PRIMARY KEY)")
            conn.execute("ALTER TABLE ledger OWNER TO app")
        self._said = [
            self._write("pgm-b", "pgm-a", 0),
            self._write("pgm-a", "pgm-b", 1),
        ]

    def _write(self, client: str, server: str, first: int) -> Path:
        path = self.place.fabric.path(client, server)
        way = f"host={path.host} hostaddr={path.hostaddr} port={path.port}"
        said = self.lab.root / f"written-{client}"
        command = [sys.executable, "-c", _WRITE, f"{way} {_CLIENT}", str(first)]
        with said.open("wb") as out:
            child = subprocess.Popen(
                self.place.fabric.command(client, command), stdout=out, stderr=out,
                env={**os.environ, "PGPASSWORD": "app-pass"},
            )  # fmt: skip
        self._ends.callback(child.wait)
        self._ends.callback(child.kill)
        return said

    def written(self, whose: int) -> list[int]:
        """What was acknowledged: by the source (0), by the destination (1)."""
        return [int(n) for n in self._said[whose].read_text().splitlines(keepends=True)[:-1]]

    def goes_on(self, whose: int) -> bool:
        """Whether commits are acknowledged, now."""
        before = len(self.written(whose))
        return wait_until(lambda: len(self.written(whose)) > before + 20, 20)

    def lost(self) -> set[int]:
        """What was acknowledged by either and is not at the destination."""
        acknowledged = {*self.written(0), *self.written(1)}
        with self.place.servers.cluster("pgm-b").connect() as conn:
            return acknowledged - {n for (n,) in conn.execute("SELECT n FROM ledger")}


@contextmanager
def joined(cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str) -> Iterator[tuple[LabCli, Ledger]]:
    """A lab whose VPCs are joined by a line of 100 Mbit/s, under a live writer."""
    with a_lab(cli, monkeypatch, mode) as lab, ExitStack() as ends:
        lab.up()
        lab.join()
        ledger = Ledger(lab, ends)
        assert ledger.goes_on(0)
        yield lab, ledger


@pytest.mark.slow
@pytest.mark.parametrize("mode", ONE_IN_THE_DEFAULT_RUN)
def test_cluster_moves_from_one_vpc_to_another_under_a_live_writer(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with joined(cli, monkeypatch, mode) as (lab, ledger):
        lab("detach", "vpc-a")
        refused = lab.refused("migrate", "pgm-a", "pgm-b", "--switchover", "auto")
        assert refused["id"] == "server.unreachable"
        assert lab("status")["servers"]["pgm-b"]["state"] == "up"
        assert not list((lab.root / "tasks").glob("*"))

        lab("attach", "vpc-a", "cen-b")
        assert ledger.goes_on(0)
        compared = []
        if mode == "relay":
            see_all = text(ledger.place.conninfo("pgm-b", "pgm-a", FENCE))
            compared = ["--verify", "before", "--verify-as", see_all]
        code, moved = lab.call("migrate", "pgm-a", "pgm-b", "--switchover", "auto", *compared)
        assert code == 0 and moved["state"] == "finished", moved
        assert Path(moved["evidence"]["path"]).exists()
        assert moved["line"]["bytes"] > MBIT
        assert moved["line"]["busiest_bits_per_second"] <= 102 * MBIT
        assert ledger.goes_on(1), "no writes afterwards"
        before = ledger.written(0)
        assert not ledger.lost()
        assert ledger.written(0) == before, "the source still writes"
        servers = lab("status")["servers"]
        assert servers["pgm-a"]["state"] == "read-only" and servers["pgm-b"]["state"] == "up"
        count = lab("psql", "pgm-b", "--from", "pgm-a", "-d", "shop", "-c", _COUNT)["stdout"]
        assert "1000" in count and "pgm-b" in count
        assert_own_whitelist(lab, ledger.place, mode)
        assert lab.refused("migrate", "pgm-a", "pgm-b")["id"] == "lab.not_empty"
        assert "app-pass" not in cli.said


_COUNT = "SELECT count(*), current_setting('cluster_name') FROM orders"


def assert_own_whitelist(lab: LabCli, place: Lab, mode: str) -> None:
    """The copy brought the source's pg_hba.conf; the destination lets in whom it did before."""
    target = place.plan.topology.instances["pgm-b"]
    assert lab.probe()["pgm-a", "pgm-b"]["passes"]
    itself = place.fabric.probe("pgm-b", target.address, target.port, 5)
    assert itself.outcome is Outcome.NOT_WHITELISTED, "10.20.0.0/16 is the source's entry"
    hba = (lab.folder / "instances/pgm-b/data.landbridge/pg_hba.conf").read_text()
    assert ("host all all 10.10.0.0/16 scram-sha-256" in hba) == (mode == "netns")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["netns", "relay"])
def test_line_cut_for_90_seconds_while_following_loses_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with joined(cli, monkeypatch, mode) as (lab, ledger):
        id = lab("migrate", "pgm-a", "pgm-b", "--detach")["id"]
        (task,) = Tasks(lab.root).all()
        assert wait_until(lambda: task.read_live().get("caught_up") is True, 180)
        lab("detach", "vpc-a")
        cut = time.monotonic()
        assert wait_until(lambda: bool(task.read_live().get("disconnected_since")), 90)
        # The client beyond the line is cut off too: this one is not.
        with ledger.place.servers.cluster("pgm-a").connect() as conn:
            conn.execute("INSERT INTO ledger SELECT -n FROM generate_series(1, 50000) n")
        assert wait_until(lambda: time.monotonic() - cut > 90, 95)
        shown = cli("show", id)
        assert "disconnected since" in shown.out
        assert task.is_worked_on() and task.state.value == "synchronizing"

        lab("attach", "vpc-a", "cen-b")
        assert wait_until(lambda: task.read_live().get("disconnected_since") is None, 60)
        assert wait_until(lambda: task.read_live().get("caught_up") is True, 180)
        assert ledger.goes_on(0)
        program = [sys.executable, "-P", "-m", "landbridge.cli", "switchover", id, "--yes"]
        lab("exec", "pgm-b", "--", *program)  # It asks the source once more before it begins.
        assert ledger.goes_on(1)
        assert not ledger.lost()
        with ledger.place.servers.cluster("pgm-b").connect() as conn:
            found = conn.execute("SELECT count(*) FROM ledger WHERE n < 0").fetchone()
        assert found == (50_000,)


def assess(lab: LabCli, way: str, to: Path) -> dict[str, dict[str, Any]]:
    """Errors of an assessment at the place of pgm-b, by id."""
    program = [sys.executable, "-P", "-m", "landbridge.cli", "assess", way, "--to", str(to)]
    code, found = lab.call("exec", "pgm-b", "--", *program, "--port", "5433", "--json")
    assert code == 3, found
    findings = json.loads(found["stdout"])["findings"]
    return {f["id"]: f for f in findings if f["level"] == "error"}


@pytest.mark.parametrize("mode", ONE_IN_THE_DEFAULT_RUN)
def test_assessment_over_a_line_without_bandwidth_names_the_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with a_lab(cli, monkeypatch, mode) as lab:
        lab.up()
        lab.join()
        lab("bandwidth", "line-1", "none")
        patience = 2 if mode == "netns" else 8
        way = f"{lab('conninfo', 'pgm-b', 'pgm-a')['conninfo']} connect_timeout={patience}"
        errors = assess(lab, way, lab.root / "new")
        assert errors.keys() <= {"connect.login", "connect.replication", "network.line"}
        for error in errors.values():
            assert "next to no bandwidth" in error["cause"] and "1 kbit/s" in error["cause"]
            assert "allocate more" in error["remedy"]
        lab("bandwidth", "line-1", "100")
        assert lab.probe()["pgm-b", "pgm-a"]["passes"]


def test_source_whose_address_leads_to_the_destination_is_found_out(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal blocks, not attached yet: from pgm-b the address of pgm-a is its own."""
    with a_lab(cli, monkeypatch, "netns") as lab:
        plan = lab.plan.read_text().replace("10.20.", "10.10.")
        lab.plan.write_text(plan)
        lab.up()
        lab("attach", "vpc-a", "cen-b")
        assert lab.refused("attach", "vpc-b", "cen-b")["id"] == "network.overlap"
        way = lab("conninfo", "pgm-b", "pgm-a")["conninfo"]
        assert "hostaddr=10.10.1.5" in way
        errors = assess(lab, way, lab.folder / "instances/pgm-b/data")
        assert "already holds the same cluster" in errors["destination.identity"]["cause"]
        assert "source's own data directory" in errors["destination.running"]["cause"]


@pytest.mark.slow
@pytest.mark.parametrize("mbit", [10, 100])
def test_base_copy_runs_at_the_bandwidth_of_its_line(net: Net, mbit: int) -> None:
    """At least 8 seconds of payload; the kernel's shaper counts headers, the relay does not."""
    topology = two_regions()
    for thing in (
        Grant("vpc-2b", "cen-1"),
        Attachment("at-1h", "tr-1h", "vpc-1h"),
        Attachment("at-2b", "tr-1b", "vpc-2b"),
        Line("line", "tr-1h", "tr-1b", mbit * MBIT),
    ):
        topology.put(thing)
    converge(net.fabric, topology)
    cluster = net.postgres(topology, "pg-1hx")
    cluster.write_hba([f"host {what} all 0.0.0.0/0 trust" for what in ("all", "replication")])
    with cluster.connect() as conn:
        conn.execute(
            "CREATE TABLE big AS SELECT repeat(md5(i::text), 8)"
            f" FROM generate_series(1, {4_000 * mbit}) i"
        )
        conn.execute("SELECT pg_reload_conf()")
    path = net.fabric.path("pg-2b", "pg-1hx")
    way = f"host={path.host} hostaddr={path.hostaddr} port={path.port} user=pgsql"
    copy = net.popen(
        "pg-2b", cluster.distribution.program("pg_basebackup"), "-d", way, "-D", "-", "-Ft",
        "-X", "none", "--checkpoint=fast", "--no-manifest", stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert copy.stdout is not None
    copy.stdout.read(mbit * 50_000)  # the checkpoint is over, the flow has begun
    began, before = time.monotonic(), net.fabric.meter("line")
    size = len(copy.stdout.read(mbit * 1_050_000))
    seconds, after = time.monotonic() - began, net.fabric.meter("line")
    copy.kill()
    copy.communicate()
    share = size * 8 / seconds / (mbit * MBIT)
    print(f"\n{net.mode.value} {mbit} Mbit/s: {share:.1%} over {seconds:.1f} s")
    low, high = (0.98, 1.02) if net.mode is Mode.RELAY else (0.90, 0.97)
    assert seconds >= 8 and low <= share <= high, share
    headers = 1 if net.mode is Mode.RELAY else 1514 / 1448
    assert after.a_to_b - before.a_to_b == pytest.approx(size * headers, rel=0.05)
