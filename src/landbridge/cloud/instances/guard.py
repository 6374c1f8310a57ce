"""Keeps writers out where stock PostgreSQL has no parameter for it.

`rds_force_trans_ro_non_sup` is of the vendor's own kernel. What stock PostgreSQL has, the
read-only default, every session may override; whoever does is found here by the transaction
id that its first write takes, and ended. Until it is found it may have committed: a few
tens of milliseconds, see EVERY.
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
  AND NOT (a.query = %s AND a.query_start = a.xact_start)
"""


@dataclass(frozen=True)
class Post:
    """A server to be guarded."""

    cluster: Cluster
    may_free: bool
    """Whether DROP and TRUNCATE pass: its storage is full, nothing else."""


class Guard:
    """One thread that ends the sessions of writers on servers that take no writes."""

    def __init__(self) -> None:
        self._posts: Mapping[str, Post] = {}
        self._connections: dict[str, psycopg.Connection[Any]] = {}

    def watch(self, posts: Mapping[str, Post]) -> None:
        """Guard these servers, by instance, and no others."""
        self._posts = posts

    def run(self, stop: threading.Event) -> None:
        """Guard until `stop` is set."""
        while not stop.wait(EVERY):
            self.look()
        for id in list(self._connections):
            self._leave(id)

    def look(self) -> None:
        """One look at every server."""
        posts = self._posts
        for id in set(self._connections) - set(posts):
            self._leave(id)
        for id, post in posts.items():
            try:
                if id not in self._connections:
                    self._connections[id] = connect(post.cluster)
                known = [post.may_free, SETTLE]  # a switchover's own message is no write
                ended = self._connections[id].execute(_END_WRITERS, known).fetchall()
                if ended:
                    _log.info("%s: %d sessions of writers ended", id, len(ended))
            except (LandbridgeError, psycopg.Error):  # restarting, or gone: again at the next look
                self._leave(id)

    def _leave(self, id: str) -> None:
        connection = self._connections.pop(id, None)
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()
