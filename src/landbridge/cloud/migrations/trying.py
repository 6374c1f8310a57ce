"""What is tried at a destination's place while somebody waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from ...assessment.model import Finding, Group, Level, Report
from ...errors import LandbridgeError, NetworkFailed
from ...migration.states import Stage
from .. import daemon
from ..accounts import Account
from ..control import Cloud
from ..errors import CloudError
from ..instances import lifecycle
from ..instances.states import Status
from ..turns import Turns
from . import rules, settle
from .errand import Errand, NotReached
from .place import Verb
from .progress import Progress
from .source import Source, locate
from .tables import Assessment, Migration
from .told import Teller

#: Seconds after which it is broken off, and how many are tried at once, of one account too.
WITHIN, _AT_ONCE, _MINE_AT_ONCE = 8.0, 12, 3
_ROOM = threading.BoundedSemaphore(_AT_ONCE)
_MINE = Turns(_MINE_AT_ONCE, "sources or switchovers")


def connection(
    session: Session, cloud: Cloud, account: Account, instance_id: str, source: Source
) -> Report:
    """Whether a source can be reached from an instance, and the account has its rights.

    Nothing is changed or kept. CloudError: InvalidDBInstanceId.NotFound,
    IncorrectDBInstanceType, OperationDenied.{LocalStorage,ReadOnlyInstances},
    IncorrectDBInstanceState, Throttling.User.
    """
    instance = lifecycle.find(session, account, instance_id)
    rules.check_destination(instance)
    lifecycle.require(instance, Status.RUNNING, Status.MAINTAINING)
    there = locate(session, instance, source.address, source.port)
    row = Assessment(  # of this call alone
        instance_id=instance.id, address=source.address, port=source.port,
        account=source.account, source_id=there.id if there else None,
    )  # fmt: skip
    try:
        with _MINE.taken(account.uid), _errand(cloud) as errand:
            answer = errand.run(Verb.TEST, row, password=source.password, within=WITHIN)
    except NotReached as nowhere:
        return settle.report([rules.unreachable(source.address, nowhere.message)])
    except LandbridgeError as problem:
        return settle.report([_no_answer(cloud, source, problem)])
    return Report.from_dict(Teller.of(cloud.folder.parent).report(answer["report"]))


def readiness(cloud: Cloud, row: Migration, progress: Progress) -> dict[str, Any]:
    """What a switchover would meet now; see `readiness.look`.

    CloudError: IncorrectDBInstanceState in any stage but increment, Throttling.User,
    ServiceUnavailable.
    """
    if progress.stage is not Stage.INCREMENT or not row.is_active:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"task {row.id} is in the stage {progress.stage.value}; a switchover begins in the"
            " stage increment",
        )
    try:
        with _MINE.taken(row.owner_uid), _errand(cloud) as errand:
            answer = errand.run(Verb.LOOK, row, within=WITHIN)
    except CloudError:
        raise
    except LandbridgeError as problem:
        raise CloudError("ServiceUnavailable", _words(cloud, problem)) from None
    told: dict[str, Any] = Teller.of(cloud.folder.parent).value(answer)
    return told


@contextmanager
def _errand(cloud: Cloud) -> Iterator[Errand]:
    if not _ROOM.acquire(blocking=False):
        raise CloudError("Throttling.User", f"{_AT_ONCE} are being tried already")
    try:
        yield Errand(cloud, lambda: daemon.fabric(cloud), threading.Event())
    except NetworkFailed as problem:
        raise CloudError("ServiceUnavailable", _words(cloud, problem)) from None
    finally:
        _ROOM.release()


def _no_answer(cloud: Cloud, source: Source, problem: LandbridgeError) -> Finding:
    if isinstance(problem, CloudError):
        raise problem
    return Finding(
        "connect.login", Level.ERROR, "Login",
        f"{source.address}:{source.port}: {_words(cloud, problem)}",
        "Look at the way to the source and at its load, then try again.",
        (), {}, Group.CONNECTION,
    )  # fmt: skip


def _words(cloud: Cloud, problem: LandbridgeError) -> str:
    if problem.id == "place.failed":
        return f"no answer within {WITHIN:.0f} s"
    return Teller.of(cloud.folder.parent).text(problem.message)
