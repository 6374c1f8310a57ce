"""Does what was ordered: assesses, begins migrations, passes orders on, hands instances back.

The work of a migration is done by a process of its own that outlives the service. What is
looked at here is its record; each job may be repeated from any point.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...assessment.fixes import Outcome
from ...assessment.model import Report
from ...beside import beside
from ...errors import LandbridgeError
from ...migration import worker
from ...migration.orders import RESUME
from ...migration.procedure import HELD
from ...migration.standby import brought
from ...migration.states import State, is_end
from ...migration.task import Task, Tasks
from ...network.fabric import Fabric
from ..control import Cloud
from ..instances import look
from ..instances.homes import Homes
from ..instances.tables import DBInstance
from . import assessments, handover, outcomes, renewal, rules, settle
from .errand import Errand, NotReached, TooLate
from .place import Verb
from .series import Series
from .tables import Assessment, Migration, Order
from .told import Teller

#: Seconds between two looks at the rows.
POLL = 0.3
#: Seconds before what failed is tried again.
_RETRY = 3.0
#: Seconds before a migration that waits for somebody is tried again: at first, and at most.
_AGAIN, _AGAIN_MOST = 15.0, 600.0
#: Assessments, their fixes and beginnings of migrations at the same time, and how many of one
#: account may run or wait for it: the source may keep them waiting.
_ASKING, _OF_ONE = 8, 2
#: Seconds after which these are broken off.
_LONGEST, _BEGINNING = 600.0, 120.0
#: Migrations that are carried on at the same time, for which nobody is waited.
_AT_ONCE = 4

_log = logging.getLogger(__name__)


def tasks_of(cloud: Cloud) -> Tasks:
    """The migrations' own records of a control plane."""
    return Tasks(cloud.folder)


