"""What the tests of the full copy share: tasks, a peer's copy, the copy as a standby."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fix_servers import QUICK, Servers, Source
from landbridge.migration.copying import CopyJob, CopyProgress, CopyResult
from landbridge.migration.task import Request, Task, Tasks
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until


def copy_task(
    servers: Servers, state_dir: Path, source: Source, /, *, wire: int | None = None, **request: Any
) -> Task:
    """A task whose destination does not exist yet; its source is reached over port `wire`."""
    data, port = servers.destination()
    account = source.conninfo().with_(port=wire or source.port)
    ((system,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    fields: dict[str, Any] = {
        "source": account.public(),
        "data": str(data),
        "port": port,
        "major": source.distribution.major,
        "superuser": source.superuser,
        "system_identifier": system,
        "sync": False,
    }
    return Tasks(state_dir).create(Request(**fields | request), {"source": account})


def run(job: CopyJob, seen: Callable[[CopyProgress], None] = lambda _: None) -> CopyResult:
    """Start (or adopt) the copy and wait for its end."""
    job.start_or_adopt()
    return job.wait(seen, lambda: False)


def wait_copied(job: CopyJob, size: int = 1) -> None:
    """Return when the copy under way has received that many bytes."""

    def reached() -> bool:
        progress = job.progress()
        return progress is not None and progress.copied >= size

    assert wait_until(reached, 30)


def slots(source: Source) -> list[str]:
    return [name for (name,) in source.sql("SELECT slot_name FROM pg_replication_slots")]


def peer_copy(source: Source, target: Path, mapping: dict[str, str] | None = None) -> None:
    """The same by pg_basebackup (18 copies from every major)."""
    tool = next(d for d in discover() if d.major == 18 and "pg_basebackup" in d.tools)
    for folder in (target, *map(Path, (mapping or {}).values())):
        source.account.make_dir(folder)
    maps = [f"--tablespace-mapping={old}={new}" for old, new in (mapping or {}).items()]
    subprocess.run(
        [
            tool.program("pg_basebackup"), "-D", target, "-h", source.socket_dir, "-p",
            str(source.port), "-U", source.superuser, "-c", "fast", "--no-sync", *maps,
        ],
        check=True, capture_output=True, env=tool.environment,
        **source.account.popen_arguments(),
    )  # fmt: skip


def tree(root: Path) -> dict[str, str]:
    """Every file and folder below `root` (tablespaces included) -> digest of its content."""
    found = {}
    roots = [(root, ""), *((link, f"pg_tblspc/{link.name}/") for link in root.glob("pg_tblspc/*"))]
    for base, prefix in roots:
        for path in base.rglob("*"):
            name = prefix + str(path.relative_to(base))
            found[name] = (
                "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            )
    return found


def start_as_standby(servers: Servers, task: Task, **settings: str) -> Cluster:
    """Start the finished copy as a standby that knows no primary; it must become consistent."""
    cluster = servers.adopt(task.cluster())
    if task.request.major >= 12:
        cluster.account.write(cluster.data / "standby.signal", "")
    else:
        cluster.account.write(cluster.data / "recovery.conf", "standby_mode = on\n")
    cluster.configure({**QUICK, "hot_standby": "on", **settings})
    cluster.start()
    return cluster
