"""Compares the tables of one database, several at a time, both sides at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import psycopg

from ...postgres.positions import server_major
from .result import TableResult
from .sides import Connection, Held
from .tables import Pair, Table, digest_query

#: Seconds between two calls of the caller's tick while nothing is done.
_TICK = 0.4


class MovedOn(Exception):
    """The table cannot be read at this moment, but perhaps at another.

    It was truncated, rewritten, altered or dropped after the moment, which PostgreSQL does
    not show at an older one (PostgreSQL documentation, "Caveats" of concurrency control);
    or somebody is about to and has locked it.
    """


@dataclass
class Reading:
    """One table, read on both sides."""

    pair: Pair
    result: TableResult
    moved: str | None = None
    """Why the table must be read again, at another moment."""


class Comparison:
    """Two held moments of one database, and the connections that read at them."""

    def __init__(self, source: Held, destination: Held, jobs: int) -> None:
        self.source = source
        self.destination = destination
        self.jobs = jobs
        self._open: list[Connection] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def run(self, pairs: Sequence[Pair], tick: Callable[[], None]) -> Iterator[Reading]:
        """Compare, the largest first; yields each as it is done and calls `tick` meanwhile.

        Raises psycopg.Error when a connection cannot be had, and what `tick` raises.
        """
        work: SimpleQueue[Pair] = SimpleQueue()
        for pair in sorted(pairs, key=lambda p: p.pages, reverse=True):
            work.put(pair)
        done: SimpleQueue[Reading] = SimpleQueue()
        workers = min(self.jobs, len(pairs))
        # Half of the threads take tables; each hands the destination's half on.
        with ThreadPoolExecutor(2 * workers or 1) as pool:
            loops = [pool.submit(self._work, work, done, pool) for _ in range(workers)]
            try:
                for _ in pairs:
                    yield _next(done, loops, tick)
            finally:
                self.stop()

    def join(self) -> tuple[Connection, Connection]:
        """Another connection to each side, at the moments that are compared."""
        source, destination = self._keep(self.source.join()), self._keep(self.destination.join())
        return source, destination

    def _keep(self, conn: Connection) -> Connection:
        with self._lock:
            if self._stopped.is_set():
                conn.close()
            else:
                self._open.append(conn)
        return conn

    def stop(self) -> None:
        """End every connection, also one in the middle of a query."""
        self._stopped.set()
        with self._lock:
            for conn in self._open:
                with contextlib.suppress(psycopg.Error):
                    conn.cancel_safe(timeout=2)
                conn.close()
            self._open.clear()

    def _work(
        self, work: SimpleQueue[Pair], done: SimpleQueue[Reading], pool: ThreadPoolExecutor
    ) -> None:
        source, destination = self.join()
        with contextlib.suppress(Empty):
            while not self._stopped.is_set():
                pair = work.get_nowait()
                done.put(self._compare(pair, source, destination, pool))

    def _compare(
        self, pair: Pair, source: Connection, destination: Connection, pool: ThreadPoolExecutor
    ) -> Reading:
        table = pair.any
        result = TableResult(self.source.dbname, table.schema, table.name)
        begin = time.monotonic()
        other: Future[tuple[int, str] | None] = pool.submit(read, destination, pair.destination)
        try:
            here = read(source, pair.source, recheck=True)
            there = other.result()
        except MovedOn as moved:
            return Reading(pair, result, str(moved))
        except psycopg.Error as error:
            result.error = str(error.diag.message_primary or error)
            return Reading(pair, result)
        finally:
            # The connection is not free before this has ended.
            other.exception()
        result.rows_source, result.hash_source = here or (None, None)
        result.rows_destination, result.hash_destination = there or (None, None)
        result.equal = here is not None and here == there
        result.seconds = round(time.monotonic() - begin, 3)
        return Reading(pair, result)


def _next(
    done: SimpleQueue[Reading], loops: Sequence[Future[None]], tick: Callable[[], None]
) -> Reading:
    while True:
        try:
            return done.get(timeout=_TICK)
        except Empty:
            tick()
            for loop in loops:
                if loop.done():
                    loop.result()


def read(conn: Connection, table: Table | None, *, recheck: bool = False) -> tuple[int, str] | None:
    """Rows and hash of a table at the connection's moment; None if there is no table.

    Raises MovedOn if it is locked; with `recheck` also if the table has changed in a way
    that the moment does not cover. psycopg.Error if it cannot be read.
    """
    if table is None:
        return None
    try:
        # Rolled back, so that the lock on the table does not outlive its reading: else
        # a TRUNCATE or ALTER TABLE would wait for the whole comparison, and every query
        # of the table behind it.
        with conn.transaction(force_rollback=True):
            row = conn.execute(digest_query(table, server_major(conn))).fetchone()
            if recheck and _file(conn, table) != table.file:
                raise MovedOn("truncated or rewritten after the point")
    except psycopg.errors.LockNotAvailable as error:
        raise MovedOn("locked by a transaction that was open at the point") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        if recheck:
            raise MovedOn("dropped or altered after the point") from error
        raise
    assert row is not None
    return int(row[0]), str(row[1])


def _file(conn: Connection, table: Table) -> int | None:
    """The table's file at present, where the catalog query said what it was at the moment."""
    row = conn.execute("SELECT pg_relation_filenode(%s::oid)::bigint", [table.oid]).fetchone()
    return row[0] if row else None
