"""What runs at the destination's place in the network.

    python -m landbridge.cloud.migrations.place

Started through `Fabric.command`, so that whatever it connects to is reached from there. Reads
one JSON object from stdin, which no other process sees: a `Job`. Prints one: what came of it,
or under `error` why nothing did.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

from ... import lock
from ...assessment import DestinationPlan, apply_each, assess, assess_way, gather
from ...assessment.model import Report
from ...errors import LandbridgeError, UsageError
from ...migration import worker
from ...migration.plan import create_task, make_request
from ...migration.task import Tasks
from ...postgres.conninfo import Conninfo, Secret
from ...postgres.distribution import find
from . import foreign, managed, readiness
from .foreign import is_of_the_machine, plain

#: Roles of the service's own, which a source from elsewhere must not bring along.
RESERVED = ("alicloud_rds_admin", "aurora", "replicator", "monitor")

#: What is said of a source that is not even tried.
NOWHERE = ("source.machine", "source.closed", "source.private", "source.unknown")

#: Seconds to wait for another process that begins the same migration.
_PATIENCE = 60.0
#: Seconds for a login where somebody waits for the answer.
_CONNECT = 3


class Verb(Enum):
    """What is done."""

    ASSESS = "assess"
    """Look at the source; answers `report`."""
    BEGIN = "begin"
    """Begin a migration and start its worker; answers `task`."""
    RESUME = "resume"
    """Start the worker of the migration `task` again."""
    FIX = "fix"
    """Apply the fixes of `report`; answers `applied`."""
    TEST = "test"
    """Try the way to the source and the account there; answers `report`."""
    LOOK = "look"
    """What a switchover of the migration `task` would meet; answers as `readiness.look`."""


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    verb: str
    root: str
    """State folder of the migrations' own records."""
    data: str
    """The destination's data directory."""
    major: int
    source: dict[str, str] = field(default_factory=dict)
    """Connection parameters, as they are at this place."""
    password: str = field(default="", repr=False)
    task: str = ""
    port: int = 0
    listen: str = ""
    hba: str = ""
    """pg_hba lines of the destination."""
    settings: dict[str, str] = field(default_factory=dict)
    os_account: int | None = None
    through: tuple[str, ...] = ()
    """What starts the destination's server, shut in."""
    ending: tuple[str, ...] = ()
    """What ends the programs that it leaves."""
    max_rate: int | None = None
    """Bytes per second that the copy keeps to."""
    closed: tuple[str, ...] = ()
    """Addresses and blocks to which nothing that is attached leads, though this place would reach
    them."""
    private: bool = True
    """Whether the source may be at a private address, or one of this very host."""
    managed: tuple[str, ...] | None = None
    """Parameters that its owner may set; None: the source is no instance of this control plane."""
    source_cidrs: tuple[str, ...] | None = None
    cidrs: tuple[str, ...] | None = None
    report: dict[str, Any] | None = None
    """Of an assessment whose fixes are to be applied."""
    fix_ids: tuple[str, ...] | None = None
    """Of the findings whose fixes these are; None: of all."""
    only: tuple[str, ...] | None = None
    """The checks that are made; None: all."""

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def conninfo(self) -> Conninfo:
        """The source by the address that its name has now, so that it leads nowhere else later.

        UsageError: source.unknown (it has none), source.machine, source.closed, source.private.
        """
        whole = Conninfo(self.source).with_password(Secret(self.password))
        if self.managed is not None:
            return whole
        try:
            found = socket.getaddrinfo(whole.host, whole.port, type=socket.SOCK_STREAM)
        except OSError as problem:
            raise UsageError(
                f"its name leads to no address: {problem.strerror}", id="source.unknown"
            ) from None
        address = str(found[0][4][0])
        self._refuse(whole.host, address)
        return whole.with_(hostaddr=address)

    def _refuse(self, name: str, address: str) -> None:
        """UsageError where a tenant's source must not be."""
        if is_of_the_machine(address):
            raise UsageError(f"{name} is no name of another host", id="source.machine")
        place = plain(address)
        if any(place in ip_network(block) for block in self.closed):
            raise UsageError(f"nothing that is attached leads to {name}", id="source.closed")
        if not self.private and (not place.is_global or _is_here(place)):
            raise UsageError(
                f"{name} is a private address and none of an instance that is attached",
                id="source.private",
            )


