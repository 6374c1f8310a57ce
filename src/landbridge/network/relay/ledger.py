"""Which loopback address stands for what, remembered in a file.

Every instance and every listener has an address of its own in 127/8, so that all of them can
keep PostgreSQL's usual port and a server sees which instance a client is. Where only 127.0.0.1
exists (macOS), they differ by port.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Collection, Iterator
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from ...errors import NetworkFailed

_LOOPBACK = "127.0.0.1"
#: 127.0.x.x stays with the system: host names and resolvers live there.
_LOWEST, _HIGHEST = 16, 247
_TRIES = 50


class Place(NamedTuple):
    """An address and a port on this machine."""

    host: str
    port: int


Key = tuple[str, ...]


class Ledger:
    """Places by what they stand for; written at every change, so that a restart finds them.

    Not thread-safe.
    """

    def __init__(self, path: Path, installation: str) -> None:
        self._path = path
        self._installation = installation
        self._places = _read(path)

    def allot(self, key: Key, port: int) -> Place:
        """The place that stands for `key`: the remembered one, or a free one at `port`."""
        if key not in self._places:
            self._places[key] = self._free(key, port)
            self._write()
        return self._places[key]

    def note(self, key: Key, place: Place) -> None:
        """Remember a place that somebody else chose."""
        if self._places.get(key) != place:
            self._places[key] = place
            self._write()

    def get(self, key: Key) -> Place | None:
        return self._places.get(key)

    def keys(self, kind: str) -> list[Key]:
        """The remembered keys that begin with `kind`."""
        return [key for key in self._places if key[0] == kind]

    def keep(self, ids: Collection[str]) -> None:
        """Forget whatever is about an instance that is not among `ids`."""
        kept = {key: at for key, at in self._places.items() if set(key[1:]) <= set(ids)}
        if kept.keys() != self._places.keys():
            self._places = kept
            self._write()

    def forget(self, key: Key) -> None:
        if self._places.pop(key, None) is not None:
            self._write()

    def _free(self, key: Key, port: int) -> Place:
        taken = set(self._places.values())
        for place in self._candidates(key, port):
            if (found := _bindable(place)) is not None and found not in taken:
                return found
        raise NetworkFailed(
            f"no free loopback address for {' '.join(key)} at port {port}",
            id="network.no_address",
            remedy="Give the instance another port.",
        )

    def _candidates(self, key: Key, port: int) -> Iterator[Place]:
        if not has_block():
            yield from repeat(Place(_LOOPBACK, 0), _TRIES)
            return
        for attempt in range(_TRIES):
            name = json.dumps([self._installation, *key, attempt])
            a, b, c = hashlib.sha256(name.encode()).digest()[:3]
            yield Place(f"127.{_LOWEST + a % (_HIGHEST - _LOWEST + 1)}.{b}.{1 + c % 254}", port)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"for": list(key), "at": list(place)} for key, place in self._places.items()]
        scratch = self._path.with_suffix(".new")
        with scratch.open("w") as file:
            file.write(json.dumps(rows, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)


@cache
def has_block() -> bool:
    """Whether all of 127/8 belongs to this machine, as on Linux; found out by binding."""
    return _bindable(Place(f"127.{_HIGHEST}.255.254", 0)) is not None


def _bindable(place: Place) -> Place | None:
    """The place with its port, if a listener can be had there now."""
    try:
        with socket.create_server(place) as trial:
            return Place(place.host, trial.getsockname()[1])
    except OSError:
        return None


def _read(path: Path) -> dict[Key, Place]:
    try:
        rows = json.loads(path.read_text())
        return {tuple(row["for"]): Place(*row["at"]) for row in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkFailed(
            f"{path} cannot be read: {error}",
            id="network.ledger",
            remedy="Remove the file; the addresses in it will be given anew.",
        ) from None
