"""Sends something to be done to the destination's place in the network, and waits for it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import LandbridgeError, ServerFailed
from ...network.fabric import Bandwidth, Endpoint, Fabric, Isolation, Outcome
from ...postgres.cluster import Cluster
from ...postgres.conninfo import Secret
from ...postgres.osaccount import OsAccount, clean_environment
from ...servers import ending, room, shut_in
from ...servers.identity import is_own, own_account
from .. import fabric as network
from ..control import Cloud
from ..instances import parameters, wanted
from ..instances.homes import Homes, programs
from ..instances.tables import DBInstance
from ..vpcs import Vpc
from .place import NOWHERE, Job, Verb
from .tables import Assessment, Migration

#: Seconds between two looks at whether we shall end.
_LOOK = 0.5
#: Seconds for a relay to tell whether an address leads anywhere.
_PROBE = 2.0


class NotReached(LandbridgeError):
    """The source's address leads nowhere, and need not be tried."""

    id = "source.not_reached"


class TooLate(LandbridgeError):
    """It was broken off: the source may keep whoever asks it waiting for as long as it likes."""

    id = "place.failed"


class Errand:
    """Everything that has to happen at a destination's place."""

    def __init__(self, cloud: Cloud, connect: Callable[[], Fabric], stop: threading.Event) -> None:
        self._cloud = cloud
        self._connect = connect
        self._stop = stop
        self._homes = Homes.of(cloud)

    def clear(self, row: Migration) -> None:
        """Stop the destination's empty server, and end all that somebody has started from it.

        Nobody changes its folders then. Raises ServerFailed, also where its data directory is
        none (instance.no_directory).
        """
        with self._cloud.database.read() as session:
            instance = session.get_one(DBInstance, row.instance_id)
        cluster = self._homes.found(instance.id, instance.number)
        cluster.stop()
        room.end_all(self._connect(), instance.id, cluster.account)
        for folder in (cluster.data.parent, cluster.data):
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise ServerFailed(
                    f"the data directory of {instance.id} is no directory",
                    id="instance.no_directory",
                )

    def run(
        self,
        verb: Verb,
        row: Assessment | Migration,
        *,
        password: Secret | None = None,
        within: float | None = None,
        only: frozenset[str] | None = None,
    ) -> dict[str, Any]:
        """Do it, and return its answer.

        `only`: the checks of an assessment that are made; None: all. `password`: of the source's
        account, instead of the one that is kept. After `within` seconds it is broken off. Raises
        NotReached, NetworkFailed, TooLate, and LandbridgeError with what went wrong there:
        place.failed where nothing is known of it.
        """
        fabric = self._connect()
        with self._cloud.database.read() as session:
            job = self._job(session, fabric, verb, row)
        if password is not None:
            job = replace(job, password=password.reveal())
        if only is not None:
            job = replace(job, only=tuple(sorted(only)))
        answer = self._send(fabric, row.instance_id, job, within)
        if (error := answer.get("error")) is not None:
            message = error.pop("message")
            if error["id"] in NOWHERE:
                raise NotReached(message)
            raise LandbridgeError(message, **error)
        return answer

    def _job(
        self, session: Session, fabric: Fabric, verb: Verb, row: Assessment | Migration
    ) -> Job:
        instance = session.get_one(DBInstance, row.instance_id)
        home = self._homes.home(instance.id)
        task = row.task if isinstance(row, Migration) and row.task else ""
        brief = Job(
            verb.value, str(self._cloud.folder), str(home / "data"), instance.major, task=task
        )
        if verb is Verb.LOOK:
            return brief
        goal = wanted.read(session, self._cloud.vault, instance)
        endpoint = fabric.ensure_endpoint(goal.place)
        account = own_account(self._homes.folder, instance.number)
        cluster = Cluster(home / "data", programs(instance.major), endpoint.port, account=account)
        brief = replace(
            brief,
            through=tuple(shut_in.command(cluster, goal.limits)),
            ending=tuple(ending.command(instance.id, account)) if is_own(account) else (),
        )
        if verb is Verb.RESUME:
            return brief
        return replace(
            brief,
            source=self._source(session, fabric, instance, row),
            password=self._password(session, row),
            port=endpoint.port,
            listen=endpoint.listen,
            hba=_hba(goal, endpoint),
            settings={name: str(value) for name, value in goal.settings.items()},
            os_account=None if account == OsAccount.for_servers() else account.uid,
            max_rate=_max_rate(session, fabric, instance.id, row.source_id),
            closed=_closed(session, fabric, instance.id),
            private=fabric.capabilities().real_private_ip or self._cloud.private_sources,
            managed=tuple(parameters.specs(instance.major)) if row.source_id else None,
            source_cidrs=self._cidrs(session, row.source_id),
            cidrs=self._cidrs(session, instance.id),
            report=row.report if isinstance(row, Assessment) else None,
            fix_ids=_fix_ids(row),
        )

    def _source(
        self,
        session: Session,
        fabric: Fabric,
        instance: DBInstance,
        row: Assessment | Migration,
    ) -> dict[str, str]:
        """How the source is named at the destination's place."""
        admin = row.fix_account if isinstance(row, Assessment) else None
        who = {"user": admin or row.account, "dbname": "postgres"}
        if row.source_id is not None:
            path = fabric.path(instance.id, row.source_id)
            # As it was given: which instance that is concerns its owner alone.
            where = {"host": row.address, "hostaddr": path.hostaddr, "port": str(path.port)}
            return where | who
        if not fabric.capabilities().real_private_ip:
            self._refuse_private(session, fabric, instance, row)
        return {"host": row.address, "port": str(row.port)} | who

    def _refuse_private(
        self,
        session: Session,
        fabric: Fabric,
        instance: DBInstance,
        row: Assessment | Migration,
    ) -> None:
        """Say in the network's own words why an address of a VPC leads nowhere.

        The place itself refuses it, whatever name it has.
        """
        try:
            place = IPv4Address(row.address)
        except ValueError:
            return
        blocks = map(IPv4Network, session.scalars(select(Vpc.cidr)))
        if any(place in block for block in blocks):
            answer = fabric.probe(instance.id, place, row.port, _PROBE)
            if answer.outcome is not Outcome.OK:
                raise NotReached(answer.words or answer.outcome.value)

    def _password(self, session: Session, row: Assessment | Migration) -> str:
        return self._cloud.vault.reveal(session, row.password_id) if row.password_id else ""

    def _cidrs(self, session: Session, id: str | None) -> tuple[str, ...] | None:
        instance = session.get(DBInstance, id) if id else None
        return (session.get_one(Vpc, instance.vpc_id).cidr,) if instance else None

    def _send(
        self, fabric: Fabric, instance: str, job: Job, within: float | None
    ) -> dict[str, Any]:
        begun, is_late = time.monotonic(), False
        program = [sys.executable, "-P", "-m", "landbridge.cloud.migrations.place"]
        child = subprocess.Popen(
            fabric.command(instance, program, apart=True), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
            cwd="/", start_new_session=True,
        )  # fmt: skip
        given: str | None = job.as_json()
        while True:
            try:
                told, words = child.communicate(given, timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                given = None
            is_late = within is not None and time.monotonic() - begun > within
            if is_late or (self._stop.is_set() and job.verb == Verb.ASSESS.value):
                child.kill()
        try:
            answer: dict[str, Any] = json.loads(told)
        except ValueError:
            if is_late:
                raise TooLate(f"there was no answer within {within:.0f} s") from None
            last = (words.strip().splitlines() or ["it was killed"])[-1]
            raise LandbridgeError(
                f"what was sent to {instance} came to nothing: {last}",
                id="place.failed", retryable=True,
            ) from None  # fmt: skip
        return answer


def _fix_ids(row: Assessment | Migration) -> tuple[str, ...] | None:
    ids = row.fix_ids if isinstance(row, Assessment) else None
    return None if ids is None else tuple(ids)


def _max_rate(session: Session, fabric: Fabric, destination: str, source: str | None) -> int | None:
    """Bytes per second that a copy keeps to, where the network does not hold it to its line.

    NotReached where the network would let everything pass, and the model does not.
    """
    if source is None or fabric.capabilities().bandwidth is not Bandwidth.NONE:
        return None
    topology = network.wanted(session).topology
    if not (verdict := topology.verdict(destination, source)).passes:
        raise NotReached(verdict.reason)
    line = topology.line_of(source, destination)
    return line.rate // 8 if line else None


def _closed(session: Session, fabric: Fabric, destination: str) -> tuple[str, ...]:
    """What only the model keeps from a destination: addresses of instances and, where all
    addresses of VPCs are made up, their blocks, which are never looked for outside."""
    isolation = fabric.capabilities().isolation
    if isolation is Isolation.KERNEL:
        return ()
    if isolation is Isolation.COOPERATIVE:
        return tuple(session.scalars(select(Vpc.cidr)))
    topology = network.wanted(session).topology
    return tuple(
        str(it.address)
        for it in topology.instances.values()
        if not topology.verdict(destination, it.id).reaches
    )


def _hba(goal: wanted.Wanted, endpoint: Endpoint) -> str:
    """pg_hba lines as the destination has them when it is looked after."""
    clients = endpoint.clients if endpoint.decides_whitelist else None
    goal = wanted.as_met(goal, endpoint)
    lines = [*wanted.hba(goal, clients), *room.hba_lines(goal.whitelist, endpoint)]
    return "\n".join(lines)
