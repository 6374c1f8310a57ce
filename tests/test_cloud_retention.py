"""What calls leave behind does not grow for ever, and what was removed of it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from landbridge.cloud import Cloud, accounts, audit, idempotency, keys, logins, retention
from landbridge.cloud.audit import AuditEntry
from landbridge.cloud.idempotency import ClientToken
from landbridge.cloud.metering import Item, Usage
from landbridge.store import Database, utcnow

TRAIL, TOKENS, LOGINS, USAGE = retention.RULES


def count(cloud: Cloud, table: Any) -> int:
    with cloud.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is looked at and removed at a time."""
    monkeypatch.setattr(retention, "_LOOK", 4)
    monkeypatch.setattr(retention, "_BATCH", 3)
    monkeypatch.setattr(retention, "_PAUSE", 0.0)


def at_most(most: Callable[[str], int], rule: retention.Kept) -> tuple[retention.Kept, ...]:
    return (replace(rule, most=most),)


def test_refusals_never_push_out_what_was_done_and_the_trail_says_since_when_it_is_whole(
    db: Database, few: None
) -> None:
    now = utcnow()
    with db.write() as session:
        ann, bob = (accounts.create(session, name) for name in ("ann", "bob"))
        for n in range(30):
            for outcome in (audit.SUCCESS, "SignatureDoesNotMatch", "InvalidParameter")[
                : 1 + n % 3
            ]:
                at = now - timedelta(minutes=30 - n)
                session.add(
                    AuditEntry(
                        at=at, account_uid=ann.uid, source="x", action=f"a{n}", outcome=outcome
                    )
                )
        old = now - retention.TRAIL - timedelta(days=1)
        session.add(AuditEntry(id=-1, at=old, account_uid=bob.uid, source="x", action="old"))
        session.add(AuditEntry(id=-2, at=old, account_uid=None, source="local:x", action="reseal"))
    with db.read() as session:
        assert retention.complete_since(session, ann, AuditEntry) is None

    limited = at_most(lambda outcome: 50 if outcome == audit.SUCCESS else 7, TRAIL)
    assert retention.sweep(db, limited) == 2 + 13 + 3
    assert retention.sweep(db, limited) == 0
    with db.read() as session:
        left = [(e.outcome, e.action) for e in audit.trail(session, ann, 1000)]
        assert sum(outcome == audit.SUCCESS for outcome, _ in left) == 30
        wrong = [action for outcome, action in left if outcome == "SignatureDoesNotMatch"]
        assert wrong == [f"a{n}" for n in range(29, -1, -1) if n % 3][:7]
        assert not audit.trail(session, bob)
        assert retention.complete_since(session, bob, AuditEntry) == old
        assert retention.complete_since(session, ann, AuditEntry, audit.SUCCESS) is None
        lost = retention.complete_since(session, ann, AuditEntry)
        assert lost == now - timedelta(minutes=30 - 19)
        told = session.get_one(retention.Removed, (ann.uid, "audit_entry", "SignatureDoesNotMatch"))
        assert (told.count, told.until) == (13, lost)


def test_tokens_go_after_a_day_and_the_oldest_beyond_the_most(db: Database, few: None) -> None:
    with db.write() as session:
        ann, bob = (accounts.create(session, name) for name in ("ann", "bob"))
        for n in range(12):
            idempotency.remember(session, ann, "vpc.CreateVpc", f"t{n}", {}, {"n": n})
        idempotency.remember(session, bob, "vpc.CreateVpc", "t0", {}, {})
    expired = utcnow() - idempotency.KEPT - timedelta(seconds=1)
    with db.write() as session:
        session.get_one(ClientToken, (ann.uid, "vpc.CreateVpc", "t0")).answered_at = expired
        session.get_one(ClientToken, (ann.uid, "vpc.CreateVpc", "t5")).answered_at = expired
    with db.write() as session:  # used again before it was removed
        assert idempotency.recall(session, ann, "vpc.CreateVpc", "t5", {}) is None
        idempotency.remember(session, ann, "vpc.CreateVpc", "t5", {}, {"n": "again"})

    assert retention.sweep(db, at_most(lambda _: 4, TOKENS)) == 1 + 7
    with db.read() as session:
        kept = session.execute(select(ClientToken.account_uid, ClientToken.token)).all()
        assert sorted(t for uid, t in kept if uid == ann.uid) == ["t10", "t11", "t5", "t9"]
        assert [t for uid, t in kept if uid == bob.uid] == ["t0"]
        assert idempotency.recall(session, ann, "vpc.CreateVpc", "t5", {}) == {"n": "again"}


def test_one_key_keeps_a_few_logins_open_and_ended_ones_go(cloud: Cloud, few: None) -> None:
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        first, second = (keys.create(session, cloud.vault, ann)[0].id for _ in range(2))
        tokens = [logins.open_(session, ann, key_id=first).reveal() for _ in range(logins.MOST + 3)]
        other = logins.open_(session, ann, key_id=second).reveal()
        session.flush()
        there = [logins.find(session, token) is not None for token in (*tokens, other)]
    assert there == [False] * 3 + [True] * (logins.MOST + 1)
    with cloud.database.write() as session:
        for login in session.scalars(select(logins.Login).limit(5)):
            login.opened_at = utcnow() - logins.LASTS - timedelta(seconds=1)
    assert retention.sweep(cloud.database, (LOGINS,)) == 5
    assert count(cloud, logins.Login) == logins.MOST - 4


def test_hours_of_use_are_kept_for_a_year_and_their_loss_is_told(db: Database, few: None) -> None:
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    with db.write() as session:
        ann = accounts.create(session, "ann")
        for n, age in enumerate([401, 400.5, 3, 2, 1]):
            session.add(Usage(payer_uid=ann.uid, hour=hour - timedelta(days=age), item=Item.PLAN,
                              resource_id=f"cenbwp-{n}", tariff="", quantity=1.0))  # fmt: skip
    assert retention.sweep(db, at_most(lambda _: 2, USAGE)) == 3
    with db.read() as session:
        assert session.scalars(select(Usage.resource_id).order_by(Usage.hour)).all() == [
            "cenbwp-3", "cenbwp-4",
        ]  # fmt: skip
        assert retention.complete_since(session, ann, Usage) == hour - timedelta(days=3)


def test_a_sweep_ends_also_while_rows_are_added(cloud: Cloud, few: None) -> None:
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        for n in range(12):
            audit.record(session, f"a{n}", "x", account_uid=ann.uid)
    looked = 0

    def most(_: str) -> int:
        nonlocal looked
        looked += 1
        with cloud.database.write() as session:
            audit.record(session, "more", "x", account_uid=ann.uid)
        return 2

    assert retention.sweep(cloud.database, at_most(most, TRAIL)) == 10
    assert looked == 1 and count(cloud, AuditEntry) == 3


def test_the_service_sweeps_by_itself(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        old = utcnow() - retention.TRAIL - timedelta(days=1)
        session.add(AuditEntry(at=old, source="x", action="old"))
    from landbridge.postgres.process import wait_until

    with retention.running(cloud):
        assert wait_until(lambda: count(cloud, AuditEntry) == 0, 20)
