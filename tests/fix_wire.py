"""A TCP wire between client and server that a test can cut, slow down or mend."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest


class Wire:
    """Forwards connections from a port of its own to `target` on loopback.

    `cut()` makes the wire dead without closing anything: bytes simply stop, and new
    connections are accepted by nobody. `drop()` closes all connections at once.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.rate: float | None = None
        self._open = threading.Event()
        self._open.set()
        self._ended = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.carried = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def drop(self) -> None:
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def end(self) -> None:
        self._ended = True
        self._open.set()
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                continue
            self._open.wait()
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            back.start()
            self._carry(client, server)
            back.join()

    def _carry(self, reader: socket.socket, writer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := reader.recv(65536):
                self._open.wait()
                if self.rate:
                    time.sleep(len(data) / self.rate)
                self.carried += len(data)
                writer.sendall(data)
        for end in (reader, writer):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wires() -> Iterator[type[Wire]]:
    """The Wire class; every wire made through it is ended with the test."""
    made: list[Wire] = []

    class Ended(Wire):
        def __init__(self, target: int) -> None:
            super().__init__(target)
            made.append(self)

    try:
        yield Ended
    finally:
        for wire in made:
            wire.end()
