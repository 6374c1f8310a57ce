"""Which driver this machine can run, found out by doing it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from ..errors import NetworkFailed


class Wanted(Enum):
    """What a caller may ask for."""

    AUTO = "auto"
    """The kernel's isolation where the machine allows it, otherwise the relay."""
    NETNS = "netns"
    RELAY = "relay"


class Network(Enum):
    """What a control plane's networks are made by."""

    AUTO = "auto"
    """What the state folder has; at first the kernel where it may, otherwise the relay."""
    NETNS = "netns"
    RELAY = "relay"
    EXTERNAL = "external"
    """By somebody else; every instance is at an address of this host."""


@dataclass(frozen=True)
class Choice:
    """The driver that was taken, and in sentences why, and why not a better one."""

    driver: Wanted
    reasons: tuple[str, ...]


def choose(wanted: Wanted) -> Choice:
    """Decide; forks, so the calling process must have one thread.

    NetworkFailed if `wanted` is NETNS and the machine forbids it: the error says what to do.
    """
    if wanted is Wanted.RELAY:
        return Choice(Wanted.RELAY, ("the relay was asked for",))
    obstacle = in_child(try_netns) if sys.platform == "linux" else _not_linux()
    if obstacle is None:
        return Choice(Wanted.NETNS, (f"the kernel isolates: {_as_whom()}",))
    if wanted is Wanted.NETNS:
        raise obstacle
    remedy = (obstacle.remedy,) if obstacle.remedy else ()
    return Choice(Wanted.RELAY, (f"no kernel isolation: {obstacle.message}", *remedy))


def try_netns() -> None:
    """Make namespaces, a pair of devices and a shaper, and let them go; for a child process."""
    from .daemon import userns
    from .netns import trial

    if os.geteuid() != 0:
        try:
            userns.make()
        except OSError as problem:
            raise userns.refused(problem) from problem
    if found := trial.obstacles():
        raise NetworkFailed("; ".join(found), id="network.kernel", remedy="Use the relay driver.")


def in_child(work: Callable[[], None]) -> NetworkFailed | None:
    """Do something in a child process of its own; the error it ended with, if any."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        _child(work, writing)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    os.waitpid(pid, 0)
    if told == "done":
        return None
    raw = json.loads(told) if told else {"message": "the trial ended early", "id": "network.trial"}
    return NetworkFailed(raw["message"], id=raw["id"], remedy=raw.get("remedy"))


def _child(work: Callable[[], None], writing: int) -> NoReturn:
    told = ""
    try:
        try:
            work()
            told = "done"
        except NetworkFailed as problem:
            told = json.dumps(problem.as_dict())
        except Exception as problem:
            told = json.dumps({"message": f"{problem}", "id": "network.trial"})
        os.write(writing, told.encode())
    finally:
        os._exit(0)


def _not_linux() -> NetworkFailed:
    return NetworkFailed(
        f"network namespaces are Linux's, this is {sys.platform}", id="network.not_linux"
    )


def _as_whom() -> str:
    return "network namespaces as root" if os.geteuid() == 0 else "a user namespace of our own"
