"""One data directory and the server that runs on it.

Everything Landbridge writes lies either in `postgresql.conf` of the data
directory (so that `pg_ctl -D DIR start` does the right thing) or in a folder
beside it, `DIR.landbridge`, which holds hba, ident and the server's log.
We reach the server through a socket in a private folder (mode 0700) that
trusts whoever can open it: the account that owns the data directory, and root.

A server whose account may mean harm is *guarded*: `DIR.landbridge` is closed to changes of
that account, so that no name that others follow leads elsewhere; its socket lies in
`DIR.socket`, which makes it a guarded one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from ..errors import ServerFailed
from . import careful, private, wary
from .distribution import Distribution
from .osaccount import OsAccount
from .process import ProcessId, start_detached, wait_until
from .serverlog import last_words, sign_of_life, title

#: First line of every configuration file of ours; a file without it is somebody else's.
CONFIG_HEADER = "# Written by Landbridge."
BOOTSTRAP_SUPERUSER = "pgsql"
#: The file that names the process of a guarded server.
_RECORD = "server.json"


class Cluster:
    """A data directory with the programs that serve it; its server may be up or down."""

    def __init__(
        self,
        data: Path,
        distribution: Distribution,
        port: int,
        *,
        superuser: str = BOOTSTRAP_SUPERUSER,
        account: OsAccount | None = None,
        through: Sequence[str] = (),
    ) -> None:
        """`through`: a command that starts the server instead of us: it is given the server's
        command line, and becomes the account and the server."""
        self.data = data.absolute()
        self.distribution = distribution
        self.port = port
        self.superuser = superuser
        self.account = account or OsAccount.for_servers()
        self.through = tuple(through)

    @property
    def side(self) -> Path:
        """The folder beside the data directory with hba, ident and log."""
        return self.data.with_name(self.data.name + ".landbridge")

    @property
    def guard(self) -> Path:
        """The folder of a guarded server's socket."""
        return self.data.with_name(self.data.name + ".socket")

    @property
    def is_guarded(self) -> bool:
        """Whether its account must not change what lies beside its data."""
        return self.guard.is_dir() and not self.guard.is_symlink()

    @property
    def log(self) -> Path:
        return self.side / "server.log"

    @property
    def hba(self) -> Path:
        return self.side / "pg_hba.conf"

    @property
    def socket_dir(self) -> Path:
        """Private folder of the socket (mode 0700).

        The side folder (`guard` of a guarded server), so that the server starts after a boot
        that clears /tmp; a short folder of its own where that path is too long for a socket
        (107 bytes), or has characters that separate a list of folders or hosts.
        """
        if has_plain_name(self.data):
            return self.guard if self.is_guarded else self.side
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"landbridge-{self.account.uid}-{digest}"
        # A server that runs keeps its folder, also for who has another TMPDIR than its starter.
        lines = self._pid_file()
        kept = Path(lines[4]) if len(lines) > 4 else short
        return kept if kept.name == short.name and kept.is_dir() else short

    @property
    def lasting_socket(self) -> dict[str, str | int]:
        """Settings of a socket that is there after a boot too, whatever the path is called.

        Where `socket_dir` is in /tmp that is the data directory itself, named relative to
        itself (documentation, "unix_socket_directories"); only `connect` finds it.
        """
        if self.socket_dir in (self.side, self.guard):
            return {}
        return {"unix_socket_directories": ".", "unix_socket_permissions": "0700"}

    def init(
        self, *, checksums: bool = True, locale: str = "C.UTF-8", encoding: str = "UTF8"
    ) -> None:
        """Create an empty cluster (data checksums, superuser `pgsql` by default)."""
        self.account.make_dir(self.data)
        command: list[str | Path] = [
            self.distribution.program("initdb"), "-D", self.data, "-U", self.superuser,
            # The hba file that initdb writes is never used: configure() names our own.
            "-E", encoding, "--locale", locale, "-A", "reject", "-N",
        ]  # fmt: skip
        if checksums:
            command.append("-k")
        elif self.distribution.major >= 18:
            command.append("--no-data-checksums")
        answer = subprocess.run(
            command, capture_output=True, text=True, env=self.distribution.environment,
            check=False, **self.account.popen_arguments(),
        )  # fmt: skip
        if answer.returncode:
            raise ServerFailed(
                f"initdb of {self.data} failed: {answer.stderr.strip()}", id="server.initdb_failed"
            )

    def configure(self, settings: Mapping[str, str | int], hba: Iterable[str] = ()) -> None:
        """Write the server's whole configuration; what stood there before is replaced.

        `hba` are pg_hba lines after the one for our own socket. postgresql.auto.conf is
        emptied: it comes from somewhere else, or from nobody.
        """
        self.make_side()
        self._make_socket_dir()
        base: dict[str, str | int] = {
            "port": self.port,
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "hba_file": str(self.hba),
            "ident_file": str(self.side / "pg_ident.conf"),
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] %q%u@%d %a ",
        }
        lines = [f"{name} = {quote(value)}" for name, value in {**base, **settings}.items()]
        write = self.account.write
        self._write_beside("pg_ident.conf", f"{CONFIG_HEADER}\n")
        self.write_hba(hba)
        write(self.data / "postgresql.conf", "\n".join((CONFIG_HEADER, *lines)) + "\n")
        write(self.data / "postgresql.auto.conf", f"{CONFIG_HEADER}\n")

    def write_hba(self, lines: Iterable[str]) -> None:
        """Replace the pg_hba lines after the one for our own socket; a reload makes them count."""
        own_lines = ("local all all trust", "local replication all trust")
        text = "\n".join((CONFIG_HEADER, *own_lines, *lines)) + "\n"
        self._write_beside(self.hba.name, text)

    def make_side(self) -> Path:
        """Make the folder beside the data directory; a guarded server may only look into it."""
        if not self.is_guarded:
            return self.account.make_dir(self.side)
        self.side.mkdir(mode=0o700, exist_ok=True)
        self.account.show(self.side, 0o750)
        return self.side

    def _write_beside(self, name: str, text: str) -> None:
        path = self.side / name
        if not self.is_guarded:
            self.account.write(path, text)
            return
        with careful.replaced(path, 0o640) as file:
            self.account.show(file, 0o640)
            os.write(file, text.encode())
            os.fsync(file)

    def start(self, timeout: float = 60.0) -> None:
        """Start the server, detached, and wait until it accepts connections or stands by.

        A server that is starting already is waited for. Waits as long as recovery makes
        progress; `timeout` bounds the seconds without any. Raises ServerFailed with the
        server's own last words.
        """
        begin = self.log.stat().st_size if self.log.exists() else 0
        process = self.process() or self._launch()

        def settled() -> bool:
            status = self._pid_file_status(process.pid)
            return status in ("ready", "standby") or not process.alive()

        sign = sign_of_life(self.log, process)
        while not wait_until(settled, timeout):
            if (now := sign_of_life(self.log, process)) == sign:
                self.stop("immediate")
                raise ServerFailed(
                    f"the server on {self.data} was not ready within {timeout:.0f} s:"
                    f" {self.last_words(begin)}",
                    id="server.start_timeout",
                )
            sign = now
        if not process.alive():
            raise ServerFailed(
                f"the server on {self.data} did not start: {self.last_words(begin)}",
                id="server.start_failed",
            )

    def _launch(self) -> ProcessId:
        self._make_socket_dir()
        process = start_detached(
            [*self.through, self.distribution.program("postgres"), "-D", self.data],
            output=self.log,
            environment=self.distribution.environment,
            account=self.account,
            becomes=bool(self.through),
            owns_output=not self.is_guarded,
        )
        if self.is_guarded:
            self._write_beside(_RECORD, json.dumps(process.as_dict()))
        return process

    def stop(self, mode: str = "fast", timeout: float = 60.0) -> None:
        """Stop the server (`smart`, `fast` or `immediate`) and wait; kill it after `timeout`."""
        process = self.process()
        if process is None:
            return
        numbers = {
            "smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT
        }  # fmt: skip
        process.send(numbers[mode])
        if not wait_until(lambda: not process.alive(), timeout):
            process.send(signal.SIGQUIT)
            if not wait_until(lambda: not process.alive(), 10):
                process.send(signal.SIGKILL)
                wait_until(lambda: not process.alive(), 10)

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        """Make the server read its configuration again."""
        if (process := self.process()) is not None:
            process.send(signal.SIGHUP)

    def signal_promotion(self) -> None:
        """Ask a standby to promote itself, on every major alike, without waiting.

        The promote file plus SIGUSR1 is what pg_ctl does; it took 28 ms to writable
        where `pg_ctl promote -w` took 109 ms, which polls every 100 ms.
        """
        process = self.process()
        if process is None:
            raise ServerFailed(f"no server runs on {self.data}", id="server.not_running")
        # Not through account.write: its fsync costs milliseconds of the write outage.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            file = os.open(self.data / "promote", flags, 0o600)
            self.account.own_fd(file)
            os.close(file)
        process.send(signal.SIGUSR1)

    def process(self) -> ProcessId | None:
        """The postmaster that serves this directory, or None.

        Of a guarded server it is the one that was started; the pid file, which its account
        may write, names any.
        """
        if not self.is_guarded:
            return self._named()
        process = self._recorded()
        return process if process.alive() else None

    def _recorded(self) -> ProcessId:
        """The last one that was started of a guarded server; of none no process."""
        try:
            return ProcessId(**json.loads(careful.read(self.side, _RECORD)))
        except (OSError, ValueError):
            return ProcessId(0, 0)

    def _named(self) -> ProcessId | None:
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal() or Path(lines[1]).absolute() != self.data:
            return None
        process = ProcessId.of(int(lines[0]))
        if process is None:
            return None
        command = title(process.pid)
        # PGDG's units for RHEL start it as `postmaster`.
        is_server = b"postgres" in command or b"postmaster" in command
        return process if is_server else None

    def left_recovery(self) -> bool:
        """Whether this was a standby and is one no more, read from its directory alone.

        PostgreSQL removes standby.signal (renames recovery.conf before 12) once recovery has
        ended, before it accepts writes; without that file the next start does not stand by.
        Without pg_control it is half made or half removed, and nothing was promoted.
        """
        name = "standby.signal" if self.distribution.major >= 12 else "recovery.conf"
        is_cluster = (self.data / "global/pg_control").exists()
        return is_cluster and not (self.data / name).exists()

    def connect(self, dbname: str = "postgres", **more: Any) -> psycopg.Connection[Any]:
        """An autocommit superuser connection through the private socket.

        Whoever listens there is known before anything is said: ServerFailed
        (server.not_ours) unless it is the server's account, and the very process that was
        started if it is guarded.
        """
        asked: dict[str, Any] = {"application_name": "landbridge", "client_encoding": "UTF8"}
        try:
            with self._socket_host() as host:
                return private.connect(
                    self.account.uid, self._recorded() if self.is_guarded else None,
                    host=host, port=self.port, user=self.superuser, dbname=dbname,
                    autocommit=True, **asked | more,
                )  # fmt: skip
        except psycopg.Error as error:
            raise ServerFailed(
                f"cannot connect to the server on {self.data}: {' '.join(str(error).split())}",
                id="server.no_connection",
            ) from None

    def connect_warily(self, dbname: str = "postgres", **settings: str) -> psycopg.Connection[Any]:
        """`connect` in a session that finds nothing of what others have put into the data."""
        return self.connect(dbname, options=wary.options(**settings))

    @contextlib.contextmanager
    def _socket_host(self) -> Iterator[str]:
        """Where the socket is, as a path short and plain enough for libpq."""
        name = f".s.PGSQL.{self.port}"
        if (self.socket_dir / name).exists() or not (self.data / name).exists():
            yield str(self.socket_dir)
            return
        fd = os.open(self.data, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)

    def last_words(self, begin: int = 0) -> str:
        """The server's last FATAL or PANIC message after byte `begin` of its log, or its tail."""
        return last_words(self.log, begin)

    def _pid_file(self) -> list[str]:
        try:
            text = careful.read(self.data, "postmaster.pid").decode(errors="replace")
        except OSError:
            return []
        lines = text.splitlines()
        return lines if len(lines) >= 2 else []

    def _pid_file_status(self, pid: int) -> str:
        lines = self._pid_file()
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(pid) else ""

    def _make_socket_dir(self) -> None:
        path = self.socket_dir
        if not path.exists():
            path.mkdir(mode=0o700)
            self.account.own(path)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != self.account.uid:
            raise ServerFailed(
                f"{path} exists and belongs to somebody else", id="server.socket_dir_taken"
            )
        path.chmod(0o700)


def has_plain_name(data: Path) -> bool:
    """Whether a socket in the folder beside a data directory can be named: short enough, and
    without what separates a list of folders or hosts."""
    side = f"{data.absolute()}.landbridge"
    return re.fullmatch(r"[\w./-]{1,90}", side, re.ASCII) is not None


def quote(value: str | int) -> str:
    """A value as it stands in postgresql.conf.

    >>> quote("it's"), quote(5)
    ("'it''s'", '5')
    >>> print(quote(chr(92)))  # a backslash begins an escape there
    '\\\\'
    """
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", r"\\").replace("\n", r"\n").replace("'", "''") + "'"
