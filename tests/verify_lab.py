"""A source and a destination that follows it, made without the copier: by a cold copy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fix_servers import QUICK, Servers, Source, free_port
from landbridge.migration.states import State
from landbridge.migration.task import Request, Task, Tasks, write_json
from landbridge.postgres import positions
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.process import wait_until

SLOT = "lab"


@dataclass
class Lab:
    """A source, its standby, and the task they belong to."""

    source: Source
    destination: Cluster
    task: Task

    def standby_settings(self) -> dict[str, str | int]:
        return {
            **QUICK,
            "primary_conninfo": f"host={self.source.socket_dir} port={self.source.port}"
            f" user={self.source.superuser} application_name={SLOT}",
            "primary_slot_name": SLOT,
            "recovery_target_timeline": "latest",
            "wal_retrieve_retry_interval": "200ms",
        }

    def configure(self, extra: dict[str, str | int]) -> None:
        """Write the standby's configuration, with recovery.conf where the major has one."""
        settings = {**self.standby_settings(), **extra}
        old = self.destination.distribution.major < 12
        recovery = ("primary_", "recovery_")
        server = {k: v for k, v in settings.items() if not (old and k.startswith(recovery))}
        self.destination.configure(server | {"hot_standby": "on"})
        write = self.destination.account.write
        if old:
            lines = [f"{k} = '{v}'" for k, v in settings.items() if k.startswith(recovery)]
            text = "\n".join(("standby_mode = on", *lines))
            write(self.destination.data / "recovery.conf", text + "\n")
        else:
            write(self.destination.data / "standby.signal", "")

    def reconfigure(self, task: Task, extra: dict[str, str | int]) -> None:
        self.destination.stop()
        self.configure(extra)
        self.destination.start()

    def caught_up(self) -> None:
        """Wait until the standby has replayed what the source has now."""
        with self.source.connect() as conn, self.destination.connect() as standby:
            goal = positions.flush_lsn(conn)
            assert wait_until(lambda: (positions.replay_lsn(standby) or 0) >= goal, 20)

    def promote(self) -> None:
        """Drain, record the fence as a switchover does, promote."""
        self.caught_up()
        with self.source.connect() as conn:
            lsn, xid = positions.flush_lsn(conn), positions.next_xid(conn)
        folder = self.task.folder / "switchover"
        folder.mkdir()
        write_json(folder / "result.json", {"fence_lsn": str(lsn), "promote_next_xid": xid})
        self.destination.signal_promotion()
        with self.destination.connect() as conn:
            assert wait_until(lambda: not positions.in_recovery(conn), 20)

    def there(self, statement: str, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on the destination."""
        with self.destination.connect(dbname) as conn:
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []


def make(servers: Servers, source: Source, state: Path, **request: Any) -> Lab:
    """Copy a running source while it is down, start both, the copy as its standby."""
    (identifier,) = source.sql("SELECT system_identifier::text FROM pg_control_system()")[0]
    source.sql(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
    source.stop()
    data, port = servers.root / f"destination{len(servers.made)}", free_port()
    shutil.copytree(source.data, data, symlinks=True)
    destination = Cluster(data, source.distribution, port)
    servers.adopt(destination)
    destination.account.own_tree(data)
    destination.account.make_dir(data)
    source.start()
    admin = source.admin()
    task = Tasks(state).create(
        Request(
            source=source.conninfo().public(), data=str(data), port=port,
            major=source.distribution.major, superuser=source.superuser,
            system_identifier=identifier,
            **{"fence_as": admin.public(), "verify_as": admin.public(), **request},
        ),
        {"source": source.conninfo(), "fence_as": admin, "verify_as": admin},
    )  # fmt: skip
    for state_ in (State.COPYING, State.STARTING, State.SYNCHRONIZING):
        task.journal.enter(state_)
    lab = Lab(source, destination, task)
    lab.configure({})
    destination.start()
    lab.caught_up()
    return lab
