"""Statements that end within a time, also over a wire that is dead and does not look it.

Keepalives notice a dead wire, but not one that a proxy on the way keeps up. Shutting the
socket down ends a read without freeing what another thread is using.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg


def interrupt(conn: psycopg.Connection[Any]) -> None:
    """Make a read that blocks on this connection, in whichever thread, fail at once."""
    with contextlib.suppress(OSError, psycopg.Error):
        if not conn.closed:
            with socket.socket(fileno=os.dup(conn.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def bounded(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Have what is asked over `conn` meanwhile fail (psycopg.Error) after `seconds`."""
    limit = threading.Timer(seconds, interrupt, [conn])
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()
