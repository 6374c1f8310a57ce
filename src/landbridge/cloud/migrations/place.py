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
from pathlib import Path
from typing import Any

from ... import lock
from ...assessment import DestinationPlan, apply_fixes, assess, assess_way, gather
from ...assessment.model import Report
from ...errors import LandbridgeError, UsageError
from ...migration import worker
from ...migration.plan import create_task, make_request
from ...migration.task import Tasks
from ...postgres.conninfo import Conninfo, Secret
from ...postgres.distribution import find
from . import readiness, rules
from .source import is_of_the_machine

#: Roles of the service's own, which a source from elsewhere must not bring along.
RESERVED = ("alicloud_rds_admin", "aurora", "replicator", "monitor")

#: What is said of a source that is not even tried.
NOWHERE = ("source.machine", "source.closed")

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
    """Addresses to which nothing that is attached leads, though this place would reach them."""
    is_managed: bool = False
    """Whether the source is an instance of this control plane."""
    source_cidrs: tuple[str, ...] | None = None
    cidrs: tuple[str, ...] | None = None
    report: dict[str, Any] | None = None
    """Of an assessment whose fixes are to be applied."""

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def conninfo(self) -> Conninfo:
        """The source; UsageError (source.machine, source.closed) if its name leads to this very
        host or to an instance that is not for this one."""
        whole = Conninfo(self.source).with_password(Secret(self.password))
        return whole if self.is_managed else _pinned(whole, self.closed)


def _pinned(whole: Conninfo, closed: tuple[str, ...]) -> Conninfo:
    """The source by the address that its name has now, so that it leads nowhere else later."""
    try:
        found = socket.getaddrinfo(whole.host, whole.port, type=socket.SOCK_STREAM)
    except OSError:
        return whole  # the assessment says so
    address = str(found[0][4][0])
    if is_of_the_machine(address):
        raise UsageError(f"{whole.host} is no name of another host", id="source.machine")
    if address.removeprefix("::ffff:") in closed:
        raise UsageError(f"nothing that is attached leads to {whole.host}", id="source.closed")
    return whole.with_(hostaddr=address)


def do(job: Job) -> dict[str, Any]:
    """Carry a job out."""
    match Verb(job.verb):
        case Verb.ASSESS:
            return {"report": _assess(job).as_dict()}
        case Verb.BEGIN:
            return {"task": _begin(job)}
        case Verb.RESUME:
            worker.detach(Tasks(Path(job.root)).get(job.task))
            return {"task": job.task}
        case Verb.FIX:
            assert job.report is not None
            return {"applied": apply_fixes(Report.from_dict(job.report), job.conninfo())}
        case Verb.TEST:
            source = job.conninfo().with_(connect_timeout=_CONNECT)
            return {
                "report": assess_way(source, DestinationPlan(Path(job.data), job.port)).as_dict()
            }
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
        reserved_roles=() if job.is_managed else RESERVED,
        listen=job.listen,
        source_cidrs=job.source_cidrs,
        cidrs=job.cidrs,
        os_account=job.os_account,
    )
    facts = gather(job.conninfo(), plan)
    report = assess(facts)
    findings = [f for f in report.findings if f.id not in rules.OF_THE_MACHINE]
    spaces = (facts.source.tablespaces or ()) if facts.source else ()
    findings += rules.tablespaces([t.name for t in spaces if Path(t.location).is_absolute()])
    return replace(report, findings=tuple(findings))


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
    for name in ("source_cidrs", "cidrs", "through", "ending", "closed"):
        raw[name] = tuple(raw[name]) if raw[name] is not None else None
    return Job(**raw)


if __name__ == "__main__":
    sys.exit(main())
