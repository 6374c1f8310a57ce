"""The whole verification, from the rights on the source to verification.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg

from ...errors import UsageError, VerificationFailed
from ...postgres import positions
from ..journal import now
from ..standby.hold import hold
from ..standby.lifecycle import dbname as home_of
from ..task import Task, write_json
from .budget import WalBudget
from .compare import Comparison, Reading
from .examine import databases_of, examine, recorded, refresh_evidence
from .moment import Moment, at_rest
from .objects import compare_definitions, compare_large_objects, compare_shared
from .point import common_point
from .result import Verification
from .sequences import compare_sequences
from .sides import Side, sides
from .tables import Pair, Table, list_tables, pair_up, unreadable, wanted
from .where import where

#: How often a table is read again that was truncated, rewritten or altered meanwhile.
_ROUNDS = 3

_WHERE_IT_IS = {"before": "still follows", "after": "has been promoted"}

Report = Callable[[str, int, int], None]


def verify(
    task: Task,
    *,
    when: str = "auto",
    tables: Sequence[str] | None = None,
    report: Report = lambda table, done, total: None,
    jobs: int = 4,
) -> Verification:
    """Compare source and destination at one position, and examine the destination.

    `when` is before or after the switchover; auto looks whether the destination has been
    promoted. With `tables` (patterns, see tables.wanted) only these tables are compared,
    and nothing else is. `report` is called at least twice a second while tables are read,
    with what is being compared, and how many tables of how many are done; what it raises
    ends the verification. `jobs` is how many tables are read at a time, on each side.

    The result goes to the journal and, unless `tables` are named, to the task's
    verification.json. Differences are in it, not raised (see raise_for_differences).
    Raises VerificationFailed where it could not be done, UsageError
    (verify.wrong_time, verify.no_such_table), ServerUnreachable, ServerFailed, and LandbridgeError
    (credentials.missing, verify.in_progress, verify.switching).
    """
    source, destination = sides(task)
    actual = _when(task, destination)
    if when not in ("auto", actual):
        raise UsageError(
            f"the destination {_WHERE_IT_IS[actual]}: it can be verified {actual} the switchover",
            id="verify.wrong_time",
        )
    result = Verification(actual, now(), only=None if tables is None else list(tables))
    with recorded(task, "verify", result):
        _Run(task, source, destination, report, jobs, result).everything()
    if tables is None:
        write_json(task.folder / "verification.json", result.as_dict())
    refresh_evidence(task)
    return result


@dataclass
class _Run:
    task: Task
    source: Side
    destination: Side
    report: Report
    jobs: int
    result: Verification
    total: int = 0
    done: int = 0
    last: str = ""
    pending: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Databases with something left to compare, and their tables that are done."""
    rounds: Counter[str] = field(default_factory=Counter)
    budget: WalBudget | None = None
    """While the standby is stopped."""

    def everything(self) -> None:
        databases = databases_of(self.source, self.task)
        self._require_rights(databases)
        self.pending = {name: set() for name in databases}
        with self._moments() as moment_of:
            while self.pending:
                with moment_of(list(self.pending)) as moment:
                    for pair in moment.pairs:
                        self._database(Comparison(*pair, self.jobs), moment)
        if self.result.only is not None:
            return
        for name in databases:
            self._say(f"sequences of {name}")
            compare_sequences(self.source, self.destination, name, self.result)
        examine(self.task, self.destination, self.result, self.jobs, self._say)

    @contextmanager
    def _moments(self) -> Iterator[Callable[[list[str]], AbstractContextManager[Moment]]]:
        """Gives moments at which some of the databases named can be compared."""
        if self.result.when == "after":
            yield partial(at_rest, self.task, self.source, self.destination)
            return
        with self.source.session(home_of(self.task)) as conn, hold(self.task) as held:
            self.budget = WalBudget(self.task, conn)
            yield partial(common_point, self.task, held, self.source, self.destination)
        self.budget = None

    def _require_rights(self, databases: Sequence[str]) -> None:
        """Raise VerificationFailed (verify.no_select) if a wanted table cannot be read.

        UsageError (verify.no_such_table) if tables were named and none is like that.
        """
        closed: list[str] = []
        for name in databases:
            with self.source.session(name) as conn:
                tables = [t for t in list_tables(conn).values() if self._wants(name, t)]
            self.total += len(tables)
            closed += unreadable(name, tables)
        if self.result.only is not None and not self.total:
            raise UsageError(
                f"no table is like {', '.join(self.result.only)}", id="verify.no_such_table"
            )
        if closed:
            more = f" and {len(closed) - 5} more" if len(closed) > 5 else ""
            raise VerificationFailed(
                f"the source account may not read {', '.join(closed[:5])}{more}",
                id="verify.no_select",
                remedy="Name a superuser or a member of pg_read_all_data (14 and later) for the"
                " verification, or GRANT SELECT on these tables; row security must not apply.",
            )

    def _wants(self, database: str, table: Table) -> bool:
        return wanted(database, table, self.result.only)

    def _database(self, comparison: Comparison, moment: Moment) -> None:
        """Compare one database at one moment; what moved on stays pending."""
        ours, theirs, name = comparison.source, comparison.destination, comparison.source.dbname
        done = self.pending.pop(name)
        if not self.rounds[name] and self.result.only is None:
            if self.rounds.total() == 0:
                compare_shared(ours, theirs, self.result)
            compare_definitions(ours, theirs, self.result)
            compare_large_objects(ours, theirs, self.result)
        self.rounds[name] += 1
        pairs = pair_up(list_tables(ours.conn), list_tables(theirs.conn))
        chosen = {k: p for k, p in pairs.items() if k not in done and self._wants(name, p.any)}
        again: list[Reading] = []
        for reading in comparison.run(self._comparable(name, chosen.values()), self._tick):
            if reading.moved:
                again.append(reading)
            else:
                self._take(reading, comparison, moment)
        self.result.points.append(
            {"database": name, "lsn": str(moment.lsn), "tries": moment.tries,
             "snapshot": ours.snapshot}
        )  # fmt: skip
        if again and self.rounds[name] < _ROUNDS:
            moved = {(r.result.schema, r.result.table) for r in again}
            self.pending[name] = (done | chosen.keys()) - moved
            return
        for reading in again:
            why = f"{reading.moved}, in each of {_ROUNDS} attempts"
            self.result.skip(f"table {reading.result.name}", why)

    def _comparable(self, name: str, pairs: Iterable[Pair]) -> list[Pair]:
        """The tables whose content can be compared; the others are named as skipped."""
        kept = []
        for pair in pairs:
            if reason := pair.any.why_skipped:
                self.result.skip(f"table {name}.{pair.any.schema}.{pair.any.name}", reason)
                self.done += 1
            else:
                kept.append(pair)
        return kept

    def _take(self, reading: Reading, comparison: Comparison, moment: Moment) -> None:
        table = reading.result
        table.lsn = str(moment.lsn)
        if not table.equal and not table.error and reading.pair.both:
            table.where = self._where(reading.pair.any, comparison)
        self.result.tables.append(table)
        self.done += 1
        self._say(table.name)

    def _where(self, table: Table, comparison: Comparison) -> dict[str, Any]:
        source, destination = comparison.join()
        try:
            with (
                source.transaction(force_rollback=True),
                destination.transaction(force_rollback=True),
            ):
                return where(source, destination, table)
        except psycopg.Error as error:
            return {"not_found": str(error.diag.message_primary or error)}

    def _say(self, what: str) -> None:
        self.last = what
        self._tick()

    def _tick(self) -> None:
        if self.budget is not None:
            self.budget.look()
        self.report(self.last, self.done, max(self.done, self.total))


def _when(task: Task, destination: Side) -> str:
    with destination.session(home_of(task)) as conn:
        return "before" if positions.in_recovery(conn) else "after"
