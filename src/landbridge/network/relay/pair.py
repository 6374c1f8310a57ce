"""The way from one instance to another: a listener, and a gate in each direction."""

from __future__ import annotations

import threading
from typing import Protocol

from ..bucket import LEAST
from ..forward import Forwarder, OpenGate, Shut
from ..pgwire import Dial
from .ledger import Place


class Way(Protocol):
    """What one direction of a pair leads over."""

    @property
    def piece(self) -> int: ...
    def take(self, count: int) -> bool: ...
    def carried(self, count: int) -> None: ...


class Direct(OpenGate):
    """Within a VPC or between two of one transit router: no line, no limit."""

    def take(self, count: int) -> bool:
        return True

    def carried(self, count: int) -> None:
        pass


class PairGate:
    """Lets bytes pass at the pace of the way, and holds them while there is none.

    Holding is what a cut wire does: nothing is closed, and what waited goes on if the way
    comes back.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._way: Way | None = None
        self._shut = False

    @property
    def piece(self) -> int:
        way = self._way
        return LEAST if way is None else way.piece

    def set(self, way: Way | None) -> None:
        """Lead over `way` from now on; None cuts the wire."""
        with self._changed:
            self._way = way
            self._changed.notify_all()

    def shut(self) -> None:
        """End everything that waits here."""
        with self._changed:
            self._shut = True
            self._changed.notify_all()

    def enter(self, count: int) -> None:
        """Return when `count` bytes may pass; Shut when the pair is gone."""
        gone: Way | None = None
        while True:
            way = self._another_than(gone)
            if not way.take(count):
                gone = way
            elif way is self._way:  # not cut while we waited
                way.carried(count)
                return

    def _another_than(self, gone: Way | None) -> Way:
        with self._changed:
            while not self._shut:
                if self._way is not None and self._way is not gone:
                    return self._way
                self._changed.wait()
            raise Shut


class Pair:
    """A client's listener for one server; `dial` decides about every new connection."""

    def __init__(self, place: Place, dial: Dial) -> None:
        self._there, self._back = PairGate(), PairGate()
        self._forwarder = Forwarder(place.host, place.port, dial, self._there, self._back)

    def settle(self, ways: tuple[Way, Way] | None) -> None:
        """Lead both directions over these ways, or hold everything."""
        there, back = ways or (None, None)
        self._there.set(there)
        self._back.set(back)

    def close(self) -> None:
        self._there.shut()
        self._back.shut()
        self._forwarder.close()
