"""A migration task that is synchronizing: a standby made by pg_basebackup, independent of ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fix_servers import MIGRATOR, QUICK, Servers, Source
from landbridge.migration.states import State
from landbridge.migration.task import Request, Task, Tasks
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until


def synchronizing_task(
    servers: Servers,
    state_dir: Path,
    source: Source,
    *,
    wire: int | None = None,
    stream_wire: int | None = None,
    fence_as: bool = True,
    settings: dict[str, str | int] | None = None,
    destination: str = "destination",
    **request: Any,
) -> Task:
    """A task in SYNCHRONIZING whose destination streams from `source`.

    `wire` is the port that everything of ours goes through, `stream_wire` the stream alone.
    `settings` are the standby's; `request` overrides fields of the task's request (fence,
    time_limit, ...).
    """
    port = wire or source.port
    data, own_port = servers.destination(destination)
    ((system,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    accounts = {"source": source.conninfo().with_(port=port)}
    if fence_as:
        accounts["fence_as"] = source.admin().with_(port=port)
    fields: dict[str, Any] = {
        "source": accounts["source"].public(),
        "data": str(data),
        "port": own_port,
        "major": source.distribution.major,
        "superuser": source.superuser,
        "system_identifier": system,
        "fence_as": accounts["fence_as"].public() if fence_as else None,
    }
    task = Tasks(state_dir).create(Request(**fields | request), accounts)
    standby = servers.adopt(task.cluster())
    _copy(source, standby, task.slot)
    _follow(source, standby, task.slot, stream_wire or port, settings or {})
    for state in (State.COPYING, State.STARTING, State.SYNCHRONIZING):
        task.journal.enter(state)
    return task


def wait_streaming(source: Source, task: Task, seconds: float = 20) -> None:
    """Return when the destination streams and is caught up."""
    query = (
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        f" AND application_name = '{task.slot}' AND replay_lsn >= pg_current_wal_flush_lsn()"
    )
    with source.connect() as conn:
        assert wait_until(lambda: conn.execute(query).fetchone() == (1,), seconds)


def _copy(source: Source, standby: Cluster, slot: str) -> None:
    tool = next(d for d in discover() if d.major == 18 and "pg_basebackup" in d.tools)
    standby.account.make_dir(standby.data)
    answer = subprocess.run(
        [
            tool.program("pg_basebackup"), "-D", standby.data, "-h", source.socket_dir,
            "-p", str(source.port), "-U", source.superuser, "-X", "stream", "-c", "fast",
            "-C", "-S", slot, "--no-sync",
        ],
        capture_output=True, text=True, env=tool.environment,
        **standby.account.popen_arguments(), check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr


def _follow(
    source: Source, standby: Cluster, slot: str, port: int, more: dict[str, str | int]
) -> None:
    passfile = standby.account.make_dir(standby.side) / "source.pgpass"
    source.conninfo().write_passfile(passfile)
    standby.account.own(passfile)
    settings: dict[str, str | int] = {
        "primary_conninfo": f"host=127.0.0.1 port={port} user={MIGRATOR} passfile={passfile}"
        f" application_name={slot} connect_timeout=2",
        "primary_slot_name": slot,
        "recovery_target_timeline": "latest",
    }
    base: dict[str, str | int] = {
        **QUICK,
        "hot_standby": "on",
        "wal_retrieve_retry_interval": 200,
    } | more
    if standby.distribution.major >= 12:
        standby.configure(base | settings, ["host all all 127.0.0.1/32 md5"])
        standby.account.write(standby.data / "standby.signal", "")
    else:
        standby.configure(base, ["host all all 127.0.0.1/32 md5"])
        lines = {"standby_mode": "on"} | settings
        text = "\n".join(f"{name} = '{value}'" for name, value in lines.items())
        standby.account.write(standby.data / "recovery.conf", text + "\n")
    standby.start()


def replaying(task: Task) -> int:
    """Process id of the destination's process that replays; its receiver is another."""
    process = task.cluster().process()
    assert process is not None
    (startup,) = [p for p in _children(process.pid) if b"startup" in _command(p)]
    return startup


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process from running for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
