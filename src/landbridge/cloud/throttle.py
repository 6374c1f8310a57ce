"""How many wrong guesses are borne: tokens in buckets that fill again, in memory.

A restart forgets them. Who guesses under ever new names pushes old buckets out, but is
held by the bucket of its own address long before.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from .errors import CloudError

#: How many buckets of a kind are kept.
_MOST = 10_000
#: Seconds for which it is remembered from where a user has signed in.
_REMEMBERED = 60.0


@dataclass(frozen=True)
class Limit:
    """So many at once, then one more every `seconds`."""

    at_once: int
    seconds: float


class Buckets:
    """Buckets of one kind, by name. Not for several threads."""

    def __init__(self, limit: Limit, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """How much was spent of a bucket, and when that was so; the latest last."""

    def wait(self, name: str) -> float:
        """Seconds until there is something in the bucket; 0 if there is."""
        return max(0.0, (self._now(name) + 1 - self._limit.at_once) * self._limit.seconds)

    def spend(self, name: str, count: int = 1) -> None:
        """Take from the bucket; put back what was taken with a negative `count`."""
        self._spent[name] = (max(0.0, self._now(name) + count), self._clock())
        self._spent.move_to_end(name)
        while len(self._spent) > _MOST:
            self._spent.popitem(last=False)

    def _now(self, name: str) -> float:
        spent, since = self._spent.get(name, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - since) / self._limit.seconds)


class Throttle:
    """Bears 5 failures for a user from one address and 20 from an address, then one every 30 s.

    For a user from everywhere it bears 200, then one every 5 s; but at a place from which the
    user has signed in before, nobody is held back for what others do elsewhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._pairs = Buckets(Limit(5, 30), clock)
        self._sources = Buckets(Limit(20, 30), clock)
        self._users = Buckets(Limit(200, 5), clock)
        self._known: OrderedDict[str, tuple[float, Collection[str]]] = OrderedDict()
        """Where users have signed in before, and until when that is remembered."""

    def begin(
        self, user: str, source: str, known: Callable[[], Collection[str]] = frozenset
    ) -> None:
        """Count a try as failed until `succeeded`. CloudError (Throttling.User).

        `known` says from which addresses the user has signed in before.
        """
        with self._lock:
            is_crowded = self._users.wait(user) > 0
        is_known = is_crowded and network_of(source) in self._places(user, known)
        with self._lock:
            buckets = self._of(user, source)
            deciding = buckets[:-1] if is_known else buckets
            wait = max(bucket.wait(name) for bucket, name in deciding)
            if wait > 0:
                raise CloudError(
                    "Throttling.User", f"too many wrong passwords; try again in {wait + 1:.0f} s"
                )
            for bucket, name in buckets:
                bucket.spend(name)

    def succeeded(self, user: str, source: str) -> None:
        """Forget the try that was begun."""
        with self._lock:
            for bucket, name in self._of(user, source):
                bucket.spend(name, -1)

    def _of(self, user: str, source: str) -> tuple[tuple[Buckets, str], ...]:
        place = network_of(source)
        return (self._pairs, f"{place} {user}"), (self._sources, place), (self._users, user)

    def _places(self, user: str, known: Callable[[], Collection[str]]) -> Collection[str]:
        """Not asked for at each guess: that takes a look into the trail."""
        until, places = self._known.get(user, (0.0, ()))
        if until <= self._clock():
            places = {network_of(source) for source in known()}
            self._known[user] = self._clock() + _REMEMBERED, places
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return places


def network_of(source: str) -> str:
    """Whom an address stands for: one of IPv6 for all 2**64 that its owner has."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 4:
        return source
    return str(ipaddress.ip_network((int(address), 64), strict=False))
