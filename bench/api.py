"""How quickly the service answers while it works: calls at a fixed rate, from processes beside it.

    bench/api.py [--seconds N] [--rate N] [--clients N] [--migrations N] [--network DRIVER]

Two accounts with as many pairs of instances as there are migrations, joined over two regions.
Clients send signed calls of both accounts: lists of VPCs, CENs, connections, instances and
migrations, and one in twenty that changes something. First nothing else happens, then all
pairs migrate: copy, follow, while an application writes to each source. Times count from the
moment a call was due. One JSON object on stdout; everything is removed at the end.
"""

from __future__ import annotations

import sys

# This folder first on the path would hide the library's own `copy` behind copy.py here.
sys.path.pop(0)

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(1, str(Path(__file__).parent.parent))

from bench.calls import Job, Kind
from bench.machine import machine
from examples import two_accounts as procedure
from examples.two_accounts import BEIJING, HANGZHOU, Account, Migration, Site, Writer

from conftest import pytest_configure
from fix_api import Running
from fix_migration import workers
from landbridge.api.action import Product

_ROOT = Path(__file__).parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Pair:
    """A source with its application, and a destination."""

    migration: Migration
    writer: Writer

    @classmethod
    def make(cls, a: Account, b: Account, number: int, version: str, megabytes: int) -> Pair:
        """Networks, instances and data; nothing migrates yet."""
        source = Site(a, BEIJING, f"10.{10 + number}.0.0/16")
        target = Site(b, HANGZHOU, f"10.{110 + number}.0.0/16")
        for site in (source, target):
            site.build_network()
            site.order_instance(version)
        for site in (source, target):
            site.until_running()
        procedure.join_networks(source, target)
        writer = Writer(procedure.prepare_source(source, target))
        with procedure.connect(writer.target, procedure.MIGRATOR, procedure.PASSWORD) as conn:
            conn.execute(
                "CREATE TABLE filler AS SELECT repeat(md5(i::text), 8)"
                f" FROM generate_series(1, {megabytes * 3400}) i"
            )
        return cls(Migration(source, target), writer)

    def begin(self) -> None:
        """Assess, and start the migration."""
        self.migration.assess()
        self.migration.begin()


def kinds(pairs: list[Pair]) -> list[Kind]:
    """The calls, of both accounts."""
    found = []
    for pair in pairs:
        for site in (pair.migration.source, pair.migration.target):
            vpc, rds = Product.VPC.value, Product.RDS.value
            found += [
                _kind(site, rds, "DescribeDBInstances", 6, RegionId=site.region),
                _kind(site, rds, "DescribeDBInstanceAttribute", 3, DBInstanceId=site.instance),
                _kind(site, vpc, "DescribeVpcs", 4, RegionId=site.region),
                _kind(site, Product.CBN.value, "DescribeCens", 2),
                _kind(
                    site, rds, "ModifyDBInstanceDescription", 1, DBInstanceId=site.instance,
                    DBInstanceDescription="busy",
                ),
            ]  # fmt: skip
        target = pair.migration.target
        found += [
            _kind(target, Product.CBN.value, "ListTransitRouterPeerAttachments", 4),
            _kind(
                target, rds, "DescribeCloudMigrationResult", 4, DBInstanceName=target.instance,
                PageNumber="1", PageSize="30",
            ),
        ]  # fmt: skip
    return found


def _kind(site: Site, version: str, action: str, weight: int, **parameters: str) -> Kind:
    key = site.owner.rds._credential.get_credential()
    return Kind(version, action, parameters, weight, key.access_key_id, key.access_key_secret)


@dataclass(frozen=True)
class Usage:
    """Seconds of a process."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """So far."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls(time.monotonic(), (int(fields[11]) + int(fields[12])) / _TICK)

    def since(self, before: Usage) -> float:
        """CPU seconds a second."""
        return (self.cpu - before.cpu) / (self.wall - before.wall)


