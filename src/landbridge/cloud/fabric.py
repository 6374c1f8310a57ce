"""The network brought to what the rows say, and the rows told what stands.

The rows alone are the truth: `wanted` computes the whole topology from them, and whatever
else carries our mark is removed. So a reconciler may stop or be killed at any point; the
next one goes on. What cannot be made does not hold up the rest: its row says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, Subquery, case, func, select, true
from sqlalchemy.orm import Session

from ..beside import beside
from ..errors import LandbridgeError, NetworkFailed, NetworkRefused
from ..network import Fabric, Topology
from ..network.converge import steps_of
from ..network.fabric import Meter
from ..store import utcnow
from . import bandwidth, metering, traffic
from .attachments import Attachment
from .cens import Cen
from .control import Cloud
from .grants import Grant
from .instances.states import Status
from .instances.tables import DBInstance
from .lines import Connection
from .made import Made
from .routers import TransitRouter
from .vpcs import Vpc, VSwitch

#: How often the rows are looked at for something new.
POLL = 0.2
#: After how long what failed is tried again, and what stands is looked at and counted.
RETRY, HEAL, COUNT = timedelta(seconds=5), timedelta(minutes=1), timedelta(seconds=10)

#: Seconds after which a long round tells what stands already.
_TOLD = 1.0

#: What the owner of a row is told when the network could not be made; the log says why.
_WAITS = "the network cannot be made so at the moment; it is tried again"

#: Every kind of row that the network is made of, each after what it stands on.
KINDS: tuple[type[Any], ...] = (
    Vpc, VSwitch, DBInstance, Cen, Grant, TransitRouter, Attachment, Connection
)  # fmt: skip
#: Those of them that wait for the network.
MADE: tuple[type[Any], ...] = tuple(kind for kind in KINDS if issubclass(kind, Made))

_log = logging.getLogger(__name__)


@dataclass
class Goal:
    """What the rows wanted at one moment."""

    topology: Topology = field(default_factory=Topology)
    versions: dict[str, int] = field(default_factory=dict)
    """Of the wanted rows, by id."""
    going: set[str] = field(default_factory=set)
    """Ids of the rows whose things shall go."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Why a row could not be brought to what it wants, by id, for its owner."""
    failures: dict[str, str] = field(default_factory=dict)
    """What failed in the network, by id, for the operator."""
    awaited: set[str] = field(default_factory=set)
    """Ids of what an owner waits for, and of what that stands on."""
    open: set[str] = field(default_factory=set)
    """Ids of what was not tried yet."""
    has_removed: bool = False

    def fail(self, id: str, problem: NetworkFailed) -> None:
        """Keep what failed in both words."""
        self.troubles[id], self.failures[id] = _WAITS, problem.message


def wanted(session: Session) -> Goal:
    """The whole network as the rows want it."""
    goal = Goal()
    for kind in KINDS:
        for row in session.scalars(select(kind).order_by(*kind.__table__.primary_key)):
            thing = row.as_thing()
            if not getattr(row, "is_wanted", True):
                goal.going.add(thing.id)
                continue
            goal.versions[thing.id] = getattr(row, "version", 0)
            if _is_awaited(row):
                goal.awaited |= {thing.id, *_below(row)}
            if not getattr(row, "is_routed", True):
                continue  # nothing of it in the network is what it wants
            try:
                goal.topology.put(thing)
            except NetworkRefused as refusal:
                goal.troubles[thing.id] = refusal.message
    return goal


def _is_awaited(row: Any) -> bool:
    if isinstance(row, Made):
        return row.standing != row.version
    return isinstance(row, DBInstance) and row.status is Status.CREATING


def _below(row: Any) -> Iterator[str]:
    """The ids of what it stands on."""
    for name in ("vpc_id", "vswitch_id", "router_id", "peer_router_id"):
        if hasattr(row, name):
            yield getattr(row, name)
    if isinstance(row, Attachment):
        yield from (zone.vswitch_id for zone in row.zones)


