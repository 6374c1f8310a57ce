"""Clients that write all the time and remember what was acknowledged."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from fix_servers import Source
from landbridge.postgres.cluster import Cluster

APP = "app"
APP_PASSWORD = "Appl3-tree"


class Writer:
    """One client: commits numbered rows at the first endpoint that takes them.

    Every attempt has a number of its own, so a row found twice is a duplicate and a row
    acknowledged but absent is a loss. `session` is run at the begin of each connection.
    """

    def __init__(self, name: str, ports: Sequence[int], session: str = "") -> None:
        self.name = name
        self.acknowledged: list[tuple[int, float, int]] = []
        """Number, monotonic time and port of each acknowledged row."""
        self._ports = ports
        self._session = session
        self._stop = threading.Event()
        self._conn: psycopg.Connection | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(1)
        conn = self._conn
        if self._thread.is_alive() and conn is not None:  # a commit that waits for a standby
            with contextlib.suppress(psycopg.Error):
                conn.cancel_safe(timeout=2)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        numbers = itertools.count()
        for port in itertools.cycle(self._ports):
            if self._stop.is_set():
                return
            with contextlib.suppress(psycopg.Error), self._connect(port) as conn:
                self._conn = conn
                self._write(conn, port, numbers)
            time.sleep(0.003)

    def _write(self, conn: psycopg.Connection, port: int, numbers: Iterator[int]) -> None:
        if self._session:
            conn.execute(self._session.encode())
        while not self._stop.is_set():
            number = next(numbers)
            conn.execute("INSERT INTO acked VALUES (%s, %s)", (self.name, number))
            # A cancelled wait for the standby is acknowledged with a warning, see stop().
            if not self._stop.is_set():
                self.acknowledged.append((number, time.monotonic(), port))

    def _connect(self, port: int) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=port, user=APP, password=APP_PASSWORD, dbname="postgres",
            autocommit=True, connect_timeout=2, application_name=self.name,
        )  # fmt: skip


def prepare(source: Source) -> None:
    """The role and the table that writers use."""
    source.sql(f"CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}'")
    source.sql("CREATE TABLE acked (writer text, n bigint)")
    source.sql(f"GRANT ALL ON acked TO {APP}")


@contextmanager
def writing(*writers: Writer, first: float = 0.2) -> Iterator[None]:
    """Run these writers (already started) through the block; all are ended with it."""
    time.sleep(first)
    try:
        yield
    finally:
        for writer in writers:
            writer.stop()


def missing_and_doubled(
    rows: Sequence[tuple[str, int]], writers: Sequence[Writer]
) -> tuple[int, int]:
    """Acknowledged rows that are not in `rows` (writer, n), and rows that are there twice."""
    found = Counter(rows)
    missing = sum((w.name, n) not in found for w in writers for n, _, _ in w.acknowledged)
    return missing, sum(count > 1 for count in found.values())


def acked_rows(cluster: Cluster) -> list[tuple[str, int]]:
    """All rows that writers committed, as this server has them."""
    with cluster.connect() as conn:
        return conn.execute("SELECT writer, n FROM acked").fetchall()
