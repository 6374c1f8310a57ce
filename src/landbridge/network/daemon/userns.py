"""The user namespace in which an ordinary user has the capabilities to build networks.

The user keeps its own number in there (PostgreSQL refuses to run as 0) and stays in this
machine's network. Mounts are private: the folder that pins network namespaces is a tmpfs
that only those see who join. A holder, a process that does nothing, keeps both namespaces
when the daemon ends; the next daemon joins them. Measured: joining works for the same user
only, and only before a process has threads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import NetworkFailed
from ...postgres.process import ProcessId, wait_until
from .. import linux
from ..linux import Mount, Namespace

_HOLDER = "holder.json"


@dataclass(frozen=True)
class Holder:
    """The process that keeps the namespaces of a state folder."""

    state: Path
    process: ProcessId

    @classmethod
    def find(cls, state: Path) -> Holder | None:
        """The living holder of a state folder; only a process of the folder's owner is one."""
        try:
            raw = json.loads((state / _HOLDER).read_text())
        except FileNotFoundError:
            return None
        process = ProcessId(**raw)
        if not process.alive() or _account_of(process) != state.stat().st_uid:
            return None
        return cls(state, process)

    def join(self) -> None:
        """Put this process, which has one thread, into the holder's namespaces."""
        with contextlib.ExitStack() as files:
            places = []
            for name, kind in (("user", Namespace.USER), ("mnt", Namespace.MOUNT)):
                fd = os.open(f"/proc/{self.process.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
                files.callback(os.close, fd)
                places.append((fd, kind))
            for fd, kind in places:
                linux.enter(fd, kind)

    def end(self) -> None:
        """Let the namespaces go; what servers still run in them is cut off."""
        self.process.send(signal.SIGKILL)
        wait_until(lambda: not self.process.alive(), 10)
        (self.state / _HOLDER).unlink(missing_ok=True)


def enter(state: Path, run: Path) -> None:
    """Put this process, which has one thread, into the user namespace of `state`.

    Joins the one that a holder keeps, or makes one with a holder. `run` is the folder that
    becomes private. NetworkFailed (network.namespaces_refused) where the machine forbids it.
    """
    try:
        if (holder := Holder.find(state)) is not None:
            holder.join()
            return
        make()
        limits = Mount.NOSUID | Mount.NODEV | Mount.NOEXEC
        linux.mount("tmpfs", run, "tmpfs", limits, "mode=0700,size=1m")
    except OSError as problem:
        raise refused(problem) from problem
    with _hold() as process:
        scratch = state / f".{_HOLDER}.new"
        scratch.write_text(json.dumps(process.as_dict()))
        scratch.replace(state / _HOLDER)


def make() -> None:
    """Put this process into a new user namespace and private mounts; raises OSError.

    Host mounts that come later still appear; ours do not appear on the host.
    """
    uid, gid = os.geteuid(), os.getegid()
    linux.raise_capabilities()
    linux.unshare(Namespace.USER | Namespace.MOUNT)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    linux.mount("none", Path("/"), "", Mount.RECURSIVE | Mount.SLAVE)


@contextlib.contextmanager
def _hold() -> Iterator[ProcessId]:
    """Start the holder; it ends by SIGKILL alone, once the body has written it down.

    If the body does not come to its end the holder ends too: nobody would know of it.
    """
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.close(writing)
            if os.read(reading, 1):
                _stay()
        finally:
            os._exit(1)
    os.close(reading)
    with os.fdopen(writing, "wb") as recorded:
        process = ProcessId.of(pid)
        if process is None:
            raise NetworkFailed("the holder of the namespaces ended at once", id="network.holder")
        yield process
        recorded.write(b"!")


def _stay() -> None:
    os.setsid()
    os.chdir("/")
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    linux.limit_capabilities(())
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        signal.pause()


def _account_of(process: ProcessId) -> int | None:
    """The number of the account that a process runs as; None if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return None


def refused(problem: OSError) -> NetworkFailed:
    """Why this machine gives an ordinary user no namespaces, and what would change it."""
    return NetworkFailed(
        f"this machine gives an ordinary user no namespaces of its own: {problem}",
        id="network.namespaces_refused",
        remedy=_remedy(problem),
    )


def _remedy(problem: OSError) -> str:
    """Settings are read only now that it was refused: alone they prove nothing."""
    if problem.errno == errno.ENOSPC or _setting("user/max_user_namespaces") == "0":
        return "As root: sysctl -w user.max_user_namespaces=15000"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "As root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "As root: sysctl -w kernel.unprivileged_userns_clone=1"
    if "Seccomp:\t2" in Path("/proc/self/status").read_text():
        return (
            "This is a container whose profile forbids it: start it with"
            " --security-opt seccomp=unconfined, or as root with --cap-add SYS_ADMIN,NET_ADMIN."
        )
    return "Run as root, or use the relay driver, which needs no privilege."


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
