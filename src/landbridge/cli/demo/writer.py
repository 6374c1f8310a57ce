"""The application of the demonstration: commits numbered rows and never forgets one.

Run as `python -m landbridge.cli.demo.writer CONFIG` it is a process of its own. It
knows both servers and writes to whichever accepts writes, as any client with
`target_session_attrs=read-write` does. Each acknowledged row becomes one line of a
file, on disk before the next row is begun:

    NUMBER MONOTONIC_NANOSECONDS PORT ATTEMPTS

A commit whose acknowledgement was lost on the way may have happened or not. The
writer looks the row up before it tries again, so that a row is never written twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import psycopg

#: Pause between two attempts to find a server that accepts writes, in seconds.
RETRY = 0.005
#: Any constant of our own: the key of the lock that one session holds at a time.
_LOCK = 0x1A4DB21D


class Writer:
    """Writes rows 1, 2, 3 ... to the ledger, each one until it is acknowledged."""

    def __init__(self, conninfo: str, acknowledged: Path, rate: float) -> None:
        """`rate` is the wanted number of rows a second."""
        self.conninfo = conninfo
        self.interval = 1 / rate
        self.ended = False
        # Before anything of ours can be seen: whoever kills our parent then finds us heeding it.
        self._parent = os.getppid()
        self._conn: psycopg.Connection | None = None
        self._file = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def run(self) -> None:
        """Write until `ended` is set or our parent is gone."""
        number, due = 0, time.monotonic()
        while os.getppid() == self._parent and self.write(number + 1):
            number += 1
            # A late row is not made up for: after an outage there is no burst.
            due = max(due + self.interval, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        self.close()

    def close(self) -> None:
        """End the session and the record."""
        self._forget()
        os.close(self._file)

    def write(self, number: int) -> bool:
        """Commit one row and record its acknowledgement; False if we were ended before."""
        attempts = 0
        while not self.ended:
            attempts += 1
            try:
                if self._conn is None:
                    self._conn = self._connect()
                if attempts == 1 or not self._is_there(number):
                    self._conn.execute(
                        "INSERT INTO ledger (n, payload) VALUES (%s, md5(%s))",
                        (number, str(number)),
                    )
                self._record(number, attempts)
                return True
            except psycopg.Error:
                self._forget()
                time.sleep(RETRY)
        return False

    def _connect(self) -> psycopg.Connection:
        conn = psycopg.connect(self.conninfo, autocommit=True, connect_timeout=2)
        # Waits until the session before ours is gone from this server, so that a
        # commit it was still busy with is decided before we look the row up.
        conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        return conn

    def _is_there(self, number: int) -> bool:
        assert self._conn is not None
        found = self._conn.execute("SELECT 1 FROM ledger WHERE n = %s", (number,))
        return found.fetchone() is not None

    def _record(self, number: int, attempts: int) -> None:
        assert self._conn is not None
        line = f"{number} {time.monotonic_ns()} {self._conn.info.port} {attempts}\n"
        os.write(self._file, line.encode())
        os.fdatasync(self._file)

    def _forget(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def main(config: Path) -> None:
    """Run the writer that `config` (JSON: conninfo, acknowledged, rate) describes."""
    values = json.loads(config.read_text())
    writer = Writer(values["conninfo"], Path(values["acknowledged"]), values["rate"])

    def end(_number: int, _frame: object) -> None:
        writer.ended = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    writer.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
