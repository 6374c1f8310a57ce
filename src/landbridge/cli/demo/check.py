"""The demonstration's own proof, independent of the migration's: the application's view."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from psycopg import Connection

_BALANCES = """
SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts),
       (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
       (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches),
       (SELECT coalesce(sum(delta), 0) FROM pgbench_history),
       (SELECT count(*) FROM pgbench_history)
"""


@dataclass(frozen=True)
class Acknowledgement:
    """One line of the writer's file."""

    number: int
    at: float
    """Seconds of the machine's monotonic clock."""
    port: int
    attempts: int

    @classmethod
    def parse(cls, line: str) -> Self:
        number, at, port, attempts = (int(part) for part in line.split())
        return cls(number, at / 1e9, port, attempts)


@dataclass(frozen=True)
class Comparison:
    """Acknowledged rows against the rows that are there."""

    acknowledged: int
    missing: list[int]
    """Acknowledged, but not there."""
    duplicated: list[int]
    """There more than once."""
    damaged: list[int]
    """There with another content than was written."""
    unacknowledged: int
    """There, but never acknowledged: at most the row under way when the writer ended."""

    @property
    def is_clean(self) -> bool:
        return not (self.missing or self.duplicated or self.damaged)


@dataclass(frozen=True)
class Balances:
    """What the load's transactions leave behind: every sum is the same if none was torn."""

    sums: tuple[int, int, int, int]
    """Accounts, tellers, branches, history."""
    transactions: int

    @property
    def agree(self) -> bool:
        return len(set(self.sums)) == 1


def read_acknowledgements(path: Path) -> list[Acknowledgement]:
    """Every acknowledgement, in order; a last line cut short is none."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [Acknowledgement.parse(line) for line in whole.splitlines()]


def compare(acknowledged: Iterable[Acknowledgement], conn: Connection) -> Comparison:
    """Look up every acknowledged row in the ledger behind `conn`."""
    counts: Counter[int] = Counter()
    damaged = []
    for number, is_intact in conn.execute("SELECT n, payload = md5(n::text) FROM ledger"):
        counts[number] += 1
        if not is_intact:
            damaged.append(number)
    expected = {a.number for a in acknowledged}
    return Comparison(
        acknowledged=len(expected),
        missing=sorted(expected - counts.keys()),
        duplicated=sorted(n for n, times in counts.items() if times > 1),
        damaged=sorted(damaged),
        unacknowledged=len(counts.keys() - expected),
    )


def outage(acknowledged: list[Acknowledgement]) -> float | None:
    """Seconds from the last acknowledgement of one server to the first of the next.

    None if only one server ever acknowledged.
    """
    gaps = [
        after.at - before.at
        for before, after in itertools.pairwise(acknowledged)
        if before.port != after.port
    ]
    return max(gaps, default=None)


def balances(conn: Connection) -> Balances:
    """Sum up the load's tables behind `conn`."""
    row = conn.execute(_BALANCES).fetchone()
    assert row is not None
    *sums, transactions = (int(value) for value in row)
    return Balances((sums[0], sums[1], sums[2], sums[3]), transactions)
