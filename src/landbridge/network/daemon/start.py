"""Starting, finding and ending the daemon of a state folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from ... import lock
from ...errors import NetworkFailed
from ...postgres.osaccount import clean_environment
from ...postgres.process import ProcessId, pids, start_detached, wait_until
from .. import linux
from ..choose import Wanted
from . import protocol
from .client import FabricClient, ask
from .layout import Layout
from .userns import Holder

_MODULE = "landbridge.network.daemon"
#: Seconds for a daemon that somebody else is just starting or ending.
_PATIENCE = 20.0
#: Seconds within which a daemon that is well says who it is.
_ANSWERS = 5.0


def start(state: Path, driver: str = "auto", *, user: str = "") -> FabricClient:
    """The fabric of a state folder; starts its daemon if none runs.

    `driver` is a `Wanted`; what `auto` takes is decided once for a state folder. As root,
    `user` names the account that the folder and its daemon shall belong to: the kernel's
    isolation then needs no root afterwards. Raises NetworkFailed (network.daemon_failed;
    network.namespaces_refused and the like where the machine forbids `driver`) and
    NetworkRefused (network.other_driver).
    """
    wanted = Wanted(driver)
    layout = Layout(state.absolute())
    user = layout.make(user)
    found: list[FabricClient] = []

    def runs() -> bool:
        with contextlib.suppress(NetworkFailed):
            ask(layout.socket, "about", timeout=_ANSWERS)
            found.append(FabricClient(layout.socket))
            return True
        return _launch(layout, wanted, user)

    if not wait_until(lambda: runs() and bool(found), _PATIENCE):
        raise NetworkFailed(
            f"the daemon on {layout.state} holds its lock but does not answer",
            id="network.daemon_failed",
            remedy=f"See {layout.log}; end the process and try again.",
        )
    layout.remembered(wanted)
    return found[0]


def check_driver(state: Path, driver: str) -> None:
    """NetworkRefused (network.other_driver) if `start` would refuse this driver."""
    Layout(state.absolute()).remembered(Wanted(driver))


def _launch(layout: Layout, wanted: Wanted, user: str) -> bool:
    """Start a daemon and wait for its word; False if another one holds the lock."""
    reading, writing = os.pipe()
    # Until the daemon opens its log what it prints goes the same way as its word.
    output = Path(f"/dev/fd/{writing}")
    command = [sys.executable, "-P", "-m", _MODULE]
    options = [f"--user={user}"] if user else []
    try:
        start_detached(
            [*command, *options, f"--ready={writing}", layout.state, wanted.value],
            output=output, environment=clean_environment(), pass_fds=[writing],
        )  # fmt: skip
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = b"".join(stream.readlines()[-1:])
    try:
        protocol.result(told or b"\n")
    except ValueError:  # nothing, or the last words of an interpreter
        words = told.decode(errors="replace").strip() or "it said nothing"
        raise NetworkFailed(
            f"the network's daemon did not start: {words}", id="network.daemon_failed",
            remedy=f"See {layout.log}.",
        ) from None  # fmt: skip
    except NetworkFailed as problem:
        if problem.id != "network.busy":
            raise
        return False
    return True


def stop(state: Path) -> None:
    """End the daemon and wait for it; what it built stands on. Nothing happens if none runs."""
    layout = Layout(state.absolute())
    with contextlib.suppress(NetworkFailed):
        ask(layout.socket, "stop", timeout=_ANSWERS)
    if layout.lock.exists() and not wait_until(lambda: not lock.is_taken(layout.lock), _PATIENCE):
        raise NetworkFailed(
            f"the daemon on {layout.state} does not end",
            id="network.daemon_failed",
            remedy=f"See {layout.log}; end the process and try again.",
        )


def remove(state: Path) -> None:
    """Take down everything that the network in `state` is made of, and the folder with it."""
    layout = Layout(state.absolute())
    if not layout.state.exists():
        return
    try:
        start(layout.state).gc(())
    except NetworkFailed:
        # Without a daemon root's namespaces cannot be told from others'; all else goes with
        # the folder and the holder.
        if _holds_mounts(layout.run):
            raise
    stop(layout.state)
    if (holder := Holder.find(layout.state)) is not None:
        holder.end()
    _end_strays(layout)
    for place in sorted(layout.run.rglob("*"), reverse=True):
        if os.path.ismount(place):
            linux.unmount(place)
    if os.path.ismount(layout.run):
        linux.unmount(layout.run)
    shutil.rmtree(layout.state)


def _end_strays(layout: Layout) -> None:
    """End daemons and holders whose folder was removed under them: no file names them any more."""
    for pid in pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if not {_MODULE.encode(), os.fsencode(layout.state)} <= set(words):
            continue
        if (process := ProcessId.of(pid)) is not None:
            with contextlib.suppress(PermissionError):
                process.send(signal.SIGKILL)
                wait_until(lambda process=process: not process.alive(), _PATIENCE)  # type: ignore[misc]


def _holds_mounts(folder: Path) -> bool:
    return folder.exists() and any(map(os.path.ismount, (folder, *folder.rglob("*"))))
