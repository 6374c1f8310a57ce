"""Lines of a given speed: a network namespace, a veth pair and a token bucket. Root only.

The source listens on this machine's end, what copies runs inside the namespace, and the
token bucket slows what leaves towards it. Everything is removed at the end.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: This machine's end and the other, of a network that only the two of them know.
HERE, THERE = "10.213.77.1", "10.213.77.2"
_NAMESPACE, _NEAR, _FAR = "lb-bench", "lb-near", "lb-far"


@dataclass(frozen=True)
class Line:
    """Where the source is reached, and what to put before a command that uses the line."""

    name: str
    host: str
    prefix: tuple[str, ...] = ()
    mbit: int | None = None


LOOPBACK = Line("loopback", "127.0.0.1")


def impossible() -> str | None:
    """Why no line can be made here, or None."""
    if os.geteuid() != 0:
        return "lines of a given speed need root (network namespaces)"
    try:
        with namespace():
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no line can be made here: {error}"


@contextmanager
def namespace() -> Iterator[None]:
    """The namespace and the pair of interfaces, for as long as the block lasts."""
    _remove()
    try:
        _do("ip", "netns", "add", _NAMESPACE)
        _do("ip", "link", "add", _NEAR, "type", "veth", "peer", "name", _FAR)
        _do("ip", "link", "set", _FAR, "netns", _NAMESPACE)
        _do("ip", "addr", "add", f"{HERE}/30", "dev", _NEAR)
        _do("ip", "link", "set", _NEAR, "up")
        inside = ("ip", "netns", "exec", _NAMESPACE, "ip")
        _do(*inside, "addr", "add", f"{THERE}/30", "dev", _FAR)
        _do(*inside, "link", "set", _FAR, "up")
        _do(*inside, "link", "set", "lo", "up")
        yield
    finally:
        _remove()


def at(mbit: int) -> Line:
    """The line at that speed (Mbit/s towards the destination), within `namespace`."""
    # 1 ms worth of bucket, at least 64 kB: less is wasted by the timer, more is a burst.
    burst = max(64 * 1024, mbit * 125)
    _do(
        "tc", "qdisc", "replace", "dev", _NEAR, "root", "tbf",
        "rate", f"{mbit}mbit", "burst", str(burst), "latency", "50ms",
    )  # fmt: skip
    return Line(f"{mbit} Mbit/s", HERE, ("ip", "netns", "exec", _NAMESPACE), mbit)


def carried(line: Line) -> int | None:
    """Bytes that left towards the destination so far; None on loopback."""
    if line.mbit is None:
        return None
    return int(Path(f"/sys/class/net/{_NEAR}/statistics/tx_bytes").read_text())


def _remove() -> None:
    for command in (("ip", "link", "del", _NEAR), ("ip", "netns", "del", _NAMESPACE)):
        subprocess.run(command, capture_output=True, check=False)


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
