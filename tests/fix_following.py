"""A migration that has got as far as its copy, made without our own copier."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from landbridge.migration.switchover import SwitchoverResult

from fix_servers import QUICK, Servers, Source
from landbridge.migration.follow import Follower, Sample
from landbridge.migration.journal import now
from landbridge.migration.standby import start_standby
from landbridge.migration.states import State
from landbridge.migration.task import Request, Task, Tasks
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.distribution import discover
from landbridge.postgres.positions import in_recovery
from landbridge.postgres.process import wait_until

#: The destination's own settings in these tests: cheap, and nothing an assertion depends on.
CHEAP = {name: str(QUICK[name]) for name in ("fsync", "max_wal_size", "autovacuum")}


def copied(servers: Servers, source: Source, root: Path, **options: Any) -> Task:
    """A task whose destination holds a complete base copy, its slot reserved.

    `options` are fields of the request, and `conninfo` for another way to the source.
    """
    conninfo: Conninfo = options.pop("conninfo", source.conninfo())
    data, port = servers.destination(options.pop("name", "destination"))
    ((identifier,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    request = Request(
        source=conninfo.public(), data=str(data), port=port,
        major=source.distribution.major, superuser=source.superuser,
        system_identifier=identifier,
        **{"settings": CHEAP, "allow": ("127.0.0.1/32",), "listen": "127.0.0.1", **options},
    )  # fmt: skip
    task = Tasks(root).create(request, {"source": conninfo})
    source.sql(f"SELECT pg_create_physical_replication_slot('{task.slot}', true)")
    base_backup(source, data, task.slot)
    return task


def base_backup(source: Source, data: Path, slot: str) -> None:
    """PostgreSQL's own copy; the newest pg_basebackup copies from every major."""
    tools = [d for d in discover() if "pg_basebackup" in d.tools]
    if not tools:
        pytest.skip("no pg_basebackup on this machine")
    tool = max(tools, key=lambda d: d.major)
    subprocess.run(
        [tool.program("pg_basebackup"), "-D", data, "-h", source.socket_dir, "-p", str(source.port),
         "-U", source.superuser, "-X", "stream", "-S", slot, "-c", "fast", "--no-sync"],
        check=True, capture_output=True, env={**tool.environment, "HOME": os.environ["HOME"]},
    )  # fmt: skip
    data.chmod(0o700)
    source.account.own_tree(data)


def sample_until(
    follower: Follower, condition: Callable[[Sample], object], seconds: float = 20
) -> Sample:
    """The first sample that meets `condition`; fails the test after `seconds`."""
    found: list[Sample] = []

    def met() -> bool:
        found.append(follower.sample())
        return bool(condition(found[-1]))

    assert wait_until(met, seconds, every=0.1), f"never seen; last: {found[-1]}"
    return found[-1]


def notes(task: Task) -> list[str]:
    """Ids of the task's notes, in order."""
    return [e["id"] for e in task.journal.entries() if e["kind"] == "note"]


def started(servers: Servers, source: Source, root: Path, **options: Any) -> Task:
    """As `copied`, with the standby running and caught up."""
    task = copied(servers, source, root, **options)
    start_standby(task)
    follower = Follower(task)
    sample_until(follower, lambda s: s.caught_up)
    follower.close()
    return task


def promoted(task: Task) -> SwitchoverResult:
    """Promote the destination, without a fence, and tell of it as a switchover does."""
    from landbridge.migration.switchover import SwitchoverResult

    cluster = task.cluster()
    cluster.signal_promotion()
    with cluster.connect() as conn:
        assert wait_until(lambda: not in_recovery(conn), 20)
    for state in (State.SYNCHRONIZING, State.FENCING, State.DRAINED, State.PROMOTED):
        task.journal.enter(state)
    at = now()
    return SwitchoverResult(
        fence="sync", fence_lsn="0/0", fence_next_xid=0, promote_next_xid=0,
        system_identifier=task.request.system_identifier, timeline_before=1, timeline_after=2,
        started=at, fenced=at, drained=at, promoted=at, released=at, write_outage_ms=1.0,
        sessions_terminated=0, undo_possible_until=at,
    )  # fmt: skip


class Following:
    """A follower that runs on a thread of the test's."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.samples: list[Sample] = []
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def ever(self, condition: Callable[[Sample], object]) -> Sample:
        """The first sample of all that meets `condition`: what passes may have passed already."""
        return self.until(condition, begin=0)

    def until(
        self,
        condition: Callable[[Sample], object],
        seconds: float = 30,
        *,
        begin: int | None = None,
    ) -> Sample:
        """The first sample from now on (or from that one on) that meets `condition`."""
        begin, found = len(self.samples) if begin is None else begin, list[Sample]()

        def met() -> bool:
            found[:] = [s for s in self.samples[begin:] if condition(s)]
            return bool(found) or not self._thread.is_alive()

        wait_until(met, seconds, every=0.05)
        if not found:
            story = [e for e in self.task.journal.entries() if e["kind"] == "note"]
            raise AssertionError(
                f"never seen; {self.failure!r}; last: {self.samples[-1:]}; notes: {story}"
            )
        return found[0]

    def failed(self, seconds: float = 30) -> BaseException:
        """The error that ended the follower."""
        self._thread.join(seconds)
        assert self.failure is not None, f"it follows still: {self.samples[-1:]}"
        return self.failure

    def __enter__(self) -> Following:
        if self.task.state is State.ASSESSING:
            self.task.journal.enter(State.SYNCHRONIZING)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            Follower(self.task).run(self._stop, self.samples.append)
        except BaseException as error:
            self.failure = error
