"""Feasibility assessments: ordered, found, and which one a migration goes by."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...assessment.model import Report
from ...postgres.conninfo import Secret
from ...store import Vault
from .. import quotas
from ..accounts import Account
from ..dependents import refuse_if_used
from ..errors import CloudError
from ..instances import lifecycle
from ..instances.states import Status
from ..instances.tables import DBInstance
from ..ownership import count, everything, owned
from . import detail, names, rules
from .source import Source, locate
from .tables import Assessment, Task, Verdict

Kind = TypeVar("Kind", bound=Task)


def create(
    session: Session,
    vault: Vault,
    account: Account,
    instance_id: str,
    source: Source,
    name: str | None = None,
) -> Assessment:
    """Order an assessment; the destination is Maintaining Instance until it is over.

    CloudError: InvalidDBInstanceId.NotFound, IncorrectDBInstanceType,
    OperationDenied.LocalStorage, OperationDenied.ReadOnlyInstances,
    IncorrectDBInstanceState, InvalidParameter, QuotaExceeded.Assessment.
    """
    instance = lifecycle.find(session, account, instance_id)
    quotas.ASSESSMENTS.require_room(count(session, everything(Assessment, account)))
    rules.check_destination(instance)
    lifecycle.occupy(instance, Status.MAINTAINING)
    there = locate(session, instance, source.address, source.port)
    row = Assessment(name=names.assessment_name(name))
    return begin(session, vault, row, instance, source, there)


def begin(
    session: Session,
    vault: Vault,
    row: Kind,
    instance: DBInstance,
    source: Source,
    there: DBInstance | None,
) -> Kind:
    """Add the row of a new task from `source`, which is our instance `there` or none of ours."""
    row.id = names.new_id(session)
    row.owner_uid = instance.owner_uid
    row.instance_id = instance.id
    row.category, row.account = source.category, source.account
    row.address, row.port = source.address, source.port
    row.source_id = there.id if there else None
    row.password_id = vault.keep(session, source.password.reveal())
    session.add(row)
    session.flush()
    return row


def find(session: Session, account: Account, id: int) -> Assessment:
    """The account's assessment; CloudError InvalidTaskId.NotFound."""
    return owned(session, Assessment, account, str(id))


def successful(
    session: Session, account: Account, instance: DBInstance, source: Source
) -> Assessment:
    """The assessment that a migration from `source` goes by: the latest of just this pair.

    The API names none; the vendor's console shows the ones that were successful. CloudError
    OperationDenied.AssessmentNotPassed.
    """
    latest = session.scalar(
        everything(Assessment, account)
        .where(
            Assessment.instance_id == instance.id,
            Assessment.address == source.address,
            Assessment.port == source.port,
            Assessment.account == source.account,
        )
        .order_by(Assessment.created_at.desc(), Assessment.id.desc())
        .limit(1)
    )
    if latest is None or latest.verdict is not Verdict.SUCCESSFUL:
        what = "was never assessed" if latest is None else f"was assessed: {latest.verdict.value}"
        raise CloudError(
            "OperationDenied.AssessmentNotPassed",
            f"a migration from {source.address}:{source.port} as {source.account} into"
            f" {instance.id} {what}",
            remedy="Call CreateCloudMigrationPrecheckTask with the same instance, address, port"
            " and account, and wait for *Migrate check success*.",
        )
    return latest


def again(session: Session, vault: Vault, row: Assessment, password: Secret) -> None:
    """Order that everything is looked at again; the report stays until then.

    Not one check alone: what a first failure had hidden would be taken for well.
    CloudError: IncorrectDBInstanceState, InvalidDBInstanceId.NotFound, and those of
    `rules.check_destination`.
    """
    _require_idle(row)
    instance = session.get(DBInstance, row.instance_id)
    if instance is None or instance.owner_uid != row.owner_uid:
        raise CloudError(DBInstance.not_found)
    rules.check_destination(instance)
    lifecycle.occupy(instance, Status.MAINTAINING)
    there = locate(session, instance, row.address, row.port)
    row.source_id = there.id if there else None
    row.verdict = Verdict.RUNNING
    row.password_id = vault.keep(session, password.reveal())
    row.touch()


def _require_idle(row: Assessment) -> None:
    if row.verdict is Verdict.RUNNING or row.fix_account is not None:
        raise CloudError("IncorrectDBInstanceState", f"assessment {row.id} is being worked on")


def delete(session: Session, row: Assessment) -> None:
    """Forget an assessment that is over.

    CloudError: IncorrectDBInstanceState, DependencyViolation (a migration goes by it).
    """
    _require_idle(row)
    refuse_if_used(session, row)
    session.delete(row)


def pending(session: Session) -> list[Assessment]:
    """Those that are not over, oldest first. For the mover alone."""
    query = select(Assessment).where(Assessment.verdict == Verdict.RUNNING)
    return list(session.scalars(query.order_by(Assessment.created_at)))


def settle(session: Session, vault: Vault, id: str, report: Report) -> None:
    """Write down what was found, and give the destination back."""
    row = session.get_one(Assessment, id)
    row.report = report.as_dict()
    row.verdict = Verdict.FAILED if report.errors else Verdict.SUCCESSFUL
    row.touch()
    secret, row.password_id = row.password_id, None
    session.flush()
    if secret is not None:
        vault.forget(session, secret)
    instance = session.get(DBInstance, row.instance_id)
    if instance is not None and instance.status is Status.MAINTAINING:
        lifecycle.release(instance)


def order_fixes(
    session: Session, vault: Vault, row: Assessment, admin: str, password: Secret
) -> None:
    """Order that the fixes which need no restart are applied, as an account of the source.

    CloudError IncorrectDBInstanceState while it runs, or others are being applied.
    """
    _require_idle(row)
    row.fix_account = admin
    row.password_id = vault.keep(session, password.reveal())
    row.touch()


def to_fix(session: Session) -> list[Assessment]:
    """Those with fixes to be applied. For the mover alone."""
    return list(session.scalars(select(Assessment).where(Assessment.fix_account.is_not(None))))


def fixed(session: Session, vault: Vault, id: str, applied: list[dict[str, Any]]) -> None:
    """Write down what was applied."""
    row = session.get_one(Assessment, id)
    row.fixes, row.fix_account = applied, None
    row.touch()
    secret, row.password_id = row.password_id, None
    session.flush()
    if secret is not None:
        vault.forget(session, secret)


def text(row: Assessment) -> str:
    """Its Detail; empty until it is over."""
    if row.report is None or row.verdict is Verdict.RUNNING:
        return ""
    return detail.assessed(Report.from_dict(row.report), whence(row))


def whence(row: Assessment) -> dict[str, str]:
    """What the texts of Detail say of the source."""
    return {"address": row.address, "port": str(row.port), "account": row.account}
