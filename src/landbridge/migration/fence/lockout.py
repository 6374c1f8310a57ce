"""The fence `lockout`: the source's pg_hba.conf admits our own accounts alone.

No client can get past it, but none can read either. A login that was under way is judged
by the rules before it; the same reload makes the source read-only by default, which such a
session learns before its first statement. The file is read and written on the source
through large objects, which keep every byte; the transaction is rolled back, so that
nothing of it stays in the database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import SwitchoverUndone
from ...postgres.positions import Connection
from ...postgres.process import wait_until
from ..journal import now
from ..locks import folder
from ..task import Task
from .attempt import Attempt
from .hba import lock_out, read_rules, server_admits
from .rivals import OTHER
from .settings import READ_ONLY, put, remember, show
from .source import PATIENCE, SourceSide

#: Line of our file after which the file stands, as a comment, that was there before.
BEFORE = "# Before, this file was:"


class LockoutFence:
    """Replaces pg_hba.conf and puts it back; its content is kept in the attempt's folder.

    Also the services' sessions are ended: they could not come back anyway, and what they
    have open could write.
    """

    def __init__(self, task: Task, attempt: Attempt, source: SourceSide) -> None:
        self.task = task
        self.attempt = attempt
        self.source = source
        self._kept = folder(task) / "hba.original"
        self._text = b""
        self.is_proved = True
        self.is_synchronous = False
        source.spared = ()
        source.reload_closes = False

    def prepare(self) -> None:
        """Keep the file as it is, and write the one that replaces it, not in force yet."""
        control, attempt = self.source.control, self.attempt
        if attempt.hba_file is None or not self._kept.exists():
            path = show(control, "hba_file")
            content = read_server_file(control, path)
            if BEFORE.encode() in content.splitlines():
                raise SwitchoverUndone(
                    "another switchover has closed the source already: its pg_hba.conf is ours",
                    id=OTHER,
                    remedy="`landbridge show` of that migration says how to open it again.",
                )
            _write_private(self._kept, content)
            attempt.hba_file = path
            attempt.settings = remember(control, (READ_ONLY,))
            attempt.save(self.task)
        else:
            path = attempt.hba_file
            write_server_file(control, path, self._kept.read_bytes())
        lines = lock_out(read_rules(control), self.source.ours, server_admits(control))
        before = (b"# " + line for line in self._kept.read_bytes().splitlines())
        text = [line.encode() for line in (*lines, BEFORE)]
        self._text = b"\n".join((*text, *before)) + b"\n"
        write_server_file(control, path, self._text)
        read_rules(control)
        put(control, {READ_ONLY: "on"}, reload=False)

    def close_writes(self) -> str:
        """Put the file and the read-only default in force, proved by a new session of ours."""
        begin = now()
        control = self.source.control
        asked = control.execute("SELECT clock_timestamp(), pg_reload_conf()").fetchone()
        assert asked is not None

        def in_force() -> bool:
            # The postmaster reads the settings and the rules in one go, between which it
            # starts no session: one that has the settings of now is under the rules of now.
            with self.source.fresh() as conn:
                self.source.note_fenced(conn)
                query = "SELECT pg_conf_load_time() >= %s"
                return conn.execute(query, [asked[0]]).fetchone() == (True,)

        if not wait_until(in_force, PATIENCE, 0.001):
            raise SwitchoverUndone(
                "the source does not act on a reload of its configuration",
                id="fence.not_effective",
            )
        return begin

    def check(self) -> None:
        """Raise SwitchoverUndone (fence.broken) when the file is not ours any more."""
        assert self.attempt.hba_file is not None
        if read_server_file(self.source.control, self.attempt.hba_file) != self._text:
            raise SwitchoverUndone(
                "somebody changed pg_hba.conf of the source during the switchover",
                id="fence.broken",
            )

    def lift(self) -> None:
        """Write the file back as it was, byte by byte, and the setting, and have them read.

        Our copy may hold passwords (of LDAP, of RADIUS) and is removed with its purpose.
        """
        if self.attempt.hba_file is None:
            return
        control = self.source.control
        if self._kept.exists():
            write_server_file(control, self.attempt.hba_file, self._kept.read_bytes())
        put(control, self.attempt.settings)
        self._kept.unlink(missing_ok=True)

    def release(self) -> str:
        """Nothing is released: the source stays closed, and who came in late is ended."""
        with self.source.fresh() as conn:
            self.source.note_fenced(conn)
        self.source.terminate()
        self._kept.unlink(missing_ok=True)
        return (
            f"{self.attempt.hba_file} on the source still admits nobody but our accounts,"
            f" and {READ_ONLY} is on there; the file as it was before stands at its end as a"
            " comment"
        )


def read_server_file(conn: Connection, path: str) -> bytes:
    """A file's content on the server's host, through a transaction that leaves nothing."""
    with _traceless(conn):
        oid = conn.execute("SELECT lo_import(%s)", [path]).fetchone()
        row = conn.execute("SELECT lo_get(%s)", oid).fetchone()
    assert row is not None
    return bytes(row[0])


def write_server_file(conn: Connection, path: str, content: bytes) -> None:
    """Replace a file's content on the server's host; its owner and mode stay."""
    with _traceless(conn):
        oid = conn.execute("SELECT lo_from_bytea(0, %s)", [content]).fetchone()
        assert oid is not None
        conn.execute("SELECT lo_export(%s, %s)", [oid[0], path])


@contextmanager
def _traceless(conn: Connection) -> Iterator[None]:
    conn.execute("BEGIN READ WRITE")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")


def _write_private(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
