"""Transactions that stand in the way of a switchover."""

from __future__ import annotations

from collections.abc import Iterator

from ...postgres.units import count
from ..facts import Facts
from ..lines import literal, source_sql
from ..model import Verdict, error, passed, warning
from ._of import ago, listing, source

#: Seconds from which a transaction counts as long, and an idle one as forgotten.
LONG = 300.0
IDLE = 60.0


def prepared(facts: Facts) -> Iterator[Verdict]:
    """They survive the fence and the promotion and could be committed on both sides (measured)."""
    found = source(facts).prepared or ()
    if not found:
        yield passed("no prepared transaction")
        return
    names = listing(
        f"{p.gid} of {p.owner} in {p.database}, {ago(p.age_seconds)} old" for p in found
    )
    yield error(
        f"{count(len(found), 'prepared transaction')}: {names}. They survive the fence and"
        " exist on both sides afterwards, where each could be committed; the switchover is blocked"
        " by them.",
        "Have their transaction manager end them, or end them by hand.",
        *(
            source_sql(
                f"ROLLBACK PREPARED {literal(p.gid)};  -- or COMMIT PREPARED {literal(p.gid)};",
                database=p.database,
            )
            for p in found
        ),
        transactions=[
            {"gid": p.gid, "owner": p.owner, "database": p.database, "age_seconds": p.age_seconds}
            for p in found
        ],
    )


def long(facts: Facts) -> Iterator[Verdict]:
    found = [
        s
        for s in source(facts).sessions or ()
        if s.transaction_seconds > LONG and not s.state.startswith("idle in transaction")
    ]
    if not found:
        yield passed(f"no transaction runs longer than {ago(LONG)}")
        return
    names = listing(
        f"{s.user} in {s.database} ({s.application or 'no name'}, process {s.pid}) for"
        f" {ago(s.transaction_seconds)}" + (", writing" if s.writes else "")
        for s in found
    )
    yield warning(
        f"Long transactions: {names}. At the switchover they are ended and rolled back.",
        "Choose a moment without them, or end them yourself.",
        source_sql(*(f"SELECT pg_terminate_backend({s.pid});" for s in found)),
        sessions=[{"pid": s.pid, "seconds": s.transaction_seconds} for s in found],
    )


def idle(facts: Facts) -> Iterator[Verdict]:
    found = [
        s
        for s in source(facts).sessions or ()
        if s.state.startswith("idle in transaction") and s.idle_seconds > IDLE
    ]
    if not found:
        yield passed(f"no session is idle in a transaction for more than {ago(IDLE)}")
        return
    names = listing(
        f"{s.user} in {s.database} ({s.application or 'no name'}, process {s.pid}) for"
        f" {ago(s.idle_seconds)}"
        for s in found
    )
    yield warning(
        f"Sessions sit idle in a transaction: {names}. What they have written is rolled back at"
        " the switchover.",
        "Find out why they do not end; idle_in_transaction_session_timeout limits it.",
        source_sql(*(f"SELECT pg_terminate_backend({s.pid});" for s in found)),
        sessions=[{"pid": s.pid, "seconds": s.idle_seconds} for s in found],
    )
