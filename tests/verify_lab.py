"""A source and a destination that follows it, made without the copier: by a cold copy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fix_servers import QUICK, Servers, Source, free_port
from landbridge.migration.journal import now
from landbridge.migration.standby import start_standby
from landbridge.migration.states import State
from landbridge.migration.switchover import SwitchoverResult
from landbridge.migration.task import Request, Task, Tasks, read_json, write_json
from landbridge.postgres import positions
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.process import wait_until


@dataclass
class Lab:
    """A source, its standby, and the task they belong to."""

    source: Source
    destination: Cluster
    task: Task

    def caught_up(self) -> None:
        """Wait until the standby has replayed what the source has now."""
        with self.source.connect() as conn, self.destination.connect() as standby:
            # Flushes everything: else the position may be the middle of a record.
            conn.execute("CHECKPOINT")
            goal = positions.flush_lsn(conn)
            assert wait_until(lambda: (positions.replay_lsn(standby) or 0) >= goal, 20)

    def promote(self) -> None:
        """Drain, record the fence as a switchover does, promote."""
        self.caught_up()
        with self.source.connect() as conn:
            lsn, xid = positions.flush_lsn(conn), positions.next_xid(conn)
        at = now()
        result = SwitchoverResult(
            "sync", str(lsn), xid, xid, self.task.request.system_identifier, 1, 2, at, at, at, at,
            at, 0.0, 0, at,
        )  # fmt: skip
        folder = self.task.folder / "switchover"
        folder.mkdir()
        write_json(folder / "result.json", result.as_dict())
        self._promote()

    def plant(self, *statements: str) -> None:
        """Change the promoted destination as if it had come out of the copy that way.

        The changes are made on another timeline before the one that is looked at: the
        destination becomes a standby of nobody and is promoted again.
        """
        for statement in statements:
            self.there(statement)
        self.destination.stop()
        data, account = self.destination.data, self.destination.account
        if self.destination.distribution.major < 12:
            account.write(data / "recovery.conf", "standby_mode = on\n")
        else:
            account.write(data / "standby.signal", "")
        self.destination.start()
        self._promote()
        path = self.task.folder / "switchover/result.json"
        with self.destination.connect() as conn:
            write_json(path, read_json(path) | {"promote_next_xid": positions.next_xid(conn)})

    def _promote(self) -> None:
        self.destination.signal_promotion()
        with self.destination.connect() as conn:
            assert wait_until(lambda: not positions.in_recovery(conn), 20)

    def damage(self, table: str, block: int, old: bytes, new: bytes) -> None:
        """Change bytes in a data file of the destination while its server is down."""
        ((name,),) = self.there(f"SELECT pg_relation_filepath('{table}')")
        self.there("CHECKPOINT")
        self.destination.stop()
        path = self.destination.data / name
        content = path.read_bytes()
        page = content[block * 8192 : (block + 1) * 8192]
        assert old in page
        path.write_bytes(
            content[: block * 8192] + page.replace(old, new, 1) + content[(block + 1) * 8192 :]
        )
        self.destination.start()

    def there(self, statement: str, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on the destination."""
        with self.destination.connect(dbname) as conn:
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []


def make(servers: Servers, source: Source, state: Path, **request: Any) -> Lab:
    """Copy a source while it is down, start both, the copy as its standby."""
    ((identifier,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    data = servers.root / f"destination{len(servers.made)}"
    admin = source.admin()
    fields: dict[str, Any] = {
        "source": source.conninfo().public(), "data": str(data), "port": free_port(),
        "major": source.distribution.major, "superuser": source.superuser,
        "system_identifier": identifier, "fence_as": admin.public(),
        "verify_as": admin.public(),
        "settings": {k: str(v) for k, v in QUICK.items() if k != "listen_addresses"},
    }  # fmt: skip
    credentials = {"source": source.conninfo(), "fence_as": admin, "verify_as": admin}
    task = Tasks(state).create(Request(**fields | request), credentials)
    source.sql(f"SELECT pg_create_physical_replication_slot('{task.slot}', true)")
    source.stop()
    destination = servers.adopt(task.cluster())
    shutil.copytree(source.data, data, symlinks=True)
    destination.account.own_tree(data)
    destination.account.make_dir(data)
    source.start()
    for entered in (State.COPYING, State.STARTING):
        task.journal.enter(entered)
    start_standby(task)
    task.journal.enter(State.SYNCHRONIZING)
    lab = Lab(source, destination, task)
    lab.caught_up()
    return lab
