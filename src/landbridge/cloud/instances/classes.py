"""Instance classes: how many processors and how much memory an instance is sold with.

A class bounds connections as the vendor's does. Of its memory a server here takes little
for itself: many share one machine, and what it does not take the page cache has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import CloudError

_SPECIAL = {"micro": (1, 1), "small": (1, 2), "medium": (2, 4), "large": (4, 8), "xlarge": (8, 16)}
#: Like `pg.n2.2c.2m`: so many processors, and of memory so many GB for each of them or in all.
_SIZED = re.compile(r"pg\.[a-z0-9.]*?(\d{1,3})c\.(\d{1,4})m")
_NAMED = re.compile(rf"(?:pg|rds)\.[a-z0-9.]*?({'|'.join(_SPECIAL)})(?:\.[a-z0-9]+)*")
#: Those that one chooses from; every other of either form is taken too.
OFFERED = ("pg.n2.1c.1m", "pg.n2.2c.2m", "pg.n4.4c.8m", "pg.n4.8c.16m")


@dataclass(frozen=True)
class InstanceClass:
    """A class as it is sold."""

    name: str
    cpus: int
    memory_mb: int

    @property
    def max_connections(self) -> int:
        """100 for each GB of memory, from 100 to 1000."""
        return min(1000, max(100, 100 * self.memory_mb // 1024))

    @property
    def shared_buffers_mb(self) -> int:
        """A sixteenth of the memory, from 32 to 256 MB."""
        return min(256, max(32, self.memory_mb // 16))

    @property
    def settings(self) -> dict[str, str | int]:
        """What a server of this class is configured with."""
        return {
            "max_connections": self.max_connections,
            "shared_buffers": f"{self.shared_buffers_mb}MB",
        }


def find(name: str) -> InstanceClass:
    """The class of that name: `pg.n2.2c.2m`, `pg.n2.small.1` and the like.

    CloudError: InvalidDBInstanceClass.NotFound.
    """
    if sized := _SIZED.fullmatch(name):
        return InstanceClass(name, int(sized[1]) or 1, 1024 * (int(sized[2]) or 1))
    if named := _NAMED.fullmatch(name):
        cpus, memory = _SPECIAL[named[1]]
        return InstanceClass(name, cpus, 1024 * memory)
    raise CloudError(
        "InvalidDBInstanceClass.NotFound",
        f"there is no class {name!r}",
        remedy="For instance pg.n2.2c.2m: 2 processors, 2 GB of memory.",
    )
