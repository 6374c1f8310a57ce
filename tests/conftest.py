"""Fixtures for every test: real servers, a wire that can be cut, a state directory.

Every server a test makes has a port and a data directory of its own, listens on
loopback alone, and is ended when the test ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = [
    "fix_servers",
    "fix_wire",
    "fix_cli",
    "fix_network",
    "fix_lab",
    "fix_cloud",
    "fix_instances",
    "fix_api",
    "fix_console",
]

#: What a shell says of its terminal; its servers and its services are not ours either.
_TERMINAL = ("LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE")
_OURS = ("LANDBRIDGE_ENGINES", "LANDBRIDGE_PICTURES")
_ENGINES = Path(__file__).parent.parent / "tools/engines.py"


def pytest_configure(config: pytest.Config) -> None:
    """Point discovery at the fetched server programs, so that all majors are found."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background: the commands that tests interrupt would inherit deafness.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name in _TERMINAL or (name.startswith(("PG", "LANDBRIDGE_")) and name not in _OURS):
            del os.environ[name]
    os.environ["COLUMNS"] = "80"  # also from a narrow terminal
    if "LANDBRIDGE_ENGINES" not in os.environ:
        answer = subprocess.run(
            [sys.executable, _ENGINES, "none"], capture_output=True, text=True, check=True
        )
        os.environ["LANDBRIDGE_ENGINES"] = answer.stdout.strip()


def pytest_report_header() -> list[str]:
    from landbridge.postgres.distribution import discover

    found = {d.major: d for d in reversed(discover())}
    servers = ", ".join(f"{d.version} ({d.origin})" for _, d in sorted(found.items()))
    return [f"PostgreSQL: {servers}", f"control groups: {_control_groups()}"]


def _control_groups() -> str:
    """Whether what bounds a server's memory and processors can be tested here."""
    from landbridge.postgres.osaccount import OsAccount
    from landbridge.servers.cgroup import Group

    group = Group.of("pgm-x", OsAccount.for_servers())
    here = group and (group.path.parent / "cgroup.controllers")
    there = here.read_text().split() if here and here.exists() else []
    missing = [name for name in ("memory", "cpu") if name not in there]
    return f"without {', '.join(missing)}: that bound is not tested" if missing else "memory, cpu"
