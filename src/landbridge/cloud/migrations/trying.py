"""What is tried at a destination's place while somebody waits for the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from ...assessment.model import Finding, Group, Level, Report
from ...errors import LandbridgeError, NetworkFailed
from ...migration.journal import now
from ...migration.states import State
from .. import daemon
from ..accounts import Account
from ..control import Cloud
from ..errors import CloudError
from ..instances import lifecycle
from ..instances.states import Status
from ..turns import Turns
from . import rules, settle
from .errand import Errand, NotReached
from .migrations import too_early
from .place import Verb
from .progress import Progress
from .source import Source, locate
from .tables import Assessment, Migration
from .told import Teller

#: Seconds after which a connection, and a look at a switchover, is broken off (under load the
#: second was seen to take 8); and how many are tried at once, of one account too.
WITHIN, _LOOK_WITHIN, _AT_ONCE, _MINE_AT_ONCE = 8.0, 20.0, 12, 3
#: Seconds for which the latest look is told where a newer one does not come; and how many are.
_KEPT, _MOST = 600.0, 1_000
_looks: dict[str, tuple[float, dict[str, Any]]] = {}
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
    """What a switchover would meet now: `readiness.look`, with the moment `at` and a `problem`.

    Where nobody answers now and somebody did lately, that is told again, and why as `problem`.
    CloudError: IncorrectDBInstanceState in any stage but increment, Throttling.User,
    ServiceUnavailable.
    """
    if progress.state is not State.SYNCHRONIZING:
        raise too_early(row, progress)
    try:
        told = _look(cloud, row)
    except CloudError as problem:
        seen, last = _looks.get(row.id, (float("-inf"), {}))
        if time.monotonic() - seen > _KEPT:
            raise
        return last | {"problem": problem.message}
    if len(_looks) >= _MOST:
        _looks.clear()
    _looks[row.id] = time.monotonic(), told
    return told


def _look(cloud: Cloud, row: Migration) -> dict[str, Any]:
    try:
        with _MINE.taken(row.owner_uid), _errand(cloud) as errand:
            answer = errand.run(Verb.LOOK, row, within=_LOOK_WITHIN)
    except CloudError:
        raise
    except LandbridgeError as problem:
        words = _words(cloud, problem, _LOOK_WITHIN)
        raise CloudError("ServiceUnavailable", words) from None
    told: dict[str, Any] = Teller.of(cloud.folder.parent).value(answer)
    return told | {"at": now(), "problem": ""}


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


def _words(cloud: Cloud, problem: LandbridgeError, within: float = WITHIN) -> str:
    if problem.id == "place.failed":
        return f"no answer within {within:.0f} s"
    return Teller.of(cloud.folder.parent).text(problem.message)
