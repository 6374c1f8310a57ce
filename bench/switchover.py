"""How long nobody can write: the write outage of repeated switchovers under load.

    bench/switchover.py [--runs N] [--fence sync|lockout] [--major N] [--clients N]

Each run makes a source and its standby (fsync on), loads the source with clients that run
transactions of six statements, and switches over. A probe commits one row about every 3 ms
and tries both servers; clients reconnect to whichever takes writes. The outage is the
longest time between two acknowledged commits of the probe. Afterwards every acknowledged
row of every client is looked up on the destination.
"""

from __future__ import annotations

import sys

# This folder first on the path would hide the library's own `copy` behind copy.py here.
sys.path.pop(0)

import argparse
import contextlib
import itertools
import multiprocessing
import os
import platform
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conftest import pytest_configure
from fix_servers import OWNER_PASSWORD, Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from landbridge.migration.fence.outcome import milliseconds
from landbridge.migration.switchover import SwitchoverResult, switch_over

ACCOUNTS = 100_000
DURABLE: dict[str, str | int] = {
    "fsync": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "max_connections": 100,
}


@dataclass(frozen=True)
class Run:
    """One switchover: milliseconds, and counts of rows."""

    gap: float
    reported: float
    stall: float
    failed: int
    acknowledged: int
    lost: int
    doubled: int
    diverged: int
    parts: dict[str, float]
    """Where the reported outage went."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--fence", choices=("sync", "lockout"), default="sync")
    parser.add_argument("--major", type=int, default=15)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    pytest_configure(None)  # type: ignore[arg-type]
    runs = []
    for number in range(1, options.runs + 1):
        runs.append(run := one(options))
        print(
            f"run {number:2}: outage {run.gap:6.1f} ms, reported {run.reported:6.1f} ms,"
            f" longest stall of a client {run.stall:6.1f} ms, failed transactions {run.failed:3},"
            f" acknowledged {run.acknowledged}, lost {run.lost}, doubled {run.doubled},"
            f" diverged {run.diverged};"
            + "".join(f" {name} {value:.0f}" for name, value in run.parts.items()),
            flush=True,
        )
    print_summary(options, runs)


def one(options: argparse.Namespace) -> Run:
    root = Path(tempfile.mkdtemp(prefix="lb-bench-"))
    root.chmod(0o755)
    servers = Servers(root)
    try:
        source = servers.source(options.major, settings=DURABLE)
        fill(source)
        state = Path(tempfile.mkdtemp(prefix="lb-bench-state-"))
        task = synchronizing_task(servers, state, source, settings=DURABLE, fence=options.fence)
        wait_streaming(source, task)
        ports = (source.port, task.request.port)
        stop = multiprocessing.Event()
        clients = [Child(stop, load, ports, options.clients), Child(stop, probe, ports, 1)]
        time.sleep(2)
        result = switch_over(task)
        time.sleep(1)
        stop.set()
        acknowledged, (probed,) = (child.result() for child in clients)
        with task.cluster().connect() as conn:
            rows = Counter(conn.execute("SELECT client, n FROM history").fetchall())
    finally:
        servers.end()
    acked = {(c, n) for c, who in enumerate(acknowledged) for n, _ in who["rows"]}
    acked |= {(-1, n) for n, _ in probed["rows"]}
    return Run(
        gap=longest_gap(probed["rows"]),
        reported=result.write_outage_ms,
        stall=max(longest_gap(who["rows"]) for who in acknowledged),
        failed=sum(who["failed"] for who in acknowledged),
        acknowledged=len(acked),
        lost=sum(key not in rows for key in acked),
        doubled=sum(count > 1 for count in rows.values()),
        diverged=len(result.diverged),
        parts=parts(result),
    )


def parts(result: SwitchoverResult) -> dict[str, float]:
    """Milliseconds of: read-only confirmed, drained, intent on disk, promoted."""
    at = [result.fenced, result.drained, result.undo_possible_until, result.promoted]
    steps = [milliseconds(a, b) for a, b in itertools.pairwise(at)]
    close = result.write_outage_ms - sum(steps)
    return dict(zip(("close", "drain", "intent", "promote"), [close, *steps], strict=True))


def fill(source: Source) -> None:
    source.sql(f"CREATE ROLE pgbench LOGIN PASSWORD '{OWNER_PASSWORD}'")
    source.sql("CREATE TABLE history (client int, n bigint, account int, at timestamptz)")
    source.sql(
        "CREATE TABLE accounts AS"
        " SELECT i AS id, 0::bigint AS balance, repeat(md5(i::text), 2) AS t"
        f" FROM generate_series(1, {ACCOUNTS}) i"
    )
    source.sql("ALTER TABLE accounts ADD PRIMARY KEY (id)")
    source.sql("GRANT ALL ON history, accounts TO pgbench")
    source.sql("VACUUM ANALYZE")


class Child:
    """A process of its own, so that the clients and we do not share an interpreter."""

    def __init__(self, stop: Event, body: Any, ports: tuple[int, int], number: int) -> None:
        self._mine, theirs = multiprocessing.Pipe(duplex=False)
        arguments = (body, stop, ports, number, theirs)
        self._process = multiprocessing.Process(target=_run_threads, args=arguments, daemon=True)
        self._process.start()

    def result(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._mine.recv()
        self._process.join()
        return found


def _run_threads(body: Any, stop: Event, ports: tuple[int, int], number: int, out: Any) -> None:
    found: list[dict[str, Any]] = [{"rows": [], "failed": 0} for _ in range(number)]
    threads = [
        threading.Thread(target=client, args=(body, stop, ports, i, found[i]))
        for i in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.send(found)


def client(
    body: Any, stop: Event, ports: tuple[int, int], index: int, found: dict[str, Any]
) -> None:
    """Run transactions at one server until it fails, then at the other, and so on."""
    numbers = itertools.count()
    for port in itertools.cycle(ports):
        if stop.is_set():
            return
        with contextlib.suppress(psycopg.Error), connect(port) as conn:
            while not stop.is_set():
                number = next(numbers)
                try:
                    body(conn, index, number)
                except psycopg.Error:
                    found["failed"] += 1
                    raise
                found["rows"].append((number, time.monotonic()))
        time.sleep(0.005)


def load(conn: psycopg.Connection[Any], index: int, number: int) -> None:
    """Six statements; the commit is what is acknowledged."""
    account = (index * 7919 + number * 104729) % ACCOUNTS + 1
    with conn.transaction():
        for step in range(3):
            row = (account + step * 31) % ACCOUNTS + 1
            conn.execute("UPDATE accounts SET balance = balance + 1 WHERE id = %s", [row])
        conn.execute("SELECT balance FROM accounts WHERE id = %s", [account])
        conn.execute("INSERT INTO history VALUES (%s, %s, %s, now())", [index, number, account])


def probe(conn: psycopg.Connection[Any], _index: int, number: int) -> None:
    conn.execute("INSERT INTO history VALUES (-1, %s, 0, now())", [number])
    time.sleep(0.003)


def connect(port: int) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1", port=port, user="pgbench", password=OWNER_PASSWORD, dbname="postgres",
        autocommit=True, connect_timeout=2, application_name="bench",
    )  # fmt: skip


def longest_gap(rows: list[tuple[int, float]]) -> float:
    """Milliseconds between two commits that lie farthest apart."""
    times = [at for _, at in rows]
    return max((b - a) * 1000 for a, b in itertools.pairwise(times))


def print_summary(options: argparse.Namespace, runs: list[Run]) -> None:
    def spread(values: list[float]) -> str:
        return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"

    print(
        f"\nfence {options.fence}, PostgreSQL {options.major}, {options.clients} clients,"
        f" {len(runs)} switchovers; min / median / max:"
        f"\n  write outage seen by the probe  {spread([r.gap for r in runs])} ms"
        f"\n  write outage as reported        {spread([r.reported for r in runs])} ms"
        f"\n  longest stall of a client       {spread([r.stall for r in runs])} ms"
        f"\n  failed transactions             {spread([float(r.failed) for r in runs])}"
        f"\n  acknowledged rows {sum(r.acknowledged for r in runs)},"
        f" lost {sum(r.lost for r in runs)}, doubled {sum(r.doubled for r in runs)},"
        f" diverged {sum(r.diverged for r in runs)}"
        f"\n{machine()}"
    )


def machine() -> str:
    """The facts without which the figures say nothing."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load_average = os.getloadavg()[0]
    return (
        f"machine: {os.cpu_count()} cores ({model}), {memory:.0f} GB,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" load average {load_average:.1f}"
    )


if __name__ == "__main__":
    main()
