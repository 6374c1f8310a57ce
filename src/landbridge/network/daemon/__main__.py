"""`python -m landbridge.network.daemon STATE DRIVER [--user ACCOUNT] --ready FD`: the daemon.

Order matters: everything that changes what the process is (account, namespaces,
capabilities) comes first, while there is one thread. All imports come before that: the
account need not be able to read the interpreter that root started. SIGTERM ends the process
cleanly; what it built stands on. Of what a client sends only verbs and ids get into the log.
"""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ... import lock
from ...errors import LandbridgeError, NetworkFailed
from .. import linux
from ..choose import Wanted, choose
from ..fabric import Driver
from ..linux import Capability
from ..netns import NetnsDriver
from ..relay import RelayDriver
from . import protocol, userns
from .layout import Layout
from .server import Server

#: Seconds between two looks at whether to end: so long whoever stops a daemon waits.
_GLANCE = 0.1
#: Seconds between two looks at whether its folder is still there.
_LOOK = 1.0
#: Files that it may have open: a connection through the relay takes two.
_FILES = 65536
#: What each driver needs of the capabilities of its account.
_NEEDED: dict[Wanted, tuple[Capability, ...]] = {
    Wanted.NETNS: (Capability.NET_ADMIN, Capability.SYS_ADMIN),
    Wanted.RELAY: (),
}

log = logging.getLogger("landbridge.network")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m landbridge.network.daemon")
    parser.add_argument("state", type=Path)
    parser.add_argument("driver", type=Wanted)
    parser.add_argument("--user", default="", help="account to run as; as root only")
    parser.add_argument("--ready", type=int, required=True, help="where to say: it runs")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with os.fdopen(options.ready, "wb") as ready:
        try:
            layout = Layout(options.state)
            server = _open(layout, options.driver, options.user)
            is_there = lock.staying(layout.lock)
        except LandbridgeError as problem:
            ready.write(protocol.line(protocol.error(problem)))
            return 1
        ready.write(protocol.line({"ok": None}))
    _serve(server, is_there)
    return 0


def _open(layout: Layout, wanted: Wanted, user: str) -> Server:
    """A server that is bound; from here on there may be threads."""
    if user:
        _become(user)
    if lock.take(layout.lock) is None:
        raise NetworkFailed(
            f"a daemon works on {layout.state} already", id="network.busy", retryable=True
        )
    layout.open_log()
    layout.run.mkdir(mode=0o700, exist_ok=True)
    choice = layout.remembered(wanted)
    if choice is None:
        choice = choose(wanted)
        layout.remember(choice)
    rootless = choice.driver is Wanted.NETNS and os.geteuid() != 0
    if rootless:
        userns.enter(layout.state, layout.run)
    if sys.platform == "linux":
        linux.limit_capabilities(_NEEDED[choice.driver])
    _allow_files()
    # Waited for in `_serve`; threads inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    log.info("process %d, driver %s", os.getpid(), choice.driver.value)
    return Server(
        layout.state,
        _driver(choice.driver, layout),
        reasons=choice.reasons,
        user=os.open("/proc/self/ns/user", os.O_RDONLY) if rootless else None,
    )


def _become(user: str) -> None:
    """Run as another account from here on, keeping capabilities to make a user namespace with.

    So root can start a user's daemon where users may not make namespaces themselves. They are
    not effective until then: whatever file is opened is opened with the account's own rights.
    """
    entry = pwd.getpwnam(user)
    linux.switch_user(entry.pw_uid, entry.pw_gid, (), keep=True)


def _allow_files() -> None:
    """Have more files open than the usual 1024, as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _driver(which: Wanted, layout: Layout) -> Driver:
    kind = NetnsDriver if which is Wanted.NETNS else RelayDriver
    return kind(layout.installation(), layout.run)


def _serve(server: Server, is_there: Callable[[], bool]) -> None:
    """Answer until SIGTERM or SIGINT, or until nobody can ask: the folder was removed."""
    thread = threading.Thread(target=server.serve_forever, args=(_GLANCE,), daemon=True)
    thread.start()
    told = None
    while told is None and is_there():
        told = signal.sigtimedwait((signal.SIGTERM, signal.SIGINT), _LOOK)
    why = signal.Signals(told.si_signo).name if told else "the loss of its folder"
    log.info("ended by %s; what was built stands on", why)
    server.close()


if __name__ == "__main__":
    sys.exit(main())
