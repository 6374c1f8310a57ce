"""Brings every instance's server to what the rows want, and tells the rows what stands.

The rows alone are the truth, and each job may be repeated from any point: a service that was
killed goes on where it was, and adopts the servers, which live on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import and_, select

from ...beside import beside
from ...errors import LandbridgeError
from ...network.fabric import Fabric
from ...postgres.cluster import Cluster
from ..control import Cloud
from . import dbaccounts, parameters, roles, standby, wanted
from .guard import Guard, Post
from .homes import Homes, connect
from .server import House, NotYet
from .states import KEPT, LockMode, Role, Status
from .storage import Scales
from .tables import DBInstance, Parameter
from .trouble import words

#: Seconds between two looks at the rows, and at every server's process and size.
POLL, LOOK = 0.2, 5.0
#: Seconds between two looks at a server's roles.
ROLES = 30.0
#: Seconds before what failed is tried again: at first, and at most.
_RETRY, _RETRY_MOST = 0.3, 30.0
#: Servers that are worked on at the same time, and how many of one account may be or wait for it:
#: one that a tenant keeps from answering takes long.
_AT_ONCE, _OF_ONE = 8, 4
#: The lock of a full storage goes when this part of it is in use.
_UNLOCKED_BELOW = 0.95

_RESTARTED = (Status.REBOOTING, Status.RESIZING)
_BUSY = (Status.CREATING, *_RESTARTED, Status.DELETING)
#: What every turn needs of all instances, primaries first; one statement, as it is asked all
#: the time.
_SURVEY = (
    select(
        DBInstance.id, DBInstance.number, DBInstance.owner_uid, DBInstance.status,
        DBInstance.version,
        DBInstance.applied, DBInstance.role, DBInstance.lock_mode,
        Parameter.value.label("force_read_only"),
    )
    .outerjoin(
        Parameter,
        and_(
            Parameter.instance_id == DBInstance.id, Parameter.name == parameters.FORCE_READ_ONLY
        ),
    )
    .order_by(DBInstance.number)
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass
class _Attempt:
    """What is remembered of a job that failed."""

    wait: float = _RETRY
    due: float = field(default_factory=lambda: time.monotonic() + _RETRY)

    def again(self) -> _Attempt:
        wait = min(2 * self.wait, _RETRY_MOST)
        return _Attempt(wait, time.monotonic() + wait)


class Reconciler:
    """Looks after all instances of one control plane; there may be one at a time."""

    def __init__(self, cloud: Cloud, connect: Callable[[], Fabric]) -> None:
        self.homes = Homes.of(cloud)
        self._house = House(self.homes, connect)
        self._cloud = cloud
        self._guard = Guard()
        self._working: dict[str, Future[None]] = {}
        self._failed: dict[str, _Attempt] = {}
        self._looked = 0.0
        self._scales = Scales()
        self._asked: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; jobs that run then are finished first."""
        self._convert()
        with (
            closing(self._scales),
            closing(self._guard),
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="instance") as pool,
        ):
            while not stop.is_set():
                try:
                    self._turn(pool)
                except LandbridgeError as problem:  # the store is busy
                    _log.warning("instances wait: %s", problem)
                except Exception:
                    _log.exception("instances were not looked after")
                stop.wait(POLL)

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        self._working = {id: job for id, job in self._working.items() if not job.done()}
        if time.monotonic() >= self._looked + LOOK:
            self._looked = time.monotonic()
            self._look()
        now = time.monotonic()
        with self._cloud.database.read() as session:
            rows = session.execute(_SURVEY).all()
        self._guard.watch(self._posts(rows))
        owners = {row.id: row.owner_uid for row in rows}
        mine = Counter(owners.get(id) for id in self._working)
        due = (row.id for row in rows if _is_due(row.status, row.version, row.applied))
        jobs = [(id, self._job) for id in due if self._may_try(id, now)]
        jobs += [(id, self._ask) for id in self._to_ask(rows, now)]
        for id, job in jobs:
            if id in self._working or mine[owners[id]] >= _OF_ONE:
                continue
            mine[owners[id]] += 1
            if job == self._ask:
                self._asked[id] = now
            self._working[id] = pool.submit(job, id)

    def _may_try(self, id: str, now: float) -> bool:
        failed = self._failed.get(id)
        return failed is None or now >= failed.due

    def _job(self, id: str) -> None:
        """Do what is due for one instance, and write down what came of it."""
        try:
            self._work(id)
            self._failed.pop(id, None)
        except (LandbridgeError, psycopg.Error, OSError) as problem:
            waits = isinstance(problem, NotYet)
            _log.log(logging.DEBUG if waits else logging.WARNING, "%s: %s", id, problem)
            self._fail(id, words(problem))
        except Exception as problem:
            _log.exception("%s was not brought to what is wanted", id)
            self._fail(id, words(problem))

    def _fail(self, id: str, trouble: str) -> None:
        self._failed[id] = self._failed[id].again() if id in self._failed else _Attempt()
        with suppress(LandbridgeError), self._cloud.database.write() as session:
            if (instance := session.get(DBInstance, id)) is not None:
                instance.trouble = trouble
                if instance.status is Status.RUNNING and not self._is_up(instance):
                    instance.status = Status.STOPPED

    def _work(self, id: str) -> None:
        with self._cloud.database.read() as session:
            instance = session.get(DBInstance, id)
            if instance is None or not _is_due(instance.status, instance.version, instance.applied):
                return
            goal = wanted.read(session, self._cloud.vault, instance)
            everybody = [other.as_thing() for other in session.scalars(select(DBInstance))]
            primary = instance.primary
            at = self.homes.found(primary.id, primary.number) if primary else None
            is_let_in = primary is not None and primary.applied == primary.version
        if goal.status is Status.DELETING:
            self._house.remove(id, goal.number, at, goal.slot)
            self._removed(id)
            return
        if at is not None and is_let_in and at.process() is not None:
            standby.admit(at, goal)
        restart = goal.status in _RESTARTED
        done = self._house.bring(goal, restart=restart, everybody=everybody)
        self._settle(goal, done)

    def _settle(self, goal: wanted.Wanted, done: list[tuple[roles.Order, str]]) -> None:
        troubles = [said for _, said in done if said]
        with self._cloud.database.write() as session:
            instance = session.get(DBInstance, goal.id)
            if instance is None:
                return
            vault = self._cloud.vault
            for order, said in done:
                dbaccounts.settle(session, vault, goal.id, order.name, order.number, said)
            instance.applied = goal.version
            instance.trouble = "; ".join(troubles)
            if goal.closes_strangers and instance.version == goal.version:
                instance.closes_strangers = False
            if instance.status is goal.status and goal.status is not Status.MAINTAINING:
                instance.status = Status.RUNNING

    def _removed(self, id: str) -> None:
        with self._cloud.database.write() as session:
            if (instance := session.get(DBInstance, id)) is None:
                return
            secrets = [a.verifier_id for a in instance.accounts] + [instance.replicator_id]
            primary = instance.primary
            session.delete(instance)
            session.flush()
            self._scales.forget(id)
            for secret in filter(None, secrets):
                self._cloud.vault.forget(session, secret)
            if primary is not None:
                primary.change()

    def _look(self) -> None:
        """Find servers that ended, and storages that are full."""
        with self._cloud.database.read() as session:
            kept = session.scalars(select(DBInstance).where(DBInstance.status.in_(KEPT))).all()
        for instance in kept:
            if instance.id in self._working:
                continue
            used = self._scales.used(instance.id, self.homes.home(instance.id))
            if used is None:
                used = instance.used_bytes
            up = self._is_up(instance)
            lock = _lock(instance, used)
            if up == (instance.status is not Status.STOPPED) and (
                (lock, used) == (instance.lock_mode, instance.used_bytes)
            ):
                continue
            with self._cloud.database.write() as session:
                row = session.get(DBInstance, instance.id)
                if row is None or row.status not in KEPT:
                    continue
                row.used_bytes = used
                if row.lock_mode is not lock:
                    row.lock_mode = lock
                    row.change()
                if not up and row.status is Status.RUNNING:
                    row.status = Status.STOPPED

    def _to_ask(self, rows: Sequence[Any], now: float) -> list[str]:
        """The servers whose roles are to be looked at, or that were not met yet; of _SURVEY."""
        ids = [
            row.id for row in rows
            if row.status is Status.RUNNING
            and (row.role is Role.PRIMARY or not self.homes.version(row.id))
        ]  # fmt: skip
        self._asked = {id: at for id, at in self._asked.items() if id in ids}
        return [id for id in ids if now >= self._asked.get(id, -ROLES) + ROLES]

    def _ask(self, id: str) -> None:
        """Put the service's own roles right, which an account with CREATEROLE may have changed."""
        with self._cloud.database.read() as session:
            instance = session.get(DBInstance, id)
        if instance is None or instance.status is not Status.RUNNING or not self._is_up(instance):
            return
        cluster = self.homes.found(id, instance.number)
        try:
            if instance.role is Role.READ_ONLY:
                connect(cluster).close()
                return
            mended = self._mend(cluster)
        except (LandbridgeError, psycopg.Error) as problem:
            _log.warning("%s: its roles were not looked at: %s", id, problem)
            return
        if not mended:
            return
        _log.warning("%s: roles of the service were put right: %s", id, ", ".join(mended))
        with self._cloud.database.write() as session:
            for replica in session.get_one(DBInstance, id).replicas:
                replica.change()  # they follow as one of them, with its password

    def _mend(self, cluster: Cluster) -> list[str]:
        try:
            with connect(cluster) as conn:
                return roles.ensure_service(conn)
        except LandbridgeError:
            cluster.superuser = roles.SECOND
            with connect(cluster) as conn:
                return roles.restore_first(conn)

    def _convert(self) -> None:
        """Have servers of earlier versions, whose folders were all their own, start anew."""
        with self._cloud.database.write() as session:
            kept = session.scalars(select(DBInstance).where(DBInstance.status.in_(KEPT)))
            for instance in kept:
                cluster = self.homes.found(instance.id, instance.number)
                if cluster.data.exists() and not cluster.is_guarded:
                    instance.change()

    def _is_up(self, instance: DBInstance) -> bool:
        return self.homes.found(instance.id, instance.number).process() is not None

    def _posts(self, rows: Sequence[Any]) -> dict[str, Post]:
        """The servers that take no writes; `rows` of _SURVEY."""
        posts = {}
        for row in rows:
            is_forced = row.force_read_only == "on"
            if (is_forced or row.lock_mode is LockMode.DISK_QUOTA) and (
                row.status in KEPT and row.role is Role.PRIMARY
            ):
                cluster = self.homes.found(row.id, row.number)
                posts[row.id] = Post(cluster, may_free=not is_forced)
        return posts


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[Reconciler]:
    """A reconciler at work in threads of its own."""
    reconciler = Reconciler(cloud, connect)
    with beside("instances", reconciler.run):
        yield reconciler


def _is_due(status: Status, version: int, applied: int) -> bool:
    """Whether there is work on an instance."""
    return status in _BUSY or status is Status.STOPPED or (status in KEPT and applied != version)


def _lock(instance: DBInstance, used: int) -> LockMode:
    quota = instance.storage_gb << 30
    if instance.role is Role.READ_ONLY:
        return LockMode.UNLOCK
    if used >= quota:
        return LockMode.DISK_QUOTA
    is_locked = instance.lock_mode is LockMode.DISK_QUOTA
    return LockMode.DISK_QUOTA if is_locked and used >= _UNLOCKED_BELOW * quota else LockMode.UNLOCK
