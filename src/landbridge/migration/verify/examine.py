"""The destination's own soundness: page checksums, indexes, heaps. Needs no source.

The comparison ends with it. After the switchover it is possible for as long as the
destination lives, also when that has been written and can no longer be compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psycopg

from ...errors import VerificationFailed
from ...postgres import positions
from ..evidence import write_evidence
from ..journal import now
from ..standby.lifecycle import dbname as home_of
from ..task import Task, write_json
from .indexes import check_indexes
from .pages import check_pages
from .result import Verification
from .sides import Side, destination_side


def examine_destination(
    task: Task,
    *,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
    jobs: int = 4,
) -> Verification:
    """Examine the destination alone; the result goes to examination.json and the journal.

    Damage is in the result, not raised (see raise_for_differences). Raises ServerFailed,
    VerificationFailed (verify.broken_off).
    """
    destination = destination_side(task)
    with destination.session(home_of(task)) as conn:
        when = "before" if positions.in_recovery(conn) else "after"
    result = Verification(when, now())
    with recorded(task, "examine", result):
        examine(task, destination, result, jobs, lambda what: report(what, 0, 0))
    write_json(task.folder / "examination.json", result.as_dict())
    refresh_evidence(task)
    return result


def examine(
    task: Task, destination: Side, result: Verification, jobs: int, say: Callable[[str], None]
) -> None:
    """Fill in page_checksums and indexes, and what could not be examined."""
    cluster = task.cluster()
    say("page checksums")
    check_pages(cluster, home_of(task), result)
    say("indexes")
    check_indexes(destination, cluster, databases_of(destination, task), jobs, result)


def databases_of(side: Side, task: Task) -> list[str]:
    """The databases that can be connected to."""
    with side.session(home_of(task)) as conn:
        rows = conn.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
        return [row[0] for row in rows]


@contextlib.contextmanager
def recorded(task: Task, name: str, result: Verification) -> Iterator[None]:
    """The body as a step of the journal; a connection that breaks is VerificationFailed."""
    task.journal.append("step", name=name, phase="begin", when=result.when)
    phase = "failed"
    try:
        yield
        phase = "end"
    except psycopg.Error as error:
        raise VerificationFailed(
            f"the verification was broken off: {' '.join(str(error).split())}",
            id="verify.broken_off",
            remedy="Nothing was changed. Put right what the server says, then verify again:\n"
            f"landbridge verify {task.id}",
            retryable=True,
        ) from error
    finally:
        result.finished = now()
        # Also of a failed one the transaction ids it used must be known later.
        task.journal.append(
            "step", name=name, phase=phase, lsn=result.point, tables=len(result.tables),
            differences=result.differences, own_xids=result.own_xids,
        )  # fmt: skip


def refresh_evidence(task: Task) -> None:
    """Write the evidence anew if there is some already."""
    if (task.folder / "evidence.json").exists():
        write_evidence(task)
