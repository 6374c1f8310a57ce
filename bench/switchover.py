"""How long nobody can write: the write outage of repeated switchovers under load.

    bench/switchover.py [--runs N] [--fence sync|lockout] [--major N] [--clients N]
                        [--tools] [--told]

Each run makes a source and its standby (fsync on), loads the source with clients that run
transactions of six statements, and switches over. A probe commits one row about every 3 ms
and tries both servers; clients reconnect to whichever takes writes. The outage is the
longest time between two acknowledged commits of the probe. Afterwards every acknowledged
row of every client is looked up on the destination. With --tools each run is followed by
one in the usual way: read-only by default, sessions terminated, replay polled every 100 ms,
`pg_ctl promote -w`. With --told clients know one address and are given the other when the
procedure says that it is done: ours with the journal's line that ends the promotion, the usual way
when its last command returns.
"""

from __future__ import annotations

import sys

# This folder first on the path would hide the library's own `copy` behind copy.py here.
sys.path.pop(0)

import argparse
import contextlib
import itertools
import multiprocessing
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(1, str(Path(__file__).parent.parent))

from bench.machine import machine

from conftest import pytest_configure
from fix_servers import OWNER_PASSWORD, Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from landbridge.migration.fence.result import milliseconds
from landbridge.migration.switchover import SwitchoverResult, switch_over
from landbridge.migration.task import Task

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
    stall: float
    failed: int
    acknowledged: int
    lost: int
    doubled: int
    diverged: int = 0
    reported: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    """Where the reported outage went."""

    def line(self) -> str:
        text = (
            f"outage {self.gap:6.1f} ms, longest stall of a client {self.stall:6.1f} ms,"
            f" failed transactions {self.failed:3}, acknowledged {self.acknowledged},"
            f" lost {self.lost}, doubled {self.doubled}"
        )
        if self.parts:
            text += f", diverged {self.diverged}, reported {self.reported:6.1f} ms:"
            text += "".join(f" {name} {value:.0f}" for name, value in self.parts.items())
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--fence", choices=("sync", "lockout"), default="sync")
    parser.add_argument("--major", type=int, default=15)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--told", action="store_true")
    options = parser.parse_args()
    pytest_configure(None)  # type: ignore[arg-type]
    ways: dict[str, Callable[[Source, Task], SwitchoverResult | None]] = {
        options.fence: lambda _, task: switch_over(task)
    }
    if options.tools:
        ways["tools"] = with_tools
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(1, options.runs + 1):
        for name, way in ways.items():
            runs[name].append(run := one(options, way))
            print(f"run {number:2} {name:7}: {run.line()}", flush=True)
    print_summary(options, runs)


def one(options: argparse.Namespace, way: Callable[[Source, Task], SwitchoverResult | None]) -> Run:
    root = Path(tempfile.mkdtemp(prefix="lb-bench-"))
    root.chmod(0o755)
    servers = Servers(root)
    try:
        source = servers.source(options.major, settings=DURABLE)
        fill(source)
        task = synchronizing_task(
            servers, root / "state", source, settings=DURABLE, fence=options.fence
        )
        wait_streaming(source, task)
        ports = (source.port, task.request.port)
        stop = multiprocessing.Event()
        told = multiprocessing.Value("i", source.port) if options.told else None
        clients = [
            Child(stop, load, ports, options.clients, told), Child(stop, probe, ports, 1, told)
        ]  # fmt: skip
        time.sleep(2)
        if told is not None:
            threading.Thread(target=tell, args=(task, told), daemon=True).start()
        result = way(source, task)
        if told is not None:
            told.value = task.request.port
        time.sleep(1)
        stop.set()
        acknowledged, (probed,) = (child.result() for child in clients)
        with task.cluster().connect() as conn:
            rows = Counter(conn.execute("SELECT client, n FROM history").fetchall())
    finally:
        servers.end()
    acked = {(c, n) for c, who in enumerate(acknowledged) for n, _ in who["rows"]}
    acked |= {(-1, n) for n, _ in probed["rows"]}
    run = Run(
        gap=longest_gap(probed["rows"]),
        stall=max(longest_gap(who["rows"]) for who in acknowledged),
        failed=sum(who["failed"] for who in acknowledged),
        acknowledged=len(acked),
        lost=sum(key not in rows for key in acked),
        doubled=sum(count > 1 for count in rows.values()),
    )
    if result is None:
        return run
    reported = result.write_outage_ms
    return replace(run, diverged=len(result.diverged), reported=reported, parts=parts(result))


