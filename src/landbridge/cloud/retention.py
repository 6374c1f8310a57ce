"""How long rows that calls leave behind are kept, and how many of an account.

Nobody who calls in a loop fills the disk that all share. The service removes what is beyond,
a little at a time: other writers wait for one small batch. What was removed of a ledger is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, takewhile
from typing import Any

from sqlalchemy import Select, String, and_, bindparam, delete, func, inspect, select
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from ..beside import beside
from ..errors import LandbridgeError
from ..store import Base, Database, utcnow
from .accounts import Account
from .audit import SUCCESS, AuditEntry
from .control import Cloud
from .idempotency import KEPT, ClientToken
from .logins import LASTS, Login
from .metering import Usage
from .migrations import records

#: How long the audit trail and what was used are kept.
TRAIL, USAGE = timedelta(days=90), timedelta(days=400)
#: Rows of an account: of the trail those of calls that were done, and of each reason of refusal,
#: so that nobody who is refused pushes out what was done; ClientTokens; hours of use.
MOST_DONE, MOST_REFUSED, MOST_TOKENS, MOST_USAGE = 100_000, 5_000, 10_000, 300_000
#: Seconds between two looks, and between two batches.
_EVERY, _PAUSE = 60.0, 0.05
#: Rows that are looked at together, and removed in one transaction.
_LOOK, _BATCH = 5_000, 250

_log = logging.getLogger(__name__)


class Removed(Base):
    """That a ledger of an account is not complete any more."""

    __tablename__ = "removed_rows"

    account_uid: Mapped[int] = mapped_column(primary_key=True)
    ledger: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Name of the table."""
    part: Mapped[str] = mapped_column(String(80), primary_key=True)
    """Of the trail the outcome; otherwise empty."""
    until: Mapped[datetime]
    """Of the newest row that was removed."""
    count: Mapped[int]


@dataclass(frozen=True)
class Kept:
    """What is kept of one table."""

    table: type[Base]
    account: InstrumentedAttribute[Any]
    at: InstrumentedAttribute[datetime]
    order: InstrumentedAttribute[Any]
    """Oldest first, by an index."""
    within: timedelta
    most: Callable[[str], int] | None = None
    """Rows of an account and a part."""
    part: InstrumentedAttribute[str] | None = None
    is_told: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        return inspect(self.table).primary_key

    @property
    def group(self) -> tuple[Any, ...]:
        return (self.account,) if self.part is None else (self.account, self.part)


RULES = (
    Kept(AuditEntry, AuditEntry.account_uid, AuditEntry.at, AuditEntry.id, TRAIL,
         lambda outcome: MOST_DONE if outcome == SUCCESS else MOST_REFUSED,
         AuditEntry.outcome, is_told=True),
    Kept(ClientToken, ClientToken.account_uid, ClientToken.answered_at, ClientToken.answered_at,
         KEPT, lambda _: MOST_TOKENS),
    Kept(Login, Login.account_uid, Login.opened_at, Login.opened_at, LASTS),
    Kept(Usage, Usage.payer_uid, Usage.hour, Usage.hour, USAGE, lambda _: MOST_USAGE,
         is_told=True),
)  # fmt: skip


def complete_since(
    session: Session, account: Account, table: type[Base], part: str | None = None
) -> datetime | None:
    """What is later than this moment is all there; None while nothing was removed."""
    query = select(func.max(Removed.until)).where(
        Removed.account_uid == account.uid, Removed.ledger == table.__tablename__
    )
    if part is not None:
        query = query.where(Removed.part == part)
    return session.scalar(query)


def sweep(
    database: Database, rules: Sequence[Kept] = RULES, stop: threading.Event | None = None
) -> int:
    """Remove what is beyond the rules now, until `stop`; how many rows that were."""
    stop = stop or threading.Event()
    done = 0
    for rule in rules:
        for rows in chain(_too_old(database, rule), _too_many(database, rule)):
            for begin in range(0, len(rows), _BATCH):
                with database.write() as session:
                    done += _remove(session, rule, rows[begin : begin + _BATCH])
                if stop.wait(_PAUSE):
                    return done
    return done


def _oldest(rule: Kept) -> Select[Any]:
    """Key, moment and group of rows."""
    group = (column.label(f"g{n}") for n, column in enumerate(rule.group))
    return select(*rule.key, rule.at.label("moment"), *group).order_by(rule.order)


def _too_old(database: Database, rule: Kept) -> Iterator[Sequence[Any]]:
    """Some at a time: they are to be removed before the next are looked at."""
    limit = utcnow() - rule.within
    rows: Sequence[Any] = [None] * _LOOK
    while len(rows) == _LOOK:
        with database.read() as session:
            found = session.execute(_oldest(rule).limit(_LOOK))
            rows = list(takewhile(lambda row: row.moment < limit, found))
        if rows:
            yield rows


def _too_many(database: Database, rule: Kept) -> Iterator[Sequence[Any]]:
    """Some at a time, as `_too_old`; what is added meanwhile waits for the next sweep."""
    if rule.most is None:
        return
    with database.read() as session:
        query = select(*rule.group, func.count()).where(rule.account.is_not(None))
        counted = session.execute(query.group_by(*rule.group)).all()
    for *group, count in counted:
        more = count - rule.most(str(group[-1]))
        mine = _oldest(rule).where(*(c == v for c, v in zip(rule.group, group, strict=True)))
        while more > 0:
            with database.read() as session:
                rows = session.execute(mine.limit(min(more, _LOOK))).all()
            if not rows:
                break
            yield rows
            more -= len(rows)


def _remove(session: Session, rule: Kept, rows: Sequence[Any]) -> int:
    """How many went: a row that was made anew since it was looked at stays."""
    columns = (*rule.key, rule.at)
    same = and_(*(column == bindparam(f"k{n}") for n, column in enumerate(columns)))
    values = [{f"k{n}": row[n] for n in range(len(columns))} for row in rows]
    count = session.connection().execute(delete(rule.table).where(same), values).rowcount
    lost: dict[tuple[int, str, str], list[datetime]] = {}
    for row in rows if rule.is_told else ():
        account, *part = row[len(columns) :]
        if account is not None:
            key = (account, rule.table.__tablename__, part[0] if part else "")
            lost.setdefault(key, []).append(row.moment)
    for key, moments in lost.items():
        _tell(session, key, moments)
    return count


def _tell(session: Session, key: tuple[int, str, str], moments: Sequence[datetime]) -> None:
    told = session.get(Removed, key)
    if told is None:
        told = Removed(account_uid=key[0], ledger=key[1], part=key[2], until=moments[0], count=0)
        session.add(told)
    told.until = max(told.until, *moments)
    told.count += len(moments)


@contextmanager
def running(cloud: Cloud) -> Iterator[None]:
    """Keep to the rules, and to those about records of migrations, in a thread of its own."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                sweep(cloud.database, stop=stop)
                records.sweep(cloud)
            except LandbridgeError as problem:
                _log.warning("old rows stay: %s", problem)
            except Exception:
                _log.exception("old rows were not removed")
            stop.wait(_EVERY)

    with beside("retention", work):
        yield
