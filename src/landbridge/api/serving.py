"""The service's process: its socket, its lock, its end."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .. import lock
from ..beside import beside
from ..cloud import Cloud, CloudError
from ..cloud.throttle import network_of
from ..errors import LandbridgeError, StoreFailed, UsageError
from .app import Application
from .dispatch import Service, new_request_id, refused
from .logs import adopting, logger
from .table import ACTIONS

#: Seconds that calls in flight get at the end, then what is being made real; that an idle
#: connection is kept; between two looks at the claim on the database.
_LAST_CALLS = 5
_LAST_WORK = 5.0
_IDLE = 75
_CLAIM = 1.0
#: Bytes of a request's line and headers; a whitelist of 1,000 entries travels in the line.
_MAX_HEAD = 256 * 1024
#: Seconds for them to arrive, from the first byte.
_HEAD_TIME = 20.0
#: Connections that are open at the same time, and those of one address (of IPv6 a /64); one more
#: is told to come back later. Nobody takes all of them from one place.
_MOST_CONNECTIONS, _MOST_OF_ONE = 2_000, 1_000
#: Open connections by where they come from.
_FROM: Counter[str] = Counter()


@dataclass(frozen=True)
class Tls:
    """The service's certificate (with the chain) and its key, as PEM files."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """UsageError (serve.tls) if the two cannot be used; nobody is asked for a password."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ssl.SSLError) as problem:
            raise UsageError(
                f"the certificate or its key cannot be used: {problem}",
                id="serve.tls",
                remedy="Name PEM files that the service may read, of the same pair; the key without"
                " a password.",
            ) from None


def serve(
    cloud: Cloud,
    listen: str,
    tls: Tls | None,
    ready: Callable[[str], None],
    work: AbstractContextManager[object],
    console: Callable[[Service, Callable[[], bool]], Sequence[BaseRoute]],
    proxies: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the service's URL.

    `console` makes the pages for browsers; it gets the service, and a function that says whether it
    ends. What `proxies` (networks) say of who asks, and over TLS or not, is believed. `work` is
    what makes calls come true; it is entered once this is the one service. At the end it gets some
    seconds; what is still being done then is cut off with the process, and done again by the next.
    `listen` is `ADDRESS:PORT`; port 0 takes a free one. The log goes to stderr. Raises UsageError
    (serve.listen, serve.tls), LandbridgeError: serve.running, serve.address, and StoreFailed:
    store.taken, also when another service took the database while its server was away, state.gone
    when its folder was removed.
    """
    if tls is not None:
        tls.check()
    _allow_connections()
    log = logger(sys.stderr)
    service = Service(cloud, ACTIONS, log)
    config = uvicorn.Config(
        Application(service, console(service, lambda: server.should_exit), landing="/console/"),
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_LAST_CALLS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    config.load()
    lost: list[LandbridgeError] = []
    with (
        cloud.alone(),
        cloud.database.claimed() as keep,
        listening(listen) as listener,
        adopting(log),
    ):
        host, port = listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        server = _Server(config, lambda: ready(f"http{'s' if tls else ''}://{name}:{port}"))
        for number in (signal.SIGTERM, signal.SIGINT):
            # What uvicorn puts back and raises again at its end: then it is no more than noted.
            signal.signal(number, server.handle_exit)
        with beside("claim", lambda stop: _keep(cloud.folder, keep, stop, server, lost)), work:
            gc.freeze()  # what is loaded stays: a collection need not look through all of it
            server.run(sockets=[listener])
            _end_in_time()
    if lost:
        raise lost[0]


def _keep(
    folder: Path,
    keep: Callable[[], None],
    stop: threading.Event,
    server: _Server,
    lost: list[LandbridgeError],
) -> None:
    """Keep the claim on the database; end the service where another one has it, or its folder
    was removed."""
    is_there = lock.staying(folder)
    while not stop.wait(_CLAIM):
        try:
            if not is_there():
                raise _gone(folder)
            keep()
        except StoreFailed as problem:
            if problem.id in ("store.taken", "state.gone"):
                lost.append(problem)
                server.should_exit = True
                return
            logging.getLogger(__name__).warning("the database is away: %s", problem)


def _gone(folder: Path) -> StoreFailed:
    return StoreFailed(
        f"the folder {folder} was removed under the service",
        id="state.gone",
        remedy="What it kept there is lost; put it back from a copy and start the service again."
        " `landbridge service remove` is how a service is removed with its servers and networks.",
    )


def _end_in_time() -> None:
    """End the process soon, whatever its threads wait for: any work may be cut off."""
    timer = threading.Timer(_LAST_WORK, os._exit, (0,))
    timer.daemon = True
    timer.start()


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Protocol(HttpToolsProtocol):
    """HTTP within bounds; what goes beyond them is answered in JSON, and hung up on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_in_head, self._head = False, 0
        self._late: asyncio.TimerHandle | None = None
        source = self.client[0] if self.client else ""
        self._place = network_of(source)
        _FROM[self._place] += 1
        is_proxy = isinstance(self.app, ProxyHeadersMiddleware) and source in self.app.trusted_hosts
        too_many_of_one = _FROM[self._place] > _MOST_OF_ONE and not is_proxy
        if too_many_of_one or len(self.connections) > _MOST_CONNECTIONS:
            self._refuse(CloudError("ServiceUnavailable"))
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._head += len(data)
            if self._head > _MAX_HEAD:
                self.send_400_response("")
                return
        is_at_work = self.cycle is not None and not self.cycle.response_complete
        if self._late is None and (self._is_in_head or not is_at_work):
            self._late = self.loop.call_later(_HEAD_TIME, self.send_400_response, "")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._is_in_head = False
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._be_patient()
        _FROM[self._place] -= 1
        if not _FROM[self._place]:
            del _FROM[self._place]

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # also where the other side does not take the last answer

    def send_400_response(self, msg: str) -> None:
        self._refuse(CloudError("InvalidParameter", "This is no HTTP request that can be read."))

    def _refuse(self, refusal: CloudError) -> None:
        answer = refused(refusal, new_request_id(), "")
        body = json.dumps(answer.body).encode()
        self.transport.write(
            STATUS_LINE[answer.status] + b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()

    def _be_patient(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _allow_connections() -> None:
    """Let the process have as many open files as its connections need, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_CONNECTIONS
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check(listen: str, tls: Tls | None) -> None:
    """Raise what `serve` would raise of an address or of a certificate, before anything is made."""
    if tls is not None:
        tls.check()
    with listening(listen):
        pass


@contextmanager
def listening(listen: str) -> Iterator[socket.socket]:
    """A socket that listens on `ADDRESS:PORT`. UsageError, LandbridgeError as `serve`."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise UsageError(f"{listen!r} is not ADDRESS:PORT", id="serve.listen")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=512)
    except OSError as problem:
        raise LandbridgeError(
            f"{listen} cannot be listened on: {problem.strerror}",
            id="serve.address",
            remedy="Free the port, or name another with --listen.",
        ) from None
    with listener:
        # Connections inherit it. asyncio would not set it on them: their protocol number is 0
        # (measured: 52 ms a call without it, as headers and body go out in two segments).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener
