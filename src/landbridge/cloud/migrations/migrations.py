"""Cloud migrations: ordered, found, switched over, cancelled, put away.

Every order is written down and carried out by `mover`, also after a crash.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy.orm import Session

from ...migration.orders import SWITCHOVER
from ...migration.states import Stage, State, is_end
from ...migration.task import Request
from ...store import Vault
from .. import quotas
from ..accounts import Account
from ..errors import CloudError
from ..instances import lifecycle
from ..instances.states import Status
from ..ownership import count, everything, owned
from . import assessments, guards, names, rules
from .progress import Progress
from .source import Source, locate
from .tables import Migration, Order

#: What a person answers for before the switchover: parameter -> sentence.
CONFIRMATIONS = {
    "ConfirmWritesStopped": "Nothing writes to the source any more: it refuses writes, or the"
    " applications are stopped.",
    "ConfirmLag": "The destination has caught up, or what it lacks may take its time.",
    "ConfirmRepointing": "The applications are going to use the destination; there is no"
    " automatic way back.",
}


#: Seconds of a switchover's time limit, at most.
LONGEST = 3600
#: Orders to switch one migration over: each one that is put back is kept in its record.
_MOST_ORDERS = 500


def create(
    session: Session,
    vault: Vault,
    account: Account,
    instance_id: str,
    source: Source,
    data: Path,
    name: str | None = None,
) -> Migration:
    """Order a migration into an instance whose data lie in `data`.

    The destination is Migrating Data In until it is over. CloudError: those of
    `assessments.create`, OperationDenied.AssessmentNotPassed,
    OperationDenied.DestinationNotEmpty, OperationDenied.SourceInMigration,
    QuotaExceeded.Migration.
    """
    instance = lifecycle.find(session, account, instance_id)
    quotas.MIGRATIONS.require_room(count(session, everything(Migration, account)))
    rules.check_destination(instance)
    lifecycle.require(instance, Status.RUNNING)
    if instance.applied != instance.version:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"{instance.id}: its last change is still being made; try again in a moment",
        )
    passed = assessments.successful(session, account, instance, source)
    there = locate(session, instance, source.address, source.port)
    source_id = there.id if there else None
    guards.refuse_second(session, instance, source_id, source.address, source.port)
    if rules.contents(data):
        raise CloudError(
            "OperationDenied.DestinationNotEmpty",
            f"{instance.id} is not empty any more: it holds databases or tables of its own",
        )
    if there is not None:
        lifecycle.require(there, Status.RUNNING)
    lifecycle.occupy(instance, Status.IMPORTING)
    row = Migration(name=names.migration_name(name), assessment_id=passed.id)
    return assessments.begin(session, vault, row, instance, source, there)


def find(session: Session, account: Account, id: int) -> Migration:
    """The account's migration; CloudError InvalidTaskId.NotFound."""
    return owned(session, Migration, account, str(id))


def under_way(session: Session, account: Account, instance_id: str) -> Migration:
    """The migration into the account's instance that is not over.

    CloudError: InvalidDBInstanceId.NotFound, IncorrectDBInstanceState (there is none).
    """
    instance = lifecycle.find(session, account, instance_id)
    row = guards.active(session, instance.id)
    if row is None:
        raise CloudError("IncorrectDBInstanceState", f"nothing is migrated into {instance.id}")
    return row


def time_limit(progress: Progress) -> int:
    """Seconds within which a switchover promotes the destination or is put back."""
    with suppress(FileNotFoundError):  # the operator has removed its record
        if progress.record is not None:
            return round(progress.record.request.time_limit)
    return round(Request.time_limit)


def switch(
    row: Migration, progress: Progress, *, forced: bool = False, time_limit: int | None = None
) -> None:
    """Order the switchover, with another time limit (seconds) if one is given.

    CloudError IncorrectDBInstanceState where no switchover can begin, and where it was ordered
    too often.
    """
    is_busy = row.order is not Order.NONE or progress.is_ordered or progress.undoing is not None
    if progress.state is not State.SYNCHRONIZING or is_busy:
        raise too_early(row, progress)
    ordered = sum(e["kind"] == "signal" and e["name"] == SWITCHOVER for e in progress.entries)
    if ordered >= _MOST_ORDERS:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"a switchover of task {row.id} was put back {ordered} times; cancel it, and begin"
            " another migration",
        )
    if time_limit is not None and progress.record is not None:
        progress.record.amend(time_limit=time_limit)
    row.order = Order.FORCED_SWITCH if forced else Order.SWITCH
    row.touch()


#: Stage -> what a migration does in it that keeps a switchover from beginning.
_DOES = {
    Stage.PRECHECK: "checks prerequisites",
    Stage.BASEBACKUP: "makes the full copy",
    Stage.STARTUP: "starts the destination",
}


def too_early(row: Migration, progress: Progress) -> CloudError:
    """IncorrectDBInstanceState of one in which no switchover can begin now, and why."""
    if is_end(progress.state):  # its stage is the last that it had
        does = "is over"
    elif row.order is Order.CANCEL or progress.undoing is not None:
        does = "is being put back"
    else:
        does = _DOES.get(progress.stage, "switches over already")
    return CloudError(
        "IncorrectDBInstanceState",
        f"task {row.id} {does}; a switchover begins in the incremental synchronization",
    )


def cancel(row: Migration, progress: Progress, *, give_up: bool = False) -> None:
    """Order that all is put back; `give_up`: without what that waits for.

    CloudError IncorrectDBInstanceState when it is too late, when all is being put back already,
    and when there is nothing to give up.
    """
    if not row.is_active or progress.is_promoted:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"task {row.id} is {progress.label.lower()}: it cannot be cancelled any more",
        )
    undone = progress.undoing
    waits = undone.waits if undone else None
    if give_up and waits is None:
        raise CloudError(
            "IncorrectDBInstanceState", f"task {row.id} waits for nothing that could be given up"
        )
    if undone is not None and not give_up:
        raise CloudError(
            "IncorrectDBInstanceState",
            f"task {row.id} is being put back already"
            + (f": {waits.text} GiveUp ends it without that" if waits else ""),
        )
    row.order = Order.CANCEL
    row.touch()


def close(row: Migration) -> None:
    """Put a migration away that is over. CloudError IncorrectDBInstanceState."""
    _require_over(row)
    row.is_closed = True
    row.touch()


def delete(session: Session, row: Migration) -> None:
    """Forget a migration that is over. CloudError IncorrectDBInstanceState."""
    _require_over(row)
    session.delete(row)


def _require_over(row: Migration) -> None:
    if row.is_active:
        raise CloudError("IncorrectDBInstanceState", f"task {row.id} is not over; cancel it first")
