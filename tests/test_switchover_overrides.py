"""Who wrote although the source was read-only, judged from looks at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from landbridge.migration.fence.overrides import Look, overriding

CLOSED = datetime(2026, 1, 1, tzinfo=UTC)


def at(milliseconds: float) -> datetime:
    return CLOSED + timedelta(milliseconds=milliseconds)


def look(when: float, next_xid: int, oldest: float | None = None, *begun: float) -> Look:
    writers = tuple({"pid": i, "xact_start": at(b).isoformat()} for i, b in enumerate(begun))
    return Look(at(when), next_xid, None if oldest is None else at(oldest), writers)


def test_transactions_older_than_the_fence_may_end() -> None:
    looks = [look(-1, 10, -5, -5), look(1, 11, -4, -4), look(2, 12), look(9, 12)]
    assert overriding(looks, CLOSED) is None


def test_a_younger_transaction_that_writes_is_named() -> None:
    found = overriding([look(1, 10, -3, -3), look(2, 10, -3, -3, 1.5)], CLOSED)
    assert found is not None
    assert [w["pid"] for w in found] == [1]


def test_growth_counts_only_when_nothing_older_is_open() -> None:
    looks = [look(-1, 10), look(1, 11, -2), look(2, 14, -2), look(3, 20)]
    assert overriding(looks, CLOSED) is None
    assert overriding([*looks, look(4, 21, 3.5)], CLOSED) == []
