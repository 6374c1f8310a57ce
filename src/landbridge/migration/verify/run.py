"""The whole verification, from the rights on the source to verification.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from ...errors import UsageError, VerificationFailed
from ...postgres import positions
from ..journal import now
from ..task import Task, write_json
from .compare import Comparison, Report
from .hold import hold
from .moment import Moment, at_rest
from .point import common_point
from .result import TableResult, Verification
from .sides import Side, sides
from .tables import Table, list_tables, note_skipped, wanted

#: How often a table is read again that was truncated, rewritten or altered meanwhile.
_ROUNDS = 3

Names = frozenset[tuple[str, str]]


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
    promoted. `tables` are patterns (see tables.wanted); None compares everything.
    `report` is called with a table's name, and how many of how many are done; `jobs` is
    how many tables are read at a time, on each side.

    The result is written to the task's verification.json and the journal. Differences are
    in it, not raised (see Verification.raise_for_differences). Raises VerificationFailed
    where nothing could be compared, ServerUnreachable, and LandbridgeError
    (credentials.missing).
    """
    source, destination = sides(task)
    with destination.session("postgres") as conn:
        standing_by = positions.in_recovery(conn)
    if when == "auto":
        when = "before" if standing_by else "after"
    if (when == "before") != standing_by:
        raise UsageError(
            f"the destination {'still follows' if standing_by else 'has been promoted'}",
            id="verify.wrong_time",
        )
    run = _Run(task, source, destination, tables, report, jobs, Verification(when, now()))
    task.journal.append("step", name="verify", phase="begin", when=when)
    run.everything()
    result = run.result
    result.finished = now()
    document = result.as_dict()
    write_json(task.folder / "verification.json", document)
    task.journal.append(
        "step", name="verify", phase="end", when=when, lsn=document["point"],
        tables=len(result.tables), differences=result.differences,
    )  # fmt: skip
    return result


@dataclass
class _Run:
    task: Task
    source: Side
    destination: Side
    patterns: Sequence[str] | None
    report: Report
    jobs: int
    result: Verification
    total: int = 0
    done: int = 0
    pending: dict[str, Names | None] = field(default_factory=dict)
    """Databases not compared yet; of one read before, the tables to read again."""

    def everything(self) -> None:
        self.pending = dict.fromkeys(self._databases())
        self._require_rights()
        with self._moments() as moment_of:
            while self.pending:
                with moment_of(list(self.pending)) as moment:
                    for pair in moment.pairs:
                        self._database(Comparison(*pair, self.jobs), moment)

    @contextmanager
    def _moments(self) -> Iterator[Callable[[list[str]], AbstractContextManager[Moment]]]:
        """Gives moments at which some of the databases named can be compared."""
        if self.result.when == "after":
            yield partial(at_rest, self.task, self.source, self.destination)
            return
        with hold(self.task) as held:
            yield partial(common_point, self.task, held, self.source, self.destination)

    def _databases(self) -> list[str]:
        with self.source.session("postgres") as conn:
            rows = conn.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
            return [r[0] for r in rows]

    def _require_rights(self) -> None:
        """Raise VerificationFailed (verify.no_select) if a wanted table cannot be read."""
        closed: list[str] = []
        for name in self.pending:
            with self.source.session(name) as conn:
                tables = [t for t in list_tables(conn).values() if self._wants(name, t)]
            self.total += len(tables)
            closed += [
                f"{name}.{t.schema}.{t.name}"
                for t in tables
                if t.readable is False and t.why_skipped is None
            ]
        if closed:
            more = f" and {len(closed) - 5} more" if len(closed) > 5 else ""
            raise VerificationFailed(
                f"the source account may not read {', '.join(closed[:5])}{more}",
                id="verify.no_select",
                remedy="Name a superuser or a member of pg_read_all_data (14 and later) for the"
                " verification, or GRANT SELECT on these tables; row security must not apply.",
            )

    def _wants(self, database: str, table: Table) -> bool:
        return wanted(database, table, self.patterns)

    def _database(self, comparison: Comparison, moment: Moment) -> None:
        name = comparison.source.dbname
        only = self.pending.pop(name)
        ours, theirs = (
            list_tables(held.conn) for held in (comparison.source, comparison.destination)
        )
        names = [
            key for key in dict.fromkeys((*ours, *theirs))
            if self._wants(name, ours.get(key) or theirs[key]) and (only is None or key in only)
        ]  # fmt: skip
        kept = note_skipped(self.result, name, [ours.get(k) or theirs[k] for k in names])
        pairs = [(ours.get((t.schema, t.name)), theirs.get((t.schema, t.name))) for t in kept]
        again = []
        for result, moved in comparison.run(pairs, self._progress):
            if moved:
                again.append((result.schema, result.table))
                continue
            result.lsn = str(moment.lsn)
            self.result.tables.append(result)
        self.result.points.append(
            {"database": name, "lsn": str(moment.lsn), "tries": moment.tries,
             "snapshot": comparison.source.snapshot}
        )  # fmt: skip
        if again:
            self.pending[name] = frozenset(again)

    def _progress(self, result: TableResult) -> None:
        self.done += 1
        self.report(result.name, self.done, max(self.done, self.total))