def tell(task: Task, told: Any) -> None:
    """Name the destination's port as soon as the journal says that it accepts writes."""
    size = task.journal.path.stat().st_size
    while told.value != task.request.port:
        ends = (e for e in task.journal.entries(size) if e.get("phase") == "end")
        if any(e.get("name") == "promote" for e in ends):
            told.value = task.request.port
        time.sleep(0.001)


def parts(result: SwitchoverResult) -> dict[str, float]:
    """Milliseconds until: new sessions cannot write, drained, intent on disk, promoted."""
    at = [result.fenced, result.drained, result.undo_possible_until, result.promoted]
    steps = [milliseconds(a, b) for a, b in itertools.pairwise(at)]
    close = result.write_outage_ms - sum(steps)
    return dict(zip(("close", "drain", "intent", "promote"), [close, *steps], strict=True))


def with_tools(source: Source, task: Task) -> None:
    """The usual way, with the tools that come with PostgreSQL."""
    cluster = task.cluster()
    pg_ctl = cluster.distribution.program("pg_ctl")
    with source.connect() as conn:
        conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        conn.execute("SELECT pg_reload_conf()")
        while True:
            with source.connect() as fresh:
                if fresh.execute("SHOW default_transaction_read_only").fetchone() == ("on",):
                    break
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        lsn = conn.execute("SELECT pg_current_wal_lsn()").fetchone()
        query = "SELECT replay_lsn >= %s FROM pg_stat_replication"
        while conn.execute(query, lsn).fetchone() != (True,):
            time.sleep(0.1)
    subprocess.run(
        [pg_ctl, "promote", "-w", "-s", "-D", cluster.data],
        check=True, env=cluster.distribution.environment, **cluster.account.popen_arguments(),
    )  # fmt: skip


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

    def __init__(
        self, stop: Event, body: Any, ports: tuple[int, int], number: int, told: Any
    ) -> None:
        self._mine, theirs = multiprocessing.Pipe(duplex=False)
        arguments = (body, stop, ports, number, told, theirs)
        self._process = multiprocessing.Process(target=_run_threads, args=arguments, daemon=True)
        self._process.start()

    def result(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._mine.recv()
        self._process.join()
        return found


def _run_threads(
    body: Any, stop: Event, ports: tuple[int, int], number: int, told: Any, out: Any
) -> None:
    found: list[dict[str, Any]] = [{"rows": [], "failed": 0} for _ in range(number)]
    threads = [
        threading.Thread(target=client, args=(body, stop, ports, i, told, found[i]))
        for i in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.send(found)


def client(
    body: Any, stop: Event, ports: tuple[int, int], index: int, told: Any, found: dict[str, Any]
) -> None:
    """Run transactions at one server until it fails, then at the other, and so on.

    With `told` at that server alone whose port stands there.
    """
    numbers = itertools.count()
    for port in itertools.cycle(ports):
        if stop.is_set():
            return
        if told is not None:
            port = told.value
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


def print_summary(options: argparse.Namespace, runs: dict[str, list[Run]]) -> None:
    def spread(values: Iterable[float]) -> str:
        found = list(values)
        return f"{min(found):.0f} / {statistics.median(found):.0f} / {max(found):.0f}"

    print(f"\nPostgreSQL {options.major}, {options.clients} clients; min / median / max:")
    for name, found in runs.items():
        print(
            f"{name}, {len(found)} switchovers:"
            f"\n  write outage seen by the probe  {spread(r.gap for r in found)} ms"
            f"\n  longest stall of a client       {spread(r.stall for r in found)} ms"
            f"\n  failed transactions             {spread(float(r.failed) for r in found)}"
            f"\n  acknowledged rows {sum(r.acknowledged for r in found)},"
            f" lost {sum(r.lost for r in found)}, doubled {sum(r.doubled for r in found)}"
        )
        if found[0].parts:
            print(f"  write outage as reported        {spread(r.reported for r in found)} ms")
            for part in found[0].parts:
                print(f"    {part:29} {spread(r.parts[part] for r in found)} ms")
    if "tools" in runs:
        ours, theirs = (statistics.median(r.gap for r in found) for found in runs.values())
        print(f"ratio of the medians: {ours / theirs:.2f}")
    print(machine())


if __name__ == "__main__":
    main()