class Mover:
    """Carries out assessments and migrations of one control plane; there may be one at a time."""

    def __init__(self, cloud: Cloud, connect: Callable[[], Fabric], stop: threading.Event) -> None:
        self._cloud = cloud
        self._homes = Homes.of(cloud)
        self._tasks = tasks_of(cloud)
        self._teller = Teller.of(cloud.folder.parent)
        self._stop = stop
        self._errand = Errand(cloud, connect, stop)
        self._working: dict[str, Future[None]] = {}
        self._asking: dict[str, int] = {}
        """Whose those are among them that ask a source."""
        self._due: dict[str, float] = {}
        self._series: dict[str, Series] = {}
        self._told: dict[str, str] = {}
        """The moment of the latest switchover whose outcome is in the audit trail."""

    def run(self) -> None:
        """Work until `stop` is set; an assessment that runs then is made again later."""
        with (
            ThreadPoolExecutor(_ASKING, thread_name_prefix="source") as asking,
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="migration") as carrying,
        ):
            while not self._stop.wait(POLL):
                try:
                    self._turn(asking, carrying)
                except LandbridgeError as problem:  # the store is busy
                    _log.warning("migrations wait: %s", problem)
                except Exception:
                    _log.exception("migrations were not looked after")

    def _turn(self, asking: Executor, carrying: Executor) -> None:
        self._working = {id: job for id, job in self._working.items() if not job.done()}
        self._asking = {id: uid for id, uid in self._asking.items() if id in self._working}
        with self._cloud.database.read() as session:
            migrations = session.connection().execute(_ACTIVE).all()
            asked: list[tuple[str, int, Callable[[str], None]]] = [
                *((id, uid, self._assess) for id, uid in assessments.pending(session)),
                *((id, uid, self._fix) for id, uid in assessments.to_fix(session)),
                *((id, uid, self._tend) for id, uid, is_begun in migrations if not is_begun),
            ]
        for id, uid, job in asked:
            mine = list(self._asking.values()).count(uid)
            if self._is_due(id) and mine < _OF_ONE:
                self._asking[id] = uid
                self._working[id] = asking.submit(self._do, job, id)
        for id in (id for id, _, is_begun in migrations if is_begun and self._is_due(id)):
            self._working[id] = carrying.submit(self._do, self._tend, id)

    def _is_due(self, id: str) -> bool:
        return id not in self._working and time.monotonic() >= self._due.get(id, 0.0)

    def _do(self, job: Callable[[str], None], id: str) -> None:
        if self._stop.is_set():  # it has waited for its turn
            return
        try:
            job(id)
        except (LandbridgeError, psycopg.Error, OSError) as problem:
            self._wait(id, str(problem))
        except Exception as problem:
            _log.exception("task %s was not carried on", id)
            self._wait(id, f"a defect of Landbridge: {type(problem).__name__}")

    def _wait(self, id: str, words: str) -> None:
        """Try again later, and say why."""
        self._due[id] = time.monotonic() + _RETRY
        if self._stop.is_set():
            return
        _log.warning("task %s waits: %s", id, words)
        words = self._teller.text(words)
        with self._cloud.database.write() as session:
            row = session.get(Migration, id)
            if row is not None and row.trouble != words:
                row.trouble = words
                row.touch()

    def _assess(self, id: str) -> None:
        with self._cloud.database.read() as session:
            row = session.get(Assessment, id)
            instance = session.get(DBInstance, row.instance_id) if row else None
        if row is None or instance is None:
            return
        before = Report.from_dict(row.report) if row.recheck and row.report else None
        if before is None or row.recheck is None:
            report, answer = self._look(row, instance), None
        else:
            report, answer = self._look_at_one(row, instance, before, row.recheck)
        with self._cloud.database.write() as session:
            if session.get(Assessment, id) is not None:
                assessments.settle(session, self._cloud.vault, id, report, answer)

    def _look(
        self, row: Assessment, instance: DBInstance, ids: frozenset[str] | None = None
    ) -> Report:
        """What is found now, as its owner is told it; by the checks `ids` alone, if given."""
        try:
            answer = self._errand.run(Verb.ASSESS, row, only=ids, within=_LONGEST)
            report = Report.from_dict(answer["report"])
        except NotReached as nowhere:
            report = settle.report([rules.unreachable(row.address, nowhere.message)])
        except TooLate as late:
            report = settle.report([rules.too_late(row.address, late.message)])
        data = self._homes.home(instance.id) / "data"
        made = look.made(self._cloud, instance) or ()
        more = rules.findings(data, instance.storage_gb, report.source, made)
        told = Report.from_dict(self._teller.report(settle.report(more, report).as_dict()))
        return renewal.only(told, ids)

    def _look_at_one(
        self, row: Assessment, instance: DBInstance, before: Report, id: str
    ) -> tuple[Report, dict[str, Any]]:
        """The report with one finding looked at again, and what came of that."""
        ids = renewal.scope(before, id, datetime.now(UTC))
        seen = self._look(row, instance, ids)
        if ids is not None and renewal.is_another(before, seen):
            ids, seen = None, self._look(row, instance)
        answer = renewal.answer(before, seen, id, is_all=ids is None)
        return (seen if ids is None else renewal.merged(before, seen, id)), answer

    def _fix(self, id: str) -> None:
        """Apply an assessment's fixes to the source, once."""
        with self._cloud.database.read() as session:
            row = session.get(Assessment, id)
        if row is None or row.fix_account is None:
            return
        try:
            found = self._errand.run(Verb.FIX, row, within=_LONGEST)["applied"]
            applied = [each | {"why": self._teller.text(each["why"])} for each in found]
        except LandbridgeError as problem:
            error = self._teller.value(problem.as_dict())
            applied = [
                {"id": each, "outcome": Outcome.REFUSED.value, "why": error["message"]}
                for each in row.fix_ids or ()
            ] or [{"error": error}]
        with self._cloud.database.write() as session:
            assessments.fixed(session, self._cloud.vault, id, applied)

    def _tend(self, id: str) -> None:
        """Carry one migration on."""
        with self._cloud.database.read() as session:
            row = session.get(Migration, id)
        if row is None or not row.is_active:
            return
        if row.task is None:
            self._begin(row)
            return
        task = self._tasks.get(row.task)
        entries = list(task.journal.entries())
        self._tell_outcome(row, entries)
        if is_end(task.state):
            if not task.is_worked_on():
                self._end(row, task)
            return
        if not task.is_worked_on():
            self._errand.run(Verb.RESUME, row)
        elif waits_for_us(entries, datetime.now(UTC)):
            worker.request_resume(task)
        if self._has_source_wait(row, task) or row.order is Order.CANCEL:
            self._pass_on(row, task)
        self._series.setdefault(id, Series(task.folder)).add(task.read_live())

    def _tell_outcome(self, row: Migration, entries: list[dict[str, Any]]) -> None:
        """In the audit trail, of every switchover once."""
        found = outcomes.latest(entries)
        if found is None or self._told.get(row.id) == found[0]:
            return
        with self._cloud.database.write() as session:
            outcomes.tell(session, row, *found)
        self._told[row.id] = found[0]

    def _begin(self, row: Migration) -> None:
        data = self._homes.home(row.instance_id) / "data"
        task = self._tasks.for_destination(data)
        if task is None:
            if row.order is Order.CANCEL:
                self._give_up(row, "cancelled before it was begun")
                return
            self._errand.clear(row)
        # Else it was begun, by a service that did not live to say so.
        try:
            if task is not None and task.is_worked_on():  # also where its source is gone meanwhile
                began = task.id
            else:
                began = self._errand.run(Verb.BEGIN, row, within=_BEGINNING)["task"]
        except LandbridgeError as problem:
            if problem.retryable or self._tasks.for_destination(data) is not None:
                raise
            remedy = self._teller.remedy(problem.id, problem.remedy)
            self._give_up(row, f"{self._teller.text(problem.message)}. {remedy}".strip())
            return
        with self._cloud.database.write() as session:
            settle.begun(session, self._cloud.vault, row.id, began)

    def _has_source_wait(self, row: Migration, task: Task) -> bool:
        """Once the standby follows, have commits at a source of ours that refuses writes wait.

        Whether its server was told all that is wanted of it.
        """
        if row.source_id is None:
            return True
        with self._cloud.database.read() as session:
            source = session.get(DBInstance, row.source_id)
        if source is None:
            return True
        if task.state is State.SYNCHRONIZING and source.awaited != task.slot:
            with self._cloud.database.write() as session:
                settle.follows(session, row, task.slot)
            return False
        return source.applied == source.version

    def _pass_on(self, row: Migration, task: Task) -> None:
        """Tell the worker what somebody ordered."""
        if row.order is Order.NONE:
            return
        try:
            if row.order is Order.CANCEL:
                worker.request_cancel(task)
            else:
                forced = row.order is Order.FORCED_SWITCH
                worker.request_switchover(task, fenced=True, unverified=forced)
        except LandbridgeError as refused:
            _log.info("task %s: %s", row.id, refused.message)
        with self._cloud.database.write() as session:
            settle.passed_on(session, row.id, row.order)

    def _end(self, row: Migration, task: Task) -> None:
        """Hand the destination back."""
        carried = None
        if task.state is State.FINISHED or handover.was_promoted(task):
            handover.take_over(task)
            carried = brought(task)
        with self._cloud.database.write() as session:
            if carried is None:
                settle.came_to_nothing(session, row, task.slot)
            settle.ended(session, self._cloud.vault, row.id, carried=carried)
        self._series.pop(row.id, None)
        self._told.pop(row.id, None)

    def _give_up(self, row: Migration, words: str) -> None:
        """End a migration that was never begun."""
        with self._cloud.database.write() as session:
            settle.ended(session, self._cloud.vault, row.id, words=words)