def _is_here(place: IPv4Address | IPv6Address) -> bool:
    """Whether this host has an address: then it is also the one to reach it from."""
    family = socket.AF_INET if place.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((str(place), 9))  # nothing is sent
        except OSError:
            return False
        return str(trial.getsockname()[0]) == str(place)


def do(job: Job) -> dict[str, Any]:
    """Carry a job out."""
    match Verb(job.verb):
        case Verb.ASSESS:
            return {"report": _assess(job).as_dict()}
        case Verb.BEGIN:
            return {"task": _begin(job)}
        case Verb.RESUME:
            task = Tasks(Path(job.root)).get(job.task)
            # It was begun by a service that may have had other programs, at another place.
            task.amend(through=job.through, ending=job.ending)
            worker.detach(task)
            return {"task": job.task}
        case Verb.FIX:
            assert job.report is not None
            report = Report.from_dict(job.report)
            done = apply_each(report, job.conninfo(), job.fix_ids)
            return {"applied": [each.as_dict() for each in done]}
        case Verb.TEST:
            source = job.conninfo().with_(connect_timeout=_CONNECT)
            plan = DestinationPlan(Path(job.data), job.port, cidrs=job.cidrs)
            return {"report": _told(job, assess_way(source, plan)).as_dict()}
        case Verb.LOOK:
            return readiness.look(Tasks(Path(job.root)).get(job.task))


def _assess(job: Job) -> Report:
    plan = DestinationPlan(
        # Beside the data of the destination's own server, which runs while this is done.
        data=Path(job.data).with_name("data.assessed"),
        port=job.port,
        distribution=find(job.major),
        settings=job.settings,
        fence="manual",
        reserved_roles=RESERVED if job.managed is None else (),
        listen=job.listen,
        source_cidrs=job.source_cidrs,
        cidrs=job.cidrs,
        os_account=job.os_account,
    )
    facts = gather(job.conninfo(), plan)
    report = assess(facts, job.only)
    findings = [f for f in report.findings if f.id not in foreign.OF_THE_MACHINE]
    spaces = (facts.source.tablespaces or ()) if facts.source else ()
    findings += foreign.tablespaces([t.name for t in spaces if Path(t.location).is_absolute()])
    return _told(job, replace(report, findings=tuple(findings)))


def _told(job: Job, report: Report) -> Report:
    """The report as the source's owner can use it."""
    return report if job.managed is None else managed.told(report, job.managed)


def _begin(job: Job) -> str:
    """Alone: one that was begun by a service since killed may still be at it."""
    root = Path(job.root)
    held = lock.take(root / f"{Path(job.data).parent.name}.lock", _PATIENCE)
    if held is None:
        raise LandbridgeError("another process begins it", id="task.busy", retryable=True)
    try:
        return _begin_alone(job, Tasks(root))
    finally:
        os.close(held)


def _begin_alone(job: Job, tasks: Tasks) -> str:
    task = tasks.for_destination(Path(job.data))
    if task is None:  # else somebody was killed between beginning it and saying so
        source = job.conninfo()
        request = make_request(
            source,
            Path(job.data),
            job.port,
            fence="manual",
            listen=job.listen,
            hba_file=job.hba,
            settings=job.settings,
            replaces_empty_cluster=True,
            os_account=job.os_account,
            through=job.through,
            ending=job.ending,
            max_rate=job.max_rate,
        )
        task = create_task(tasks, request, source)
    if not task.is_worked_on():
        worker.detach(task)
    return task.id


def main() -> int:
    try:
        answer = do(_read())
    except LandbridgeError as error:
        answer = {"error": {**error.as_dict(), "retryable": error.retryable}}
    print(json.dumps(answer))
    return 0


def _read() -> Job:
    raw = json.load(sys.stdin)
    for name in (
        "managed",
        "source_cidrs",
        "cidrs",
        "through",
        "ending",
        "closed",
        "fix_ids",
        "only",
    ):
        raw[name] = tuple(raw[name]) if raw[name] is not None else None
    return Job(**raw)


if __name__ == "__main__":
    sys.exit(main())
