"""Processes that outlive us: started detached, recognised again after a restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from .osaccount import OsAccount


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one of the same number by its start time.

    `started` is the start time in clock ticks since boot, from /proc/PID/stat.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The living process `pid`, or None (a zombie does not live; our own is reaped)."""
        if (fields := stat(pid)) is None:
            return None
        if fields[0] in "ZX":
            # PostgreSQL takes a zombie with the number in its pid file for a living server.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            return None
        return cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs; reaps it if it was our own child."""
        with contextlib.suppress(ChildProcessError, PermissionError):
            os.waitpid(self.pid, os.WNOHANG)
        return type(self).of(self.pid) == self

    def is_stopped(self) -> bool:
        """Whether it lives but stands still until somebody lets it go on (SIGSTOP, a debugger)."""
        fields = stat(self.pid)
        return fields is not None and fields[0] in "Tt" and int(fields[19]) == self.started

    @property
    def uid(self) -> int:
        """Whose it is; root's where it does not let others look at it. -1 if it is gone."""
        try:
            return Path(f"/proc/{self.pid}").stat().st_uid
        except OSError:
            return -1

    def send(self, number: signal.Signals) -> None:
        """Signal it if it still runs."""
        if self.alive():
            os.kill(self.pid, number)

    def end_group(self, grace: float = 5.0) -> None:
        """Terminate it with its children (it leads its own process group), then kill."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                return
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return
            wait_until(lambda: not self.alive(), grace)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def pids() -> Iterator[int]:
    """The number of every process there is; any may have ended when it is looked at."""
    with os.scandir("/proc") as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdecimal())


def stat(pid: int) -> list[str] | None:
    """What /proc/PID/stat says from the state on; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def start_detached(
    command: Sequence[str | Path],
    *,
    output: Path,
    environment: Mapping[str, str],
    account: OsAccount | None = None,
    becomes: bool = False,
    owns_output: bool = True,
    pass_fds: Sequence[int] = (),
) -> ProcessId:
    """Start a process that outlives us, in a session of its own, writing to `output`.

    With `account` it runs as that account (and owns `output`, unless it shall not), otherwise
    as ourselves; with `becomes` it runs as ourselves until it changes to the account by itself.
    """
    # The account may write where `output` lies: a link there could lead anywhere.
    follow = 0 if account is None else os.O_NOFOLLOW
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | follow, 0o600)
    try:
        if account is not None:
            if owns_output:
                account.own_fd(fd)
            # libpq in a server process would try to read certificates in our own home.
            environment = {**environment, "HOME": str(account.home)}
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=fd, stderr=fd, start_new_session=True,
            env=environment, pass_fds=pass_fds,
            **(account.popen_arguments() if account and not becomes else {}),
        )  # fmt: skip
    finally:
        os.close(fd)
    started = ProcessId.of(child.pid) or ProcessId(child.pid, 0)
    # We follow it by its id, also after a restart of ours; Popen shall not.
    child.returncode = 0
    return started


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.005) -> bool:
    """Poll `condition` until it holds (True) or `seconds` have passed (False)."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