def waits_for_us(entries: Sequence[dict[str, Any]], now: datetime) -> bool:
    """Whether a migration, by its journal, is to be tried again: its owner has no way to ask.

    What is held for somebody else than its owner (a port, a disk, programs that do not end) is
    tried again after _AGAIN seconds, later each time.
    """
    steps = (e for e in reversed(entries) if e["kind"] in ("error", "signal", "state"))
    last = next(steps, None)
    if last is None or last.get(HELD) not in ("start", "undo", "finish"):
        return False
    tried = len([e for e in entries if e["kind"] == "signal" and e["name"] == RESUME])
    age = (now - datetime.fromisoformat(last["at"])).total_seconds()
    return age > min(_AGAIN_MOST, _AGAIN * (1 << min(tried, 10)))


def active(session: Session) -> list[Migration]:
    """The migrations that are not over, oldest first."""
    query = select(Migration).where(Migration.is_active).order_by(Migration.created_at)
    return list(session.scalars(query))


#: Id, owner, and whether it was begun, of those; built once, as it is asked for all the time.
_ACTIVE = (
    select(Migration.id, Migration.owner_uid, Migration.task.is_not(None))
    .where(Migration.is_active)
    .order_by(Migration.created_at)
)


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[None]:
    """A mover at work in threads of its own."""
    with beside("migrations", lambda stop: Mover(cloud, connect, stop).run()):
        yield
