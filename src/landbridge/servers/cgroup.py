"""A control group (version 2) around one server: all of it ends at once, within its class.

Only where the service may make groups below its own. Without one, `sandbox` bounds the number
of processes and `ending` looks for them; memory and processors have no bound then.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..postgres.osaccount import OsAccount

#: Microseconds in which a group may use its part of each processor.
_PERIOD = 100_000
#: A group of this name holds the service; those of its servers are beside it. What is divided
#: among groups may hold no process itself, unless it is the whole machine's.
SERVICE = "landbridge-service"


@dataclass(frozen=True)
class Group:
    """The group of one server; may not exist."""

    path: Path

    @classmethod
    def of(cls, id: str, account: OsAccount) -> Self | None:
        """The group of instance `id`, below our own, or beside it where that is SERVICE.

        None where the system has no such groups.
        """
        own = _own()
        return None if own is None else cls(own / f"landbridge-{id}-{account.uid}")

    def make(self, *, memory_mb: int, cpus: int) -> bool:
        """Make it, with the bounds that this machine keeps; False if we may not.

        Zero leaves a bound out.
        """
        for controller in ("memory", "cpu"):
            with contextlib.suppress(OSError):  # our group has processes, or no such controller
                (self.path.parent / "cgroup.subtree_control").write_text(f"+{controller}")
        try:
            self.path.mkdir(mode=0o755, exist_ok=True)
            with self._open_entry():
                pass
        except OSError:
            return False
        if memory_mb:
            self._set("memory.max", str(memory_mb << 20))
            self._set("memory.swap.max", "0")
        if cpus:
            self._set("cpu.max", f"{cpus * _PERIOD} {_PERIOD}")
        return True

    def entry(self) -> int:
        """An open file; a process that writes 0 to it is in the group, whatever its rights."""
        return os.open(self._entry, os.O_WRONLY | os.O_CLOEXEC)

    def kill(self) -> None:
        """Kill all that is in it, also what is being forked right now (from Linux 5.14 on)."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    @property
    def is_empty(self) -> bool:
        """Whether nothing lives in it, or it does not exist."""
        try:
            return "populated 0" in (self.path / "cgroup.events").read_text()
        except OSError:
            return True

    def remove(self) -> None:
        """Remove it if it is empty."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def _entry(self) -> Path:
        return self.path / "cgroup.procs"

    def _open_entry(self) -> contextlib.AbstractContextManager[object]:
        return self._entry.open("w")

    def _set(self, name: str, value: str) -> None:
        with contextlib.suppress(OSError):
            (self.path / name).write_text(value)


def _own() -> Path | None:
    """The group of version 2 that we divide, where it is mounted."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in mounts:
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            path = next((g[3:] for g in groups if g.startswith("0::")), None)
            if path is None:
                return None
            own = Path(before.split()[4]) / path.lstrip("/")
            return own.parent if own.name == SERVICE else own
    return None
