"""What goes over the daemon's socket: one line of JSON each way.

::

    {"do": "ensure_vpc", "vpc": {"id": "vpc-a", ...}}   ->  {"ok": null}
    {"do": "drop_vpc", "id": 7}                         ->  {"error": {"id": ..., ...}}

Before the first request goes the daemon's key (see `key`), a line by itself. The verbs are
the methods of `Verbs`, their arguments by name; what each takes and gives is read from its
annotations. Three more belong to the process: see `server`.
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import LandbridgeError, NetworkFailed, NetworkRefused
from ..codec import decode, encode, types_of
from ..fabric import Verbs
from . import key

#: Bytes of one line; a request with 1000 whitelist entries takes 25 kB.
LIMIT = 4 << 20
SOCKET = "daemon.sock"


def is_verb(name: object) -> bool:
    """Whether `Verbs` has a method of that name."""
    return isinstance(name, str) and not name.startswith("_") and name in vars(Verbs)


def arguments(verb: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a verb; TypeError or ValueError if they are not what it takes."""
    method = getattr(Verbs, verb)
    inspect.signature(method).bind(None, **raw)
    return {name: decode(types_of(method)[name], value) for name, value in raw.items()}


def request(verb: str, arguments: dict[str, Any]) -> bytes:
    """One line that asks for something."""
    return line({"do": verb, **{name: encode(value) for name, value in arguments.items()}})


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def error(problem: LandbridgeError) -> dict[str, Any]:
    """An error as an answer."""
    return {"error": {**problem.as_dict(), "refused": isinstance(problem, NetworkRefused)}}


def result(text: bytes) -> Any:
    """What was answered in a line, or the error that it is, raised."""
    if not text.endswith(b"\n"):
        raise NetworkFailed(
            "the network's daemon ended before it answered",
            id="network.daemon_gone",
            remedy="Start it again and repeat the call; everything it does can be repeated.",
            retryable=True,
        )
    answer = json.loads(text)
    if "error" not in answer:
        return answer["ok"]
    raw = answer["error"]
    kind: type[LandbridgeError] = NetworkRefused if raw["refused"] else NetworkFailed
    raise kind(raw["message"], id=raw["id"], remedy=raw["remedy"], retryable=raw["retryable"])


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of a socket that is short enough, however deep its folder lies.

    The kernel takes at most 107 bytes; the folder's own file descriptor is shorter.
    """
    if len(os.fsencode(path)) <= 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """A connection to the daemon, the key said already; each step may take `timeout` seconds.

    NetworkFailed (network.daemon_absent) if there is none, NetworkRefused (network.not_allowed)
    for whom the key is not meant.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        word = key.read(path.parent)
        with reachable(path) as name:
            connection.connect(name)
        connection.sendall(word + b"\n")
    except PermissionError as problem:
        connection.close()
        raise not_allowed() from problem
    except OSError as problem:
        connection.close()
        raise NetworkFailed(
            f"the network's daemon does not answer on {path}: {problem.strerror or problem}",
            id="network.daemon_absent",
            remedy="Start it again; what it built is still there.",
            retryable=True,
        ) from None
    return connection


def not_allowed() -> NetworkRefused:
    return NetworkRefused(
        "only the account that the daemon runs as may ask it",
        id="network.not_allowed",
        remedy="Ask as that account, or as root.",
    )


def peer(connection: socket.socket) -> int:
    """The number of the account at the other end."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
