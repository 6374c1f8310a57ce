"""What is written down when something has been done for an assessment or a migration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from ...assessment.model import Finding, Report
from ...store import Vault
from ..instances import lifecycle
from ..instances.states import Status
from ..instances.tables import DBInstance
from .tables import Migration, Order


def report(findings: Sequence[Finding], base: Report | None = None) -> Report:
    """A report of these findings, before those of `base`."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    findings = tuple(replace(each, checked=now) for each in findings)
    if base is None:
        return Report(findings, (), now, now, {}, {})
    return Report(
        (*findings, *base.findings), base.skipped, base.started, base.finished, base.source,
        base.destination,
    )  # fmt: skip


def begun(session: Session, vault: Vault, id: str, task: str) -> None:
    """A migration has a record of its own now, with the password."""
    row = session.get_one(Migration, id)
    row.task, row.trouble = task, ""
    row.touch()
    _forget_password(session, vault, row)


def passed_on(session: Session, id: str, order: Order) -> None:
    """The worker knows of an order; one that was given meanwhile stays."""
    row = session.get_one(Migration, id)
    if row.order is order:
        row.order = Order.NONE
    row.trouble = ""
    row.touch()


def follows(session: Session, row: Migration, standby: str) -> None:
    """A migration's standby follows: commits at a source of ours can wait for it from now on."""
    source = session.get(DBInstance, row.source_id) if row.source_id else None
    if source is not None and source.awaited != standby:
        source.awaited = standby
        source.change()


def came_to_nothing(session: Session, row: Migration, standby: str) -> None:
    """A migration's standby is no more: nobody waits for it."""
    source = session.get(DBInstance, row.source_id) if row.source_id else None
    if source is not None and source.awaited == standby:
        source.awaited = None
        source.change()


def ended(
    session: Session,
    vault: Vault,
    id: str,
    *,
    carried: dict[str, Any] | None = None,
    words: str = "",
) -> None:
    """A migration is over: its destination is an instance like others.

    After a success its server goes on as it is, with the settings (`carried`) and the database
    accounts that came with the data. Without `carried` nothing came of it, and `words` say why.
    The order to cancel one that was never begun stays: it says how it ended.
    """
    row = session.get_one(Migration, id)
    row.is_active, row.trouble = False, words
    if row.task is not None or row.order is not Order.CANCEL:
        row.order = Order.NONE
    row.touch()
    _forget_password(session, vault, row)
    instance = session.get(DBInstance, row.instance_id)
    if instance is None or instance.status is not Status.IMPORTING:
        return
    lifecycle.release(instance)
    if carried is None:
        instance.status = Status.REBOOTING  # its server is down
    else:
        instance.carried = carried
        verifiers = [account.verifier_id for account in instance.accounts]
        instance.accounts.clear()
        session.flush()
        for verifier in filter(None, verifiers):
            vault.forget(session, verifier)


def _forget_password(session: Session, vault: Vault, row: Migration) -> None:
    secret, row.password_id = row.password_id, None
    session.flush()
    if secret is not None:
        vault.forget(session, secret)
