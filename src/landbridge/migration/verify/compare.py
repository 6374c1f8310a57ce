"""Compares the tables of one database, several at a time, both sides at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

import psycopg

from ...postgres.positions import server_major
from .result import TableResult
from .sides import Connection, Held
from .tables import Table, digest_query

Report = Callable[[str, int, int], None]
Pair = tuple[Table | None, Table | None]


class MovedOn(Exception):
    """The table was truncated, rewritten, altered or dropped after the moment it is read at.

    These are the operations that PostgreSQL does not show at an older moment
    (PostgreSQL documentation, "Caveats" of concurrency control).
    """


class Comparison:
    """Two held moments of one database, and the connections that read at them."""

    def __init__(self, source: Held, destination: Held, jobs: int) -> None:
        self.source = source
        self.destination = destination
        self.jobs = jobs
        self._open: list[Connection] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def run(
        self, pairs: Sequence[Pair], report: Callable[[TableResult], None]
    ) -> Iterator[tuple[TableResult, bool]]:
        """Compare; yields each result with whether the table moved on and must be read again.

        `report` is called from the reading threads as each table is done.
        """
        work: SimpleQueue[Pair] = SimpleQueue()
        for pair in sorted(pairs, key=_size, reverse=True):
            work.put(pair)
        workers = min(self.jobs, len(pairs))
        with ThreadPoolExecutor(2 * workers or 1) as pool:
            # Half of the threads take tables; each hands the destination's half on.
            loops = [pool.submit(self._work, work, pool, report) for _ in range(workers)]
            try:
                for loop in loops:
                    yield from loop.result()
            finally:
                self.stop()

    def stop(self) -> None:
        """End every reading connection, also one in the middle of a query."""
        self._stopped.set()
        with self._lock:
            for conn in self._open:
                with contextlib.suppress(psycopg.Error):
                    conn.cancel_safe(timeout=2)
                conn.close()
            self._open.clear()

    def _work(
        self,
        work: SimpleQueue[Pair],
        pool: ThreadPoolExecutor,
        report: Callable[[TableResult], None],
    ) -> list[tuple[TableResult, bool]]:
        found = []
        source, destination = self._join(self.source), self._join(self.destination)
        with contextlib.suppress(Empty):
            while not self._stopped.is_set():
                pair = work.get_nowait()
                result, moved = self._compare(pair, source, destination, pool)
                found.append((result, moved))
                report(result)
        return found

    def _join(self, held: Held) -> Connection:
        conn = held.join()
        with self._lock:
            self._open.append(conn)
        return conn

    def _compare(
        self, pair: Pair, source: Connection, destination: Connection, pool: ThreadPoolExecutor
    ) -> tuple[TableResult, bool]:
        table = pair[0] or pair[1]
        assert table is not None
        result = TableResult(self.source.dbname, table.schema, table.name)
        begin = time.monotonic()
        other: Future[tuple[int, str] | None] = pool.submit(read, destination, pair[1])
        try:
            here = read(source, pair[0], recheck=True)
            there = other.result()
        except MovedOn as error:
            result.error = str(error)
            return result, True
        except psycopg.Error as error:
            result.error = " ".join(str(error).split())
            return result, False
        finally:
            other.exception()
        result.rows_source, result.hash_source = here or (None, None)
        result.rows_destination, result.hash_destination = there or (None, None)
        result.equal = here is not None and here == there
        result.seconds = round(time.monotonic() - begin, 3)
        return result, False


def read(conn: Connection, table: Table | None, *, recheck: bool = False) -> tuple[int, str] | None:
    """Rows and hash of a table at the connection's moment; None if there is no table.

    With `recheck` raises MovedOn if the table has changed in a way that the moment
    does not cover. psycopg.Error if it cannot be read.
    """
    if table is None:
        return None
    try:
        with conn.transaction():
            row = conn.execute(digest_query(table, server_major(conn))).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        if recheck:
            raise MovedOn("dropped or altered after the point") from error
        raise
    if recheck:
        # pg_relation_filenode looks at the present, the catalog query did at the moment.
        answer = conn.execute("SELECT pg_relation_filenode(%s::oid)::bigint", [table.oid])
        if answer.fetchone() != (table.file,) and table.file:
            raise MovedOn("truncated or rewritten after the point")
    assert row is not None
    return int(row[0]), str(row[1])


def _size(pair: Pair) -> int:
    return max(t.pages for t in pair if t)
