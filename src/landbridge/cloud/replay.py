"""Nonces: a signed call counts once, also after the service was ended, killed or restarted.

They are remembered by the time in the call: in memory, and in one file for every five minutes,
which goes when its calls would be refused by their time. What the kernel has taken is there after
any end of the process. A call that changes something also waits until the disk has it; so
only after a power failure might one be repeated, of those that read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from ..errors import StoreFailed
from ..store import utcnow
from .errors import CloudError

#: How far the time in a call may lie from ours, either way.
WINDOW = timedelta(minutes=15)
#: The times of one file.
_SPAN = timedelta(minutes=5)
_NAME = re.compile(r"[1-9][0-9]{0,17}")
#: Bytes that stand for a key's nonce.
_MARK = 16


class Nonces:
    """Those of one service, in a folder of its own; any number of threads at once.

    Measured: 7 us a call; 100 bytes of memory for each nonce of the last 20 minutes.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is made if need be. StoreFailed (nonces.folder)."""
        self._folder = folder
        self._lock = threading.Lock()
        self._spans: dict[int, _Span] = {}
        with _said_plainly(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            for file in folder.iterdir():
                if _NAME.fullmatch(file.name):  # what else lies there is not ours
                    self._spans[int(file.name)] = _Span(file)

    def use(self, access_key_id: str, nonce: str, at: datetime, *, lasting: bool) -> None:
        """Remember a nonce of a call whose time, `at`, was found to be within WINDOW.

        `lasting` waits for the disk. CloudError: SignatureNonceUsed, InvalidParameter (not 1 to
        128 characters of ASCII). StoreFailed (nonces.folder).
        """
        if not (0 < len(nonce) <= 128 and nonce.isascii() and nonce.isprintable()):
            raise CloudError("InvalidParameter", "a signature nonce has 1 to 128 ASCII characters")
        mark = hashlib.sha256(f"{access_key_id} {nonce}".encode()).digest()[:_MARK]
        with _said_plainly(self._folder):
            with self._lock:
                if any(mark in span.marks for span in self._spans.values()):
                    raise CloudError("SignatureNonceUsed")
                span = self._span(at)
                span.add(mark)
            if lasting:
                span.sync()

    def close(self) -> None:
        """Close the files."""
        for span in self._spans.values():
            span.close()
        self._spans.clear()

    def _span(self, at: datetime) -> _Span:
        number = _number(at)
        if number not in self._spans:
            self._forget()
            self._spans[number] = _Span(self._folder / str(number))
        return self._spans[number]

    def _forget(self) -> None:
        """Drop what is older than the window; one span more, as a call may be under way."""
        oldest = _number(utcnow() - WINDOW) - 1
        for number in [n for n in self._spans if n < oldest]:
            self._spans.pop(number).drop()


class _Span:
    """The nonces of five minutes, and the file that has them one after the other."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._cut()
        found = file.read_bytes()
        self.marks = {found[n : n + _MARK] for n in range(0, len(found), _MARK)}

    def add(self, mark: bytes) -> None:
        if os.write(self._fd, mark) != _MARK:
            self._cut()
            raise OSError("the disk is full")
        self.marks.add(mark)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)

    def drop(self) -> None:
        self.close()
        self._file.unlink(missing_ok=True)

    def _cut(self) -> None:
        """Take away what a full disk has left half written."""
        os.ftruncate(self._fd, os.fstat(self._fd).st_size // _MARK * _MARK)


def _number(at: datetime) -> int:
    return int(at.timestamp() // _SPAN.total_seconds())


@contextlib.contextmanager
def _said_plainly(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreFailed(
            f"used nonces cannot be kept in {folder}: {problem.strerror or problem}",
            id="nonces.folder",
            remedy="Make room there, and let the service's account write there.",
            retryable=True,
        ) from None
