"""Sequences: the destination must not be behind, or it would give a number out twice.

A sequence does not belong to transactions, and no snapshot shows its value. The server
writes it to WAL 32 values ahead (PostgreSQL sources, sequence.c, SEQ_LOG_VALS), so a
standby shows the source's value or one further on; both are in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from ...postgres import positions
from ...postgres.lsn import Lsn
from ...postgres.process import wait_until
from .result import ObjectResult, Verification
from .sides import Connection, Side

#: Readings before a sequence that is behind counts as a difference: between two readings
#: somebody may have set it back on the source.
_TRIES = 3
#: Seconds without replay after which what is missing is taken to be unflushed.
_QUIET = 10.0
_BATCH = 200

_LIST = """
SELECT n.nspname, c.relname, s.seqincrement, s.seqcycle,
       has_sequence_privilege(c.oid, 'SELECT'), c.relpersistence = 'u'
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Value:
    """The last number given out, and the step to the next."""

    last: int
    step: int
    cycles: bool

    def is_behind(self, other: Value) -> bool:
        return (other.last - self.last) * self.step > 0 and not self.cycles


Values = dict[tuple[str, str], Value]


def compare_sequences(source: Side, destination: Side, dbname: str, result: Verification) -> None:
    """Compare all sequences of one database; the standby, if it is one, streams meanwhile."""
    with source.session(dbname) as ours, destination.session(dbname) as theirs:
        note_unreadable(ours, dbname, result)
        for attempt in range(1, _TRIES + 1):
            here = _values(ours)
            # What the source has only in memory may stay there for long, so it is waited
            # for only where it matters.
            arrived = attempt > 1 and _arrives(theirs, _written(ours))
            there = _values(theirs)
            late = {k for k, v in here.items() if k not in there or there[k].is_behind(v)}
            late |= there.keys() - here.keys()
            if not late or attempt == _TRIES:
                break
    if late and not arrived:
        result.skip(
            f"{len(late)} sequences in {dbname}",
            "their last values were not flushed on the source, and not received",
        )
    for key in sorted(here.keys() | there.keys()):
        if arrived or key not in late:
            values = (here.get(key), there.get(key))
            shown = [None if v is None else str(v.last) for v in values]
            name = f"{dbname}.{key[0]}.{key[1]}"
            result.objects.append(ObjectResult("sequence", name, key not in late, *shown))


def note_unreadable(conn: Connection, dbname: str, result: Verification) -> None:
    """Name the sequences that cannot be compared."""
    for schema, name, _, _, readable, unlogged in conn.execute(_LIST.encode()):
        what = f"sequence {dbname}.{schema}.{name}"
        if unlogged:
            result.skip(what, "unlogged: not replicated, starts anew after promotion")
        elif not readable:
            result.skip(what, "the source account may not read it")


def _values(conn: Connection) -> Values:
    rows = conn.execute(_LIST.encode()).fetchall()
    wanted = [r for r in rows if r[4] and not r[5]]
    found: Values = {}
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}::int, last_value, is_called FROM {}").format(
                number, sql.Identifier(row[0], row[1])
            )
            for number, row in enumerate(batch)
        )
        for number, last, called in conn.execute(query):
            schema, name, step, cycles, *_ = batch[number]
            found[schema, name] = Value(last if called else last - step, step, cycles)
    return found


def _written(conn: Connection) -> Lsn:
    """Up to where the source has written WAL to memory: all values read lie before."""
    row = conn.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return Lsn.parse(row[0])


def _arrives(destination: Connection, goal: Lsn) -> bool:
    """Whether a standby replays up to there, as long as it proceeds; a promoted one has."""
    if not positions.in_recovery(destination):
        return True
    reached = Lsn(0)

    def proceeds() -> bool:
        nonlocal reached
        before, reached = reached, positions.replay_lsn(destination) or Lsn(0)
        return reached > before or reached >= goal

    while reached < goal:
        if not wait_until(proceeds, _QUIET):
            return False
    return True