class Reconciler:
    """Brings one fabric to what the rows of one control plane say.

    `connect` gives the fabric, and starts what it needs; where it raises NetworkFailed the
    rows wait and say why. There may be one reconciler per control plane.
    """

    def __init__(self, cloud: Cloud, connect: Callable[[], Fabric]) -> None:
        self._cloud = cloud
        self._connect = connect
        self._seen: object = None
        self._again = self._count = utcnow()
        self._failures: dict[str, str] = {}
        self._made: dict[str, int] = {}
        """The versions that stood after the last round, by id."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            try:
                self.turn()
            except LandbridgeError as problem:  # the store is busy, the fabric is gone
                _log.warning("the network waits: %s", problem)
            except Exception:
                _log.exception("the network was not brought to what is wanted")
                self._again = utcnow() + RETRY
            stop.wait(POLL)

    def turn(self) -> None:
        """Do what is due now: nothing, as a rule."""
        now = utcnow()
        with self._cloud.database.read() as session:
            seen = _fingerprint(session)
        if seen != self._seen or now >= self._again:
            troubles = self.once(now)
            self._seen = seen
            self._again = min(self._next_end(now), now + (RETRY if troubles else HEAL))
        elif now >= self._count:
            self.count(now)

    def once(self, now: datetime | None = None) -> dict[str, str]:
        """One round: make, change and remove; returns what could not be made, by id, and why.

        What is awaited comes first and is told at once: not after all that others have.
        """
        now = now or utcnow()
        with self._cloud.database.write() as session:
            bandwidth.renew_due(session, now)
        with self._cloud.database.read() as session:
            goal = wanted(session)
        try:
            fabric = self._connect()
            self._record(fabric, now)  # before a counter goes with its line
            for _ in _bring(fabric, goal, self._made):
                self._settle(goal)
        except NetworkFailed as problem:
            for id in (*goal.versions, *goal.going):
                goal.fail(id, problem)
        goal.open.clear()
        self._say(goal.failures)
        self._settle(goal)
        self._made = {id: v for id, v in goal.versions.items() if id not in goal.troubles}
        return goal.troubles

    def _settle(self, goal: Goal) -> None:
        with self._cloud.database.write() as session:
            _settle(session, goal)

    def count(self, now: datetime | None = None) -> None:
        """Add what was used since the last time to the ledger. NetworkFailed."""
        now = now or utcnow()
        self._count = now + COUNT
        self._record(self._connect(), now)

    def _say(self, failures: dict[str, str]) -> None:
        """Log each failure once for as long as it stays the same."""
        told: dict[str, list[str]] = {}
        for id, words in failures.items():
            if self._failures.get(id) != words:
                told.setdefault(words, []).append(id)
        for words, ids in told.items():
            _log.warning("the network of %s waits: %s", ", ".join(ids), words)
        self._failures = failures

    def _record(self, fabric: Fabric, now: datetime) -> None:
        with self._cloud.database.read() as session:
            there = session.scalars(select(Connection.id).where(Connection.standing > 0)).all()
        meters = {}
        for id in there:
            if (meter := _meter(fabric, id)) is not None:
                meters[id] = meter
                traffic.RECENT.add(id, meter)
        with self._cloud.database.write() as session:
            for attachment in session.scalars(select(Attachment).where(Attachment.standing > 0)):
                metering.record_attachment(session, attachment, now)
            for id, meter in meters.items():
                if (connection := session.get(Connection, id)) is not None:
                    metering.record_traffic(session, connection, meter, now)

    def _next_end(self, now: datetime) -> datetime:
        with self._cloud.database.read() as session:
            return bandwidth.next_end(session, now) or now + HEAL


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[Reconciler]:
    """A reconciler at work in a thread of its own."""
    reconciler = Reconciler(cloud, connect)
    with beside("network", reconciler.run):
        yield reconciler


def _bring(fabric: Fabric, goal: Goal, made: Mapping[str, int]) -> Iterator[None]:
    """Remove what is not wanted, then try each thing by itself.

    First what is awaited, and what is new or another than was `made` in the round before.
    Yields between this and the rest, and every _TOLD seconds, for it to be written down.
    """
    steps = steps_of(fabric, goal.topology)
    goal.open = {id for _, id, _ in steps}
    fabric.gc(goal.open)
    goal.has_removed = True
    first = set(goal.awaited)
    if made:
        first |= {id for id, version in goal.versions.items() if made.get(id) != version}
    for is_first in (True, False):
        told = time.monotonic()
        for _, id, ensure in (step for step in steps if (step[1] in first) is is_first):
            if time.monotonic() - told > _TOLD:
                yield
                told = time.monotonic()
            try:
                ensure()
            except NetworkFailed as problem:
                goal.fail(id, problem)
            except NetworkRefused as refusal:
                goal.troubles[id] = refusal.message
            goal.open.discard(id)
        if is_first and first:
            yield


def _settle(session: Session, goal: Goal) -> None:
    """Write down what stands; rows that came or changed after the goal keep waiting."""
    for kind in reversed(MADE):
        for row in session.scalars(select(kind)):
            if row.id in goal.going and goal.has_removed:
                session.delete(row)
            elif row.id not in goal.open:
                _tell(row, goal)
        session.flush()


def _tell(row: Any, goal: Goal) -> None:
    trouble = goal.troubles.get(row.id, "")
    if row.trouble != trouble:
        row.trouble = trouble
    version = goal.versions.get(row.id)
    if version is not None and not trouble and row.standing != version:
        row.standing = version


def _meter(fabric: Fabric, id: str) -> Meter | None:
    """What a line has carried; None if it is not there at the moment."""
    try:
        return fabric.meter(id)
    except (NetworkFailed, NetworkRefused) as problem:
        if problem.id.startswith("network.daemon"):
            raise
        return None


def _fingerprint(session: Session) -> tuple[Any, ...]:
    """Something that differs whenever a row came, went or changed."""
    return tuple(session.execute(_question()).one())


@cache
def _question() -> Select[Any]:
    """One statement, built once, as it is asked all the time."""
    kinds: tuple[type[Any], ...] = (*KINDS, bandwidth.BandwidthPlan)
    counts = [_count(kind) for kind in kinds]
    together: Any = counts[0]
    for each in counts[1:]:
        together = together.join(each, true())
    return select(*(column for each in counts for column in each.c)).select_from(together)


def _count(kind: type[Any]) -> Subquery:
    asked = [func.count(), func.max(kind.created_at)]
    if hasattr(kind, "version"):
        asked.append(func.sum(kind.version))
    if issubclass(kind, Made):
        asked.append(func.sum(case((kind.is_wanted, 1), else_=0)))
    if kind is bandwidth.BandwidthPlan:
        asked.append(func.max(kind.expires_at))
    named = [fact.label(f"fact_{number}") for number, fact in enumerate(asked)]
    return select(*named).select_from(kind).subquery()
