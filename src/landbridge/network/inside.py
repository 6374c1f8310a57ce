"""`python -m landbridge.network.inside [--as=ACCOUNT] [--apart] SOCKET INSTANCE -- COMMAND...`

Becomes COMMAND at the place of an instance. The daemon gives us the namespaces as open
files; entering them takes what we have anyway: root may, and so may the user whose user
namespace it is. So the command is our own process: its number, terminal, signals and exit
code need no go-between, and it does not notice when the daemon ends.

Exit codes before it is COMMAND: 125 the place cannot be entered, 126 it cannot be executed,
127 it was not found.
"""

from __future__ import annotations

import argparse
import errno
import os
import pwd
import socket
import sys
from pathlib import Path
from typing import NoReturn

from ..errors import LandbridgeError, NetworkFailed
from . import linux
from .daemon import protocol
from .linux import Capability, Namespace

#: What root needs to look after files and accounts of servers; nothing that changes networks.
_HOUSEKEEPING = (
    Capability.CHOWN, Capability.DAC_OVERRIDE, Capability.FOWNER, Capability.FSETID,
    Capability.KILL, Capability.SETGID, Capability.SETUID, Capability.NET_BIND_SERVICE,
)  # fmt: skip


def main() -> NoReturn:
    parser = argparse.ArgumentParser(prog="python -m landbridge.network.inside")
    parser.add_argument("--as", dest="account", default="", metavar="ACCOUNT")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("socket", type=Path)
    parser.add_argument("instance")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        _go(options.socket, options.instance, options.account, apart=options.apart)
    except (LandbridgeError, OSError, KeyError) as problem:
        print(f"landbridge: {problem}", file=sys.stderr)
        if remedy := getattr(problem, "remedy", None):
            print(f"  {remedy}", file=sys.stderr)
        sys.exit(125)
    try:
        os.execvp(options.command[0], options.command)
    except OSError as problem:
        print(f"landbridge: {options.command[0]}: {problem.strerror}", file=sys.stderr)
        sys.exit(127 if isinstance(problem, FileNotFoundError) else 126)


def _go(where: Path, instance: str, account: str, *, apart: bool) -> None:
    """Enter the place of `instance` and give up what a command there shall not have."""
    owner, namespaces = _namespaces(where, instance)
    if os.geteuid() == 0 and owner != 0:
        # Root in a user's fabric: only the user itself is known in its namespace.
        _become(pwd.getpwuid(owner))
        account = ""
    for fd, kind in namespaces:
        linux.enter(fd, kind)
        os.close(fd)
    if apart:
        _part()
    if sys.platform == "linux":
        linux.limit_capabilities(_HOUSEKEEPING if os.geteuid() == 0 else ())
    if account and pwd.getpwnam(account).pw_uid != os.geteuid():
        _become(pwd.getpwnam(account))


def _part() -> None:
    """Have memory segments, semaphores and queues of our own, if we may and the kernel can."""
    try:
        linux.unshare(Namespace.IPC)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.EINVAL):
            raise


def _namespaces(where: Path, instance: str) -> tuple[int, list[tuple[int, Namespace]]]:
    """Whose daemon answered, and what it opens for us.

    That is nothing, a network, or a user namespace and a network.
    """
    with protocol.connect(where) as connection:
        owner = protocol.peer(connection)
        connection.sendall(protocol.line({"do": "enter", "instance": instance}))
        text, descriptors, _, _ = socket.recv_fds(connection, protocol.LIMIT, 2)
    count = protocol.result(text)
    if count != len(descriptors):
        raise NetworkFailed("the daemon's answer came without its files", id="network.daemon_gone")
    kinds = (Namespace.USER, Namespace.NET)[2 - count :]
    return owner, list(zip(descriptors, kinds, strict=True))


def _become(entry: pwd.struct_passwd) -> None:
    """Switch to an account for good, with its groups and home."""
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    linux.switch_user(entry.pw_uid, entry.pw_gid, groups)
    os.environ["HOME"] = entry.pw_dir


if __name__ == "__main__":
    main()
