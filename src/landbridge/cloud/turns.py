"""How much of what all accounts share one of them has at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import CloudError


class Turns:
    """At most so many at a time for each account; any number of threads at once."""

    def __init__(self, most: int, what: str) -> None:
        """`what` is done, like `calls that ask servers`."""
        self._most = most
        self._what = what
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, account_uid: int) -> Iterator[None]:
        """Be one of them. CloudError (Throttling.User) where there are as many already."""
        with self._lock:
            if self._taken[account_uid] >= self._most:
                said = f"{self._most} {self._what} of this account are under way; try again"
                raise CloudError("Throttling.User", said)
            self._taken[account_uid] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[account_uid] -= 1
                if not self._taken[account_uid]:
                    del self._taken[account_uid]
