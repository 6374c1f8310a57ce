"""Feasibility assessments: ordered, found, and which one a migration goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ...assessment.fixes import why_not
from ...assessment.model import Report
from ...postgres.conninfo import Secret
from ...store import Vault, utcnow
from .. import quotas
from ..accounts import Account
from ..dependents import refuse_if_used
from ..errors import CloudError
from ..instances import lifecycle
from ..instances.states import Status
from ..instances.tables import DBInstance
from ..ownership import count, everything, owned
from ..remedies import Remedy
from . import detail, names, renewal, rules
from .source import Source, locate
from .tables import Assessment, Task, Verdict

Kind = TypeVar("Kind", bound=Task)
#: Entries that are kept of what was applied, the latest.
_MOST_FIXES = 200


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
    what = ""
    if latest is None or latest.verdict is not Verdict.SUCCESSFUL:
        what = "was never assessed" if latest is None else f"was assessed: {latest.verdict.value}"
    elif is_stale(latest):
        what = f"was assessed too long ago: {latest.id} has findings older than a week"
    if latest is None or what:
        raise CloudError(
            "OperationDenied.AssessmentNotPassed",
            f"a migration from {source.address}:{source.port} as {source.account} into"
            f" {instance.id} {what}",
            remedy=Remedy(
                "Call CreateCloudMigrationPrecheckTask with the same instance, address, port and"
                " account (or RecheckAssessment), and wait for *Migrate check success*.",
                "Check Everything Again in its report, or create another feasibility assessment"
                " task, and wait until it is Successful.",
            ),
        )
    return latest


def again(session: Session, vault: Vault, row: Assessment, password: Secret) -> None:
    """Order that everything is looked at again; the report stays until then.

    CloudError: IncorrectDBInstanceState, InvalidDBInstanceId.NotFound, and those of
    `rules.check_destination`.
    """
    _order_look(session, vault, row, password)
    row.verdict = Verdict.RUNNING


def again_one(
    session: Session, vault: Vault, row: Assessment, finding: str, password: Secret
) -> None:
    """Order that one finding is looked at again; all else of the report stays (`renewal`).

    CloudError: InvalidFindingId.NotFound, and those of `again`.
    """
    require_findings(row, [finding])
    _order_look(session, vault, row, password)
    row.recheck = finding


def require_findings(row: Assessment, ids: Sequence[str]) -> Report:
    """Its report, if all of these are of it.

    CloudError: InvalidFindingId.NotFound, IncorrectDBInstanceState (there is no report yet).
    """
    _require_idle(row)
    assert row.report is not None
    report = Report.from_dict(row.report)
    known = {f.id for f in report.findings} | {s.id for s in report.skipped}
    if missing := [id for id in ids if id not in known]:
        raise CloudError(
            "InvalidFindingId.NotFound",
            f"assessment {row.id} has no finding {', '.join(missing)}",
        )
    return report


def _order_look(session: Session, vault: Vault, row: Assessment, password: Secret) -> None:
    """Take the destination, and keep what is needed to look at the source."""
    _require_idle(row)
    instance = session.get(DBInstance, row.instance_id)
    if instance is None or instance.owner_uid != row.owner_uid:
        raise CloudError(DBInstance.not_found)
    rules.check_destination(instance)
    lifecycle.occupy(instance, Status.MAINTAINING)
    there = locate(session, instance, row.address, row.port)
    row.source_id = there.id if there else None
    row.password_id = vault.keep(session, password.reveal())
    row.touch()


def _require_idle(row: Assessment) -> None:
    if is_worked_on(row):
        raise CloudError(
            "IncorrectDBInstanceState",
            f"assessment {row.id} is being worked on",
            remedy=Remedy(
                "Wait until DescribeAssessment shows nothing that is pending.",
                "Wait until the report shows that it is done.",
            ),
        )


def is_worked_on(row: Assessment) -> bool:
    """Whether something was ordered of it that is not done yet."""
    is_looking = row.verdict is Verdict.RUNNING or row.recheck is not None
    return is_looking or row.fix_account is not None


def is_stale(row: Assessment) -> bool:
    """Whether its findings are too old for a migration to go by them."""
    return row.gist is not None and renewal.is_old(row.gist["oldest"], utcnow())


def delete(session: Session, row: Assessment) -> None:
    """Forget an assessment that is over.

    CloudError: IncorrectDBInstanceState, DependencyViolation (a migration goes by it).
    """
    _require_idle(row)
    refuse_if_used(session, row)
    session.delete(row)


def pending(session: Session) -> list[tuple[str, int]]:
    """Id and owner of those that are not over, oldest first. For the mover alone, all the time."""
    return [(id, uid) for id, uid in session.connection().execute(_PENDING)]


_PENDING = (
    select(Assessment.id, Assessment.owner_uid)
    .where(or_(Assessment.verdict == Verdict.RUNNING, Assessment.recheck.is_not(None)))
    .order_by(Assessment.created_at)
)


def settle(
    session: Session,
    vault: Vault,
    id: str,
    report: Report,
    rechecked: dict[str, Any] | None = None,
) -> None:
    """Write down what was found, and give the destination back.

    `rechecked`: what came of looking at one finding again.
    """
    row = session.get_one(Assessment, id)
    row.report, row.gist = report.as_dict(), renewal.gist(report)
    row.recheck, row.rechecked = None, rechecked
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
    session: Session,
    vault: Vault,
    row: Assessment,
    admin: str,
    password: Secret,
    findings: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Order that fixes are applied, as an account of the source: of all findings, or of these.

    Returned is each of `findings` and why nothing can be applied for it, empty where that will
    be tried; where none can, nothing is ordered. CloudError: InvalidFindingId.NotFound,
    IncorrectDBInstanceState while the assessment runs, or others are being applied.
    """
    report = require_findings(row, findings)
    chosen = [
        (id, why_not([f for f in report.findings if f.id == id])) for id in dict.fromkeys(findings)
    ]
    if findings and all(why for _, why in chosen):
        return chosen
    row.fix_account = admin
    row.fix_ids = [id for id, _ in chosen] or None
    row.password_id = vault.keep(session, password.reveal())
    row.touch()
    return chosen


def to_fix(session: Session) -> list[tuple[str, int]]:
    """Id and owner of those with fixes to be applied. For the mover alone, all the time."""
    return [(id, uid) for id, uid in session.connection().execute(_TO_FIX)]


_TO_FIX = select(Assessment.id, Assessment.owner_uid).where(Assessment.fix_account.is_not(None))


def fixed(session: Session, vault: Vault, id: str, applied: list[dict[str, Any]]) -> None:
    """Write down what was applied, after what was before."""
    row = session.get_one(Assessment, id)
    at = utcnow().isoformat(timespec="milliseconds")
    row.fixes = [*(row.fixes or []), *({**each, "at": at} for each in applied)][-_MOST_FIXES:]
    row.fix_account, row.fix_ids = None, None
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
