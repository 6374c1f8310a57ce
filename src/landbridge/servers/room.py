"""A server at its place: started there, let in whom it shall, rid of whom it shall not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from pathlib import Path
from typing import Any

import psycopg

from ..errors import ServerFailed
from ..network.fabric import Endpoint, Fabric
from ..network.things import admits
from ..postgres.cluster import Cluster
from ..postgres.process import ProcessId
from .ending import end_all
from .shut_in import Limits, command
from .starter import Start

__all__ = ["Session", "end_all", "hba_lines", "is_there", "start", "strangers"]


@dataclass(frozen=True)
class Session:
    """A session of a client that the whitelist does not admit any more."""

    pid: int
    user: str
    client: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def start(
    fabric: Fabric,
    id: str,
    cluster: Cluster,
    *,
    shut_in: bool = False,
    limits: Limits | None = None,
) -> None:
    """Start the server of instance `id` at its place; ServerFailed with its own words.

    `shut_in`: in a sandbox, with nothing to write to but its data and its socket's folder,
    within `limits` where the machine keeps them.
    """
    through = command(cluster, limits) if shut_in else ()
    spec = json.dumps(asdict(Start.of(cluster, through)))
    program = [sys.executable, "-P", "-m", "landbridge.servers.starter", spec]
    done = subprocess.run(
        fabric.command(id, program, apart=shut_in),
        capture_output=True, text=True, start_new_session=True, check=False,
    )  # fmt: skip
    if done.returncode:
        try:
            error = json.loads(done.stdout)
            words, error_id = error["message"], error["id"]
        except (ValueError, KeyError):
            words, error_id = " ".join(done.stderr.split()) or "no reason given", None
        raise ServerFailed(f"{id}: {words}", id=error_id)


def is_there(fabric: Fabric, id: str, process: ProcessId) -> bool:
    """Whether a process runs at the place of instance `id`, and not at one that was made anew.

    Where the system has no network namespaces there is one place only.
    """
    say = "import os; print(os.stat('/proc/self/ns/net').st_ino)"
    try:
        own = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
    except OSError:
        return True
    done = subprocess.run(
        fabric.command(id, [sys.executable, "-S", "-P", "-c", say]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() == str(own)


def hba_lines(whitelist: Iterable[IPv4Network], endpoint: Endpoint) -> list[str]:
    """pg_hba lines for a whitelist, as few as can be; or for where a fabric's clients come from."""
    blocks: Iterable[object] = collapse_addresses(whitelist)
    if endpoint.decides_whitelist:
        blocks = endpoint.clients
    return [
        f"host {database} all {block} scram-sha-256"
        for block in blocks
        for database in ("all", "replication")
    ]


def strangers(
    conn: psycopg.Connection[Any],
    whitelist: Iterable[IPv4Network],
    private: Callable[[str], IPv4Address],
) -> Iterator[Session]:
    """Sessions of clients that a whitelist does not admit: pg_hba is asked only at their begin.

    `private` gives the private address of a client that the server knows by another one.
    """
    admitted = tuple(whitelist)
    for pid, user, client in conn.execute(
        "SELECT pid, usename, host(client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    ):
        where = private(client)
        if not admits(admitted, where):
            yield Session(pid, user or "", str(where))
