"""A line that takes its time: two TUN devices, and a loop that carries packets late.

For kernels without netem, and off unless the driver is told otherwise. Each packet passes
through Python, and the line lives only as long as this process: a restart makes it anew,
and connections over it go on.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...errors import NetworkFailed
from .pairs import End
from .spaces import inside

_DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKET = 65536
_BATCH = 64
"""Packets read before those that are due are looked at again."""


def is_possible() -> bool:
    """Whether this process may make TUN devices."""
    return os.access(_DEVICE, os.R_OK | os.W_OK)


class DelayedPair:
    """A pair of TUN devices that pass packets to each other `seconds` late, one way."""

    def __init__(self, a: End, b: End, seconds: float) -> None:
        """NetworkFailed (network.no_latency) if TUN devices cannot be made."""
        self.ends = (a, b)
        self.seconds = seconds
        files = []
        try:
            for end in self.ends:
                files.append(inside(end.space, partial(_open, end.name)))
        except OSError as error:
            for file in files:
                os.close(file)
            raise NetworkFailed(
                f"a line cannot be given a latency: {error}",
                id="network.no_latency",
                remedy=f"Let this user open {_DEVICE}, or run without latency.",
            ) from None
        self._files = files
        self._stop, self._stopper = os.pipe()
        ways = ((files[0], files[1]), (files[1], files[0]))
        self._threads = [
            threading.Thread(target=self._carry, args=way, name="latency", daemon=True)
            for way in ways
        ]
        for thread in self._threads:
            thread.start()

    def fits(self, a: End, b: End, seconds: float) -> bool:
        """Whether this is the pair that is wanted."""
        return (self.ends, self.seconds) == ((a, b), seconds) and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether both devices are still where they were made."""
        with suppress(OSError):
            return all(end.is_there for end in self.ends)
        return False

    def close(self) -> None:
        """End the loop; the devices go with it."""
        os.close(self._stopper)
        for thread in self._threads:
            thread.join()
        for file in (*self._files, self._stop):
            os.close(file)

    def _carry(self, source: int, target: int) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(self._stop, select.POLLHUP)
        while True:
            left = (waiting[0][0] - time.monotonic()) * 1000 if waiting else None
            ready = poll.poll(left if left is None else max(0.0, left))
            if any(file == self._stop or event & ~select.POLLIN for file, event in ready):
                return
            if ready:
                _read(source, waiting, self.seconds)
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                with suppress(OSError):  # the other device is down: the packet is lost
                    os.write(target, waiting.popleft()[1])


def _read(source: int, waiting: deque[tuple[float, bytes]], seconds: float) -> None:
    """Take what is there and note when each packet is due."""
    with suppress(OSError):
        for _ in range(_BATCH):
            packet = os.read(source, _PACKET)
            waiting.append((time.monotonic() + seconds, packet))


def _open(name: str) -> int:
    """A TUN device in the calling thread's namespace; it goes when the file is closed."""
    file = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(file)
        raise
    return file
