"""Our copier against pg_basebackup, turn and turn about, on loopback and over slow lines.

    bench/copy.py [--size GB] [--rounds N] [--lines 1000,100] [--line-rounds N] [--quick]

Each round copies the same idle source with pg_basebackup (default options, but a fast
checkpoint), with ours (default options), and over a slow line also with pg_basebackup and
the compression that the rule of docs/copy.md names. All stream WAL and write durably. What
is timed: from nothing to the finished copy, and on to a standby that is consistent. One
round of each before the first is not counted. Lines need root; without it, loopback alone
is measured.
"""

from __future__ import annotations

import sys

# This folder first on the path would hide the library's own `copy` behind copy.py here.
sys.path.pop(0)

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(1, str(Path(__file__).parent.parent))

from bench import dataset, lines

from conftest import pytest_configure
from copy_lab import copy_task, slots, start_as_standby
from fix_servers import Servers, Source
from landbridge.migration.copying import CopyJob
from landbridge.migration.task import Task
from landbridge.postgres.distribution import discover

PEER, BEST, OURS = "pg_basebackup", "pg_basebackup zstd:3:2", "landbridge"
_OPTIONS = {PEER: (), BEST: ("--compress=server-zstd:level=3,workers=2",)}


@dataclass(frozen=True)
class Timing:
    """One copy: seconds to its end and to a consistent standby, CPU, megabytes on the line."""

    copied: float
    consistent: float
    cpu: float
    """CPU seconds of the copying process and its children."""
    wire: float | None
    compression: str


