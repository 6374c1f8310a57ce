"""A migration from one instance of a lab to another, and what its line carried meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import LandbridgeError, NetworkFailed, UsageError
from ..network.topology import Topology
from ..postgres.facts.directory import look_at
from ..postgres.osaccount import OsAccount
from .accounts import FENCE, text
from .lab import Lab

#: Seconds between two looks at a line's counters.
_EVERY = 0.5
#: Seconds over which the busiest stretch is told.
_STRETCH = 5.0


def command(lab: Lab, source: str, destination: str, options: Sequence[str]) -> list[str]:
    """`landbridge migrate` at the place of the destination, with `options` after our own.

    No password is in it: the accounts' passfiles are named.
    """
    topology = lab.plan.topology
    endpoint = lab.servers.endpoint(destination)
    ours = [
        "--to", str(lab.store.data(destination)), "--port", str(endpoint.port),
        "--listen", endpoint.listen, "--set", f"cluster_name={destination}", "--replace-empty",
    ]  # fmt: skip
    blocks = topology.instances[destination].whitelist
    for block in endpoint.clients if endpoint.decides_whitelist else map(str, blocks):
        ours += ["--allow", block]
    if not any(option == "--fence" or option.startswith("--fence=") for option in options):
        ours += ["--fence-as", text(lab.conninfo(destination, source, FENCE))]
    source_text = text(lab.conninfo(destination, source))
    program = [sys.executable, "-P", "-m", "landbridge.cli", "migrate", source_text]
    return lab.fabric.command(destination, [*program, *ours, *options])


def refuse_unless_movable(lab: Lab, source: str, destination: str) -> None:
    """Raise UsageError or LandbridgeError (lab.not_empty) for what cannot be moved so."""
    if source == destination:
        raise UsageError(f"{source} cannot be moved onto itself", id="lab.same_instance")
    there = look_at(lab.store.data(destination), OsAccount.for_servers())
    others = [name for name in there.samples if name != "postmaster.pid"]
    if others:
        raise LandbridgeError(
            f"{destination} is not empty: it holds {', '.join(others)}", id="lab.not_empty",
            remedy="A migration needs an empty destination; add an instance to the plan file.",
        )  # fmt: skip


@dataclass(frozen=True)
class Carried:
    """What a line has carried: bytes with their headers, in the busier direction."""

    line: str
    allocated: tuple[int | None, ...]
    """bit/s, one after the other as it was changed meanwhile; None: no bandwidth."""
    bytes: int
    seconds: float
    busiest: float
    """bit/s over the busiest 5 seconds (or all, if shorter)."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "line": self.line, "allocated_bits_per_second": self.allocated, "bytes": self.bytes,
            "seconds": round(self.seconds, 1), "busiest_bits_per_second": round(self.busiest),
        }  # fmt: skip


@dataclass
class Watch:
    """Reads a line's counters while a migration goes over it, and whether its way is open."""

    lab: Lab
    line: str
    source: str
    destination: str
    say: Callable[[str], None]
    """Told what has come into the way, and that it is open again."""
    allocated: list[int | None] = field(default_factory=list)
    obstacle: str = ""
    readings: list[tuple[float, int, int]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._read()
        self._thread = threading.Thread(target=self._keep_reading, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._try_to_read()

    def carried(self) -> Carried:
        """The sum of what was read so far."""
        there = [(at, a_to_b) for at, a_to_b, _ in self.readings]
        back = [(at, b_to_a) for at, _, b_to_a in self.readings]
        points = max(there, back, key=lambda way: way[-1][1] - way[0][1])
        first, last = points[0], points[-1]
        return Carried(
            self.line, tuple(self.allocated), last[1] - first[1], last[0] - first[0],
            busiest(points),
        )  # fmt: skip

    def _read(self) -> None:
        if (saved := self.lab.store.load()) is not None:
            self._look_at(saved.wanted.topology)
        meter = self.lab.fabric.meter(self.line)
        self.readings.append((time.monotonic(), meter.a_to_b, meter.b_to_a))

    def _look_at(self, wanted: Topology) -> None:
        line = wanted.lines.get(self.line)
        if line is not None and self.allocated[-1:] != [line.bits_per_second]:
            self.allocated.append(line.bits_per_second)
        verdict = wanted.verdict(self.destination, self.source)
        obstacle = "" if verdict.passes else verdict.reason
        if obstacle != self.obstacle:
            way = f"the way from {self.destination} to {self.source}"
            self.say(f"{way}: {obstacle}" if obstacle else f"{way} is open again")
            self.obstacle = obstacle

    def _keep_reading(self) -> None:
        while not self._ended.wait(_EVERY):
            self._try_to_read()

    def _try_to_read(self) -> None:
        """Nothing where the line was taken away; a daemon that has ended is started again."""
        with suppress(LandbridgeError):
            try:
                self._read()
            except NetworkFailed:
                self.lab.mend()


def busiest(points: Sequence[tuple[float, int]]) -> float:
    """bit/s of the busiest 5 seconds among (second, bytes so far).

    >>> busiest([(0.0, 0), (5.0, 100), (10.0, 725), (15.0, 800)])
    1000.0
    """
    span = min(_STRETCH, points[-1][0] - points[0][0])
    best, begin = 0.0, 0
    for at, total in points[1:]:
        while at - points[begin + 1][0] >= span > 0:
            begin += 1
        since, before = points[begin]
        if at - since >= span > 0:
            best = max(best, 8 * (total - before) / (at - since))
    return best


def meter_of(lab: Lab, source: str, destination: str, say: Callable[[str], None]) -> Watch | None:
    """A watch over the line between two instances; None where none is needed."""
    line = lab.plan.topology.line_of(source, destination)
    return Watch(lab, line.id, source, destination, say) if line else None
