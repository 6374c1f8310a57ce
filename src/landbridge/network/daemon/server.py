"""The socket's end in the daemon: takes requests apart and hands them to the driver.

Besides `Verbs` three belong to the process: `about` (its process number), `enter` (the
namespaces of an instance's place, as open files) and `stop`. Whoever asks must be the account
that the daemon runs as, or root, and begin with the key. Nothing that is asked ends the daemon
but `stop`.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import LandbridgeError, NetworkFailed, NetworkRefused
from ..codec import encode
from ..fabric import Capabilities, Driver
from . import key, protocol

log = logging.getLogger(__name__)

#: Seconds that a client may take between two bytes.
_PATIENCE = 30.0
#: Connections that may owe the key at a time; of more the oldest is ended. Servers that are
#: shut in can connect, though not ask: they shall not use up our files.
_STRANGERS = 400
#: Seconds until the next try where no file is left for another connection.
_PAUSE = 0.1
#: Seconds that a change takes which is told in the log. All that is wanted is ensured again at
#: every change, so that a line for each would fill the disk for whoever orders in a loop.
_SLOW = 1.0
#: Only looks at the fabric; everything else is done one at a time.
_LOOKS = frozenset({"capabilities", "endpoint", "path", "probe", "meter", "observe", "status"})


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on `folder`/daemon.sock until `shutdown`; `serve_forever` runs it.

    `reasons` are told with the driver's capabilities. `user` is an open user namespace
    that has to be entered before any of the driver's.
    """

    daemon_threads = True
    block_on_close = False
    # Who does not wait for a connection is turned away beyond this (measured: 6 with the 5 of
    # the library).
    request_queue_size = 128

    def __init__(
        self, folder: Path, driver: Driver, *, reasons: Sequence[str] = (), user: int | None = None
    ) -> None:
        self.driver = driver
        self.user = user
        self.changing = threading.Lock()
        """Held while something is changed."""
        self.key = key.make(folder)
        self._reasons = tuple(reasons)
        self._strangers: dict[socket.socket, None] = {}
        self._door = threading.Lock()
        self._socket = folder / protocol.SOCKET
        self._socket.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            with protocol.reachable(self._socket) as name:
                super().__init__(name, _Connection)
        finally:
            os.umask(mask)

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:  # out of file descriptors: who waits would be tried again at once
            time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._door:
            self._strangers[request] = None
            if len(self._strangers) > _STRANGERS:
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def no_stranger(self, connection: socket.socket) -> None:
        """Somebody has said the key, or left."""
        with self._door:
            self._strangers.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is its own business."""
        log.debug("a client went away", exc_info=True)

    def close(self, patience: float = 10.0) -> None:
        """Stop answering, let a change under way end (at most `patience` seconds)."""
        self._socket.unlink(missing_ok=True)
        self.shutdown()
        self.changing.acquire(timeout=patience)
        self.server_close()

    def answer(self, message: dict[str, Any]) -> Any:
        """The result of a verb of `Verbs`; LandbridgeError if it is none or fails."""
        arguments = dict(message)
        verb = arguments.pop("do", None)
        if not protocol.is_verb(verb):
            raise NetworkRefused(f"there is no verb {verb!r}", id="network.unknown_verb")
        try:
            values = protocol.arguments(verb, arguments)
        except (TypeError, ValueError) as problem:
            raise _bad(f"bad arguments of {verb}: {problem}") from None
        started = time.monotonic()
        with nullcontext() if verb in _LOOKS else self.changing:
            result = self._call(verb, values)
        took = time.monotonic() - started
        if verb not in _LOOKS and took > _SLOW:
            thing = next(iter(values.values()), "")
            log.info("%s %s: %.3f s", verb, getattr(thing, "id", thing), took)
        return result

    def _call(self, verb: str, values: dict[str, Any]) -> Any:
        try:
            result = getattr(self.driver, verb)(**values)
        except OSError as problem:
            log.exception("%s failed", verb)
            raise NetworkFailed(
                f"{verb}: the machine refused: {problem}", id="network.machine"
            ) from problem
        if isinstance(result, Capabilities):
            result = replace(result, reasons=(*self._reasons, *result.reasons))
        return result


class _Connection(socketserver.StreamRequestHandler):
    """One client: the key, a request, its answer, the next request."""

    server: Server
    timeout = _PATIENCE

    def handle(self) -> None:
        try:
            is_known = _may_ask(self.connection) and self._has_key()
        finally:
            self.server.no_stranger(self.connection)
        if not is_known:
            self._send(protocol.error(protocol.not_allowed()))
            return
        while text := self.rfile.readline(protocol.LIMIT + 1):
            if len(text) > protocol.LIMIT or not text.endswith(b"\n"):
                self._send(protocol.error(_bad(f"a line of more than {protocol.LIMIT} bytes")))
                return
            self._one(text)

    def _has_key(self) -> bool:
        said = self.rfile.readline(key.LENGTH + 1).rstrip(b"\n")
        return hmac.compare_digest(said, self.server.key)

    def _one(self, text: bytes) -> None:
        with ExitStack() as files:
            descriptors: list[int] = []
            try:
                message = _parse(text)
                if message.get("do") == "enter":
                    descriptors = self._open_place(message, files)
                    result: Any = len(descriptors)
                elif message.get("do") == "about":
                    result = os.getpid()
                elif message.get("do") == "stop":
                    result = None
                    os.kill(os.getpid(), signal.SIGTERM)
                else:
                    result = self.server.answer(message)
                answer = {"ok": encode(result)}
            except LandbridgeError as problem:
                answer = protocol.error(problem)
            except Exception as problem:
                log.exception("a defect")
                name = type(problem).__name__
                answer = protocol.error(
                    LandbridgeError(f"an error inside the network's daemon: {name}; see its log")
                )
            self._send(answer, descriptors)

    def _open_place(self, message: dict[str, Any], files: ExitStack) -> list[int]:
        """User namespace, if we are in one of ours, then network namespace of an instance."""
        instance = message.get("instance")
        if not isinstance(instance, str):
            raise _bad("enter takes the id of an instance")
        path = self.server.driver.namespace(instance)
        if path is None:
            return []
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        files.callback(os.close, opened)
        return [opened] if self.server.user is None else [self.server.user, opened]

    def _send(self, answer: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        data = protocol.line(answer)
        if descriptors:
            # The files travel with the first bytes; the answer is short then.
            socket.send_fds(self.connection, [data], list(descriptors))
        else:
            self.connection.sendall(data)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _bad(f"no JSON: {problem}") from None
    if not isinstance(message, dict):
        raise _bad("a request is a JSON object")
    return message


def _bad(words: str) -> NetworkRefused:
    return NetworkRefused(words, id="network.bad_request")


def _may_ask(connection: socket.socket) -> bool:
    """Whether the other end is our own account, or root.

    In a user namespace root is nobody we know (65534), like every other stranger; there it is
    the folder of the socket (mode 0700) that only root can walk through.
    """
    uid = protocol.peer(connection)
    return uid in (os.geteuid(), 0) or (_root_is_unmapped() and uid == _overflow_uid())


def _root_is_unmapped() -> bool:
    words = Path("/proc/self/uid_map").read_text().split()
    return words[1] != "0"


def _overflow_uid() -> int:
    return int(Path("/proc/sys/kernel/overflowuid").read_text())