class Bench:
    """One source, copied again and again into a folder beside it."""

    def __init__(self, servers: Servers, source: Source, size: int) -> None:
        self._servers = servers
        self._room = 4 * size
        self._number = 0
        self._source = source
        self._state = servers.root / "state"

    def time(self, contestant: str, line: lines.Line) -> Timing:
        """Copy once, start a standby on the copy, remove both."""
        account = self._source.conninfo().with_(host=line.host)
        task = copy_task(
            self._servers, self._state, self._source, source=account.public(), sync=True
        )
        os.sync()
        before = lines.carried(line)
        copied, cpu, compression = (
            self._ours(task, line) if contestant == OURS else self._peer(contestant, task, line)
        )
        after = lines.carried(line)
        self._source.account.own_tree(Path(task.request.data))
        begun = time.monotonic()
        standby = start_as_standby(self._servers, task)
        consistent = copied + time.monotonic() - begun
        standby.stop("immediate")
        for name in slots(self._source):
            self._source.sql(f"SELECT pg_drop_replication_slot('{name}')")
        self._discard(standby.data)
        wire = None if before is None or after is None else (after - before) / 1e6
        return Timing(copied, consistent, cpu, wire, compression)

    def _discard(self, copy: Path) -> None:
        """Keep a copy as long as there is room.

        ext4 creates files slowly as long as inodes nearby were freed in the last minute
        (measured: 0.5-0.9 instead of 0.04 ms each), which would fall upon the next copy.
        """
        self._number += 1
        copy.rename(copy.with_name(f"discarded{self._number}"))
        if shutil.disk_usage(copy.parent).free < self._room:
            for old in copy.parent.glob("discarded*"):
                shutil.rmtree(old)

    def _ours(self, task: Task, line: lines.Line) -> tuple[float, float, str]:
        command = [*line.prefix, sys.executable, __file__, "--one", str(task.folder)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(answer.stdout)
        return found["seconds"], found["cpu"], found["compression"]

    def _peer(self, contestant: str, task: Task, line: lines.Line) -> tuple[float, float, str]:
        tools = [self._source.distribution, *reversed(discover())]
        tool = next(d for d in tools if "pg_basebackup" in d.tools)
        command = [
            *line.prefix, str(tool.program("pg_basebackup")), "-D", task.request.data, "-h",
            line.host, "-p", str(self._source.port), "-U", self._source.conninfo().user,
            "--no-password", "--checkpoint=fast", *_OPTIONS[contestant],
        ]  # fmt: skip
        environment = {**tool.environment, "PGPASSFILE": str(task.passfile("source"))}
        begun, used = time.monotonic(), _cpu()
        subprocess.run(command, check=True, env=environment)
        compression = "zstd:3:2" if contestant == BEST else "none"
        return time.monotonic() - begun, _cpu() - used, compression


def _cpu() -> float:
    """CPU seconds of all children that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def copy_one(folder: Path) -> None:
    """Our copy of one task, in this process's network namespace; prints what it took."""
    job = CopyJob(Task(folder))
    begun = time.monotonic()
    job.start_or_adopt()
    result = job.wait(lambda _: None, lambda: False)
    seconds = time.monotonic() - begun
    print(json.dumps({"seconds": seconds, "cpu": _cpu(), "compression": result.compression}))


def compare(bench: Bench, line: lines.Line, rounds: int) -> dict[str, object]:
    """Interleaved rounds over one line; medians, ranges and ratios."""
    contestants = [PEER, OURS] if line.mbit is None else [PEER, BEST, OURS]
    timings: dict[str, list[Timing]] = {c: [] for c in contestants}
    for number in range(rounds + 1):
        for contestant in contestants:
            timing = bench.time(contestant, line)
            if number:
                timings[contestant].append(timing)
            print(f"  {line.name}, round {number}: {contestant} {timing.copied:.2f} s"
                  f" ({timing.compression})", file=sys.stderr)  # fmt: skip
    print(f"\n{line.name} ({rounds} rounds; seconds, medians; ratio of each round, median)")
    print(f"  {'':24}{'copy':>7}{'(range)':>16}{'ratio':>7}{'consistent':>12}{'CPU':>7}"
          f"{'MB on the line':>16}")  # fmt: skip
    found = {c: _summary(series, timings[PEER]) for c, series in timings.items()}
    for contestant, row in found.items():
        name = f"{contestant} ({row['compression']})" if contestant == OURS else contestant
        spread = f"({row['min']:.2f}-{row['max']:.2f})"
        wire = "" if row["wire_mb"] is None else f"{row['wire_mb']:.0f}"
        print(f"  {name:24}{row['copy']:>7.2f}{spread:>16}{row['ratio']:>7.2f}"
              f"{row['consistent']:>12.2f}{row['cpu']:>7.2f}{wire:>16}")  # fmt: skip
    return {"line": line.name, "rounds": rounds, **found}


def _summary(series: list[Timing], peers: list[Timing]) -> dict[str, Any]:
    """Medians; the ratio is that of each round, so that a drift of the disk falls out."""
    copied = [t.copied for t in series]
    wires = [t.wire for t in series if t.wire is not None]
    return {
        "copy": statistics.median(copied),
        "min": min(copied),
        "max": max(copied),
        "ratio": statistics.median(t.copied / p.copied for t, p in zip(series, peers, strict=True)),
        "consistent": statistics.median(t.consistent for t in series),
        "cpu": statistics.median(t.cpu for t in series),
        "wire_mb": statistics.median(wires) if wires else None,
        "compression": series[-1].compression,
    }


def facts(source: Source, size: int, folder: Path) -> str:
    """The machine, in one paragraph."""
    model = next((x.partition(": ")[2] for x in Path("/proc/cpuinfo").read_text().splitlines()
                  if x.startswith("model name")), platform.machine())  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    mount = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True,
                           check=False).stdout.strip()  # fmt: skip
    load = "/".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GB memory, {mount}, Linux"
        f" {platform.release()}, Python {platform.python_version()}, PostgreSQL"
        f" {source.distribution.version}, source of {size / 1e6:.0f} MB, load {load}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=float, default=1.0, help="gigabytes of data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--line-rounds", type=int, default=3)
    parser.add_argument("--lines", default="1000,100", help="Mbit/s, separated by commas")
    parser.add_argument("--major", type=int, default=15)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--quick", action="store_true", help="0.1 GB, two rounds of each")
    parser.add_argument("--json", action="store_true", help="print one object at the end")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        copy_one(chosen.one)
        return 0
    if chosen.quick:
        chosen.size, chosen.rounds, chosen.line_rounds = 0.1, 2, 2
    pytest_configure(None)  # type: ignore[arg-type]
    speeds = [int(x) for x in chosen.lines.split(",") if x]
    reason = lines.impossible() if speeds else "no line was asked for"
    with nullcontext() if reason else lines.namespace():
        results = run(chosen, [] if reason else speeds)
    if reason:
        print(f"\nLoopback only: {reason}.")
    if chosen.json:
        print(json.dumps(results))
    return 0


def run(chosen: argparse.Namespace, speeds: list[int]) -> list[dict[str, object]]:
    """Make the source, then compare on every line."""
    servers = Servers(Path(tempfile.mkdtemp(prefix="lb-bench-", dir=chosen.dir)))
    servers.root.chmod(0o755)
    hosts = ["127.0.0.1", *([lines.HERE] if speeds else [])]
    try:
        clients = ("127.0.0.1", lines.HERE, lines.THERE)
        source = servers.source(
            chosen.major,
            settings={"listen_addresses": ",".join(hosts), "shared_buffers": "256MB",
                      "max_wal_size": "4GB"},
            hba=[f"host all,replication all {client}/32 md5" for client in clients],
        )  # fmt: skip
        size = dataset.fill(source, chosen.size)
        print(facts(source, size, servers.root))
        bench = Bench(servers, source, size)
        results = [compare(bench, lines.LOOPBACK, chosen.rounds)]
        results += [compare(bench, lines.at(speed), chosen.line_rounds) for speed in speeds]
        return results
    finally:
        servers.end()


if __name__ == "__main__":
    sys.exit(main())
