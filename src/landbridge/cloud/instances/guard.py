"""Keeps writers out where stock PostgreSQL has no parameter for it.

`rds_force_trans_ro_non_sup` is of the vendor's own kernel. What stock PostgreSQL has, the
read-only default, every session may override; whoever does is found here by the transaction
id that its first write takes, and ended. Until it is found it may have committed: a few
tens of milliseconds, see EVERY. While a migration leaves the server, commits wait for that
one's standby (`wanted`); a session that is ended while it waits was told nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from ...errors import LandbridgeError
from ...migration.fence.source import SETTLE
from ...migration.fence.waiting import PROBE
from ...postgres.cluster import Cluster
from .homes import connect

#: Seconds between two looks.
EVERY = 0.05

_log = logging.getLogger(__name__)

_END_WRITERS = """
SELECT pg_terminate_backend(a.pid)
FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.backend_xid IS NOT NULL AND a.backend_type = 'client backend' AND NOT r.rolsuper
  AND NOT (%s AND a.query ~* '^\\s*(drop|truncate)\\s[^;]*;?\\s*$')
  AND NOT (a.query = ANY (%s) AND a.query_start = a.xact_start)
"""


@dataclass(frozen=True)
class Post:
    """A server to be guarded."""

    cluster: Cluster
    may_free: bool
    """Whether DROP and TRUNCATE pass: its storage is full, nothing else."""


class Guard:
    """Ends the sessions of writers on servers that take no writes; nobody waits for another."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}

    def watch(self, posts: Mapping[str, Post]) -> None:
        """Guard these servers, by instance, and no others."""
        for id in set(self._watches) - set(posts):
            self._watches.pop(id).over.set()
        for id, post in posts.items():
            if id in self._watches:
                self._watches[id].post = post
            else:
                self._watches[id] = _Watch(id, post)
                self._watches[id].start()

    def close(self) -> None:
        """Guard none, and wait until that is so."""
        watches = list(self._watches.values())
        self.watch({})
        for watch in watches:
            watch.join()


class _Watch(threading.Thread):
    """Looks after one server until it is over."""

    def __init__(self, id: str, post: Post) -> None:
        super().__init__(name=f"guard-{id}")
        self._id = id
        self.post = post
        self.over = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None

    def run(self) -> None:
        while not self.over.wait(EVERY):
            try:
                self._look()
            except (LandbridgeError, psycopg.Error):  # restarting, or gone
                self._leave()
        self._leave()

    def _look(self) -> None:
        if self._connection is None:
            self._connection = connect(self.post.cluster)
        known = [self.post.may_free, [SETTLE, PROBE]]  # a switchover's own messages are no writes
        ended = self._connection.execute(_END_WRITERS, known).fetchall()
        if ended:
            _log.info("%s: %d sessions of writers ended", self._id, len(ended))

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()
