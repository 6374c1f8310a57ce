"""Ends whatever a server, or a program started from it, has left running.

A program that detaches itself is no child of the server any more. Found are: what is in the
server's control group; with an account of its own all processes of that account; otherwise
what a sandbox holds in the instance's network namespace. Who shares both account and network
with others cannot be told apart and is left.

    python -m landbridge.servers.ending ID ACCOUNT
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import ServerFailed
from ..network.fabric import Fabric
from ..postgres.osaccount import OsAccount
from ..postgres.process import pids
from . import ipc
from .cgroup import Group
from .identity import is_own

#: Seconds after which we give up: something forks faster than it is found.
_PATIENCE = 15.0
_PAUSE = 0.01
#: Looks that stop processes before the first kill: while stopped they fork no more.
_STOPS = 20

Belongs = Callable[[int], bool]


def end_all(fabric: Fabric, id: str, account: OsAccount) -> None:
    """End every process of instance `id`; ServerFailed (server.processes_left) if some stay.

    Servers of `account` are to be shut down before: this is a kill. Repeatable. Memory and
    the like that an account of its own has left behind is removed.
    """
    belongs = _of_account(account.uid) if is_own(account) else _of_place(fabric, id)
    _end(id, Group.of(id, account), belongs)
    if is_own(account):
        ipc.sweep(account.uid)


def end_before_start(id: str, group: Group | None, account: OsAccount, outside: int) -> None:
    """`end_all` from the place itself, by whoever is about to become the server there.

    PostgreSQL finds what is left of a server by its shared memory, which is not seen from
    another IPC namespace. `outside`: the network namespace of the service.
    """
    here = Path("/proc/self/ns/net").stat().st_ino
    _end(id, group, _of_account(account.uid) if is_own(account) else _shut_in(here, outside))


def command(id: str, account: OsAccount) -> list[str]:
    """What does the same from elsewhere, for an account that no other server has.

    ServerFailed (server.shared_account) for one that others have, whose processes would end too.
    """
    _require_own(account)
    return [sys.executable, "-P", "-m", "landbridge.servers.ending", id, str(account.uid)]


def _require_own(account: OsAccount) -> None:
    if not is_own(account):
        raise ServerFailed(
            f"the account {account.name} is not one server's alone", id="server.shared_account"
        )


def _end(id: str, group: Group | None, belongs: Belongs) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        if group is not None:
            group.kill()
        if not _kill(belongs) and (group is None or group.is_empty):
            break
        if time.monotonic() > end:
            raise ServerFailed(f"{id}: its processes do not end", id="server.processes_left")
        time.sleep(_PAUSE)
    if group is not None:
        group.remove()


def living(fabric: Fabric, id: str, account: OsAccount) -> list[int]:
    """The processes that `end_all` would end."""
    belongs = _of_account(account.uid) if is_own(account) else _of_place(fabric, id)
    return [pid for pid in _pids() if belongs(pid)]


def _kill(belongs: Belongs) -> bool:
    """Stop all that belong until no new one turns up, then kill them; whether there were any."""
    stopped: set[int] = set()
    for _ in range(_STOPS):
        found = _send(belongs, signal.SIGSTOP)
        if found <= stopped:
            break
        stopped |= found
    return bool(_send(belongs, signal.SIGKILL)) or bool(stopped)


def _send(belongs: Belongs, number: signal.Signals) -> set[int]:
    """Signal all that belong; which they were. A number taken over by another is not hit."""
    hit = set()
    for pid in _pids():
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if belongs(pid):
                signal.pidfd_send_signal(fd, number)
                hit.add(pid)
        except ProcessLookupError:
            continue
        finally:
            os.close(fd)
    return hit


def _pids() -> Iterator[int]:
    return (pid for pid in pids() if pid not in (1, os.getpid()))


def _of_account(uid: int) -> Belongs:
    # no_new_privs: what has this account has nothing else, and never gets out of it.
    def belongs(pid: int) -> bool:
        status = _status(pid)
        return _is_alive(status) and str(uid) in status.get("Uid", "").split()

    return belongs


def _of_place(fabric: Fabric, id: str) -> Belongs:
    """What is shut in, in the instance's network namespace if that is not ours as well."""
    return _shut_in(_namespace(fabric, id), Path("/proc/self/ns/net").stat().st_ino)


def _shut_in(place: int | None, outside: int) -> Belongs:
    if place is None or place == outside:
        return lambda _: False

    def belongs(pid: int) -> bool:
        with contextlib.suppress(OSError):
            # Ours that are there on an errand are not shut in.
            if Path(f"/proc/{pid}/ns/net").stat().st_ino == place:
                status = _status(pid)
                return _is_alive(status) and status.get("NoNewPrivs") == "1"
        return False

    return belongs


def _namespace(fabric: Fabric, id: str) -> int | None:
    say = "import os; print(os.stat('/proc/self/ns/net').st_ino)"
    done = subprocess.run(
        fabric.command(id, [sys.executable, "-I", "-S", "-c", say]),
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    told = done.stdout.strip()
    return int(told) if done.returncode == 0 and told.isdecimal() else None


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}


def _is_alive(status: dict[str, str]) -> bool:
    # A process whose first thread alone has ended looks like a zombie.
    is_zombie = status.get("State", "X")[0] in "ZX"
    return not is_zombie or int(status.get("Threads", "0")) > 1


def main(arguments: Sequence[str]) -> None:
    id, number = arguments
    account = OsAccount.numbered(int(number))
    try:
        _require_own(account)
        _end(id, Group.of(id, account), _of_account(account.uid))
    except ServerFailed as left:
        sys.exit(left.message)


if __name__ == "__main__":
    main(sys.argv[1:])
