"""Busy clients: pgbench's TPC-B-like transactions on whichever server accepts writes.

pgbench itself is used where it came with the server programs. Otherwise this module,
run as `python -m landbridge.cli.demo.load CONFIG`, does the same transactions.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psycopg

#: Pause of a client before it looks for a writable server again, in seconds.
RETRY = 0.05


class Client(threading.Thread):
    """One session after the other, one transaction after the other."""

    def __init__(self, conninfo: str, scale: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.conninfo = conninfo
        self.scale = scale
        self.ended = ended

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True, connect_timeout=2) as conn:
                    while not self.ended.is_set():
                        self.transaction(conn)
            except psycopg.Error:
                self.ended.wait(RETRY)

    def transaction(self, conn: psycopg.Connection) -> None:
        """Move an amount through an account, a teller, a branch and the history."""
        account = random.randint(1, 100_000 * self.scale)
        teller = random.randint(1, 10 * self.scale)
        branch = random.randint(1, self.scale)
        delta = random.randint(-5000, 5000)
        with conn.transaction():
            conn.execute(
                "UPDATE pgbench_accounts SET abalance = abalance + %s WHERE aid = %s",
                (delta, account),
            )
            conn.execute("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (account,))
            conn.execute(
                "UPDATE pgbench_tellers SET tbalance = tbalance + %s WHERE tid = %s",
                (delta, teller),
            )
            conn.execute(
                "UPDATE pgbench_branches SET bbalance = bbalance + %s WHERE bid = %s",
                (delta, branch),
            )
            conn.execute(
                "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)"
                " VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP)",
                (teller, branch, account, delta),
            )


def main(config: Path) -> None:
    """Run the clients that `config` (JSON: conninfo, clients, scale) describes."""
    values = json.loads(config.read_text())
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clients = [Client(values["conninfo"], values["scale"], ended) for _ in range(values["clients"])]
    for client in clients:
        client.start()
    parent = os.getppid()
    while not ended.is_set() and os.getppid() == parent:
        time.sleep(0.1)
    ended.set()
    for client in clients:
        client.join(5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
