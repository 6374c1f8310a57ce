"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


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