def measure(service: Running, wanted: list[Kind], chosen: argparse.Namespace) -> dict[str, Any]:
    """One load of the service, from the first call to the last answer."""
    job = Job(service.endpoint, wanted, chosen.rate / chosen.clients, chosen.seconds, 0)
    with ExitStack() as ends:
        clients = [ends.enter_context(_client(job, seed)) for seed in range(chosen.clients)]
        idle = Usage.of(service.process.pid)
        time.sleep(min(10.0, chosen.seconds / 2))
        before = Usage.of(service.process.pid)
        for client in clients:
            client.stdin.write("go\n")
            client.stdin.flush()
        found = [call for client in clients for call in json.loads(client.stdout.readline())]
        after = Usage.of(service.process.pid)
        load = os.getloadavg()[0]
    return _said(found, wanted) | {
        "calls_per_second": round(len(found) / (after.wall - before.wall), 1),
        "cpu_of_service": round(after.since(before), 3),
        "cpu_of_service_without_calls": round(before.since(idle), 3),
        "load_average": round(load, 1),
    }


@contextmanager
def _client(job: Job, seed: int) -> Iterator[Any]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.calls"], cwd=_ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(json.dumps(asdict(job) | {"seed": seed}) + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def _said(found: list[tuple[int, float, str]], wanted: list[Kind]) -> dict[str, Any]:
    """Milliseconds of all calls and of each action; what went wrong, and how often."""
    by_action: dict[str, list[float]] = {}
    for index, took, _ in found:
        by_action.setdefault(wanted[index].action, []).append(took)
    errors = Counter(f"{wanted[index].action}: {wrong}" for index, _, wrong in found if wrong)
    return {
        "calls": len(found),
        "milliseconds": _spread([took for _, took, _ in found]),
        "by_action": {action: _spread(times) for action, times in sorted(by_action.items())},
        "errors": dict(errors),
    }


def _spread(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    spread = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(times)}
    return {name: round(value, 1) for name, value in spread.items()}


def run(service: Running, chosen: argparse.Namespace) -> dict[str, Any]:
    """Both loads."""
    a, b = (Account.create(name, service.endpoint) for name in ("ann", "ben"))
    count = max(chosen.migrations, 1)
    with ThreadPoolExecutor(count) as pool, ExitStack() as ends:
        pairs = list(
            pool.map(
                lambda n: Pair.make(a, b, n, chosen.engine_version, chosen.megabytes), range(count)
            )
        )
        calls = kinds(pairs)
        result = {"alone": measure(service, calls, chosen)}
        if chosen.migrations:
            for pair in pairs:
                ends.enter_context(pair.writer.writing())
            list(pool.map(Pair.begin, pairs))
            result["while_migrating"] = measure(service, calls, chosen)
            looks = [pair.migration.look() for pair in pairs]
            result["migrations"] = [f"{x.migrate_stage}, {x.replication_state}" for x in looks]
            result["rows_written_meanwhile"] = sum(len(p.writer.acknowledged) for p in pairs)
    return result


@contextmanager
def _service(network: str) -> Iterator[Running]:
    """A service in a folder of its own, removed with all it started."""
    state = Path(tempfile.mkdtemp(prefix="lb-bench-"))
    state.chmod(0o755)
    os.environ["LANDBRIDGE_STATE"] = str(state)
    running = Running(state, "--network", network)
    try:
        yield running
    finally:
        running.kill()
        for pid in workers(state):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        running.clean()
        shutil.rmtree(state, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="calls a second, of all clients")
    parser.add_argument("--clients", type=int, default=4, help="processes that call")
    parser.add_argument("--migrations", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=200, help="of data in each source")
    parser.add_argument("--network", default="auto", help="auto, netns or relay")
    parser.add_argument("--engine-version", default="15.0")
    chosen = parser.parse_args()
    pytest_configure(None)  # type: ignore[arg-type]
    for name in list(os.environ):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]  # the SDK would send calls to this machine there
    print(machine(), file=sys.stderr)
    with _service(chosen.network) as service, contextlib.redirect_stdout(sys.stderr):
        result = run(service, chosen)
    print(json.dumps({"machine": machine(), **vars(chosen), **result}, indent=2))
    loads = (result[name] for name in ("alone", "while_migrating") if name in result)
    return 1 if any(load["errors"] for load in loads) else 0


if __name__ == "__main__":
    sys.exit(main())
