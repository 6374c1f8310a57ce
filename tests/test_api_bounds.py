"""What the service bears: idle and slow connections, floods of headers, bodies too large."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from landbridge.api import app, bodies, serving
from landbridge.api.dispatch import Service
from landbridge.api.logs import logger
from landbridge.api.table import ACTIONS
from landbridge.cloud import Cloud
from landbridge.console.app import routes
from landbridge.console.signin import Door
from landbridge.errors import StoreFailed

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_ASK = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


class Here:
    """A service in this process."""

    def __init__(self, application: app.Application, port: int) -> None:
        self.application = application
        self._port = port
        self.lines: list[Line] = []

    async def connect(self, source: str = "127.0.0.1") -> Line:
        line = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(source, 0))
        self.lines.append(line)
        return line

    async def told(self, *parts: bytes) -> tuple[int, str]:
        """Status and code of the answer to what is sent on a connection of its own."""
        line = await self.connect()
        for part in parts:
            line[1].write(part)
        return await answer(line)

    async def status(self, sent: bytes) -> int:
        """Status of the answer to what is sent on a connection of its own."""
        reader, writer = await self.connect()
        writer.write(sent)
        async with asyncio.timeout(10):
            return int((await reader.readline()).split()[1])


@asynccontextmanager
async def a_service(cloud: Cloud) -> AsyncIterator[Here]:
    service = Service(cloud, ACTIONS, logger(io.StringIO()))
    pages = routes(service, lambda: False)
    application = app.Application(service, pages)
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=1,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        return serving._Protocol(config, state, {})

    async with await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0) as server:
        here = Here(application, server.sockets[0].getsockname()[1])
        try:
            yield here
        finally:
            for _, writer in here.lines:
                writer.close()


async def answer(line: Line) -> tuple[int, str]:
    async with asyncio.timeout(10):
        head = await line[0].readuntil(b"\r\n\r\n")
        size = next(int(h[15:]) for h in head.split(b"\r\n") if h.startswith(b"content-length:"))
        said: dict[str, Any] = json.loads(await line[0].readexactly(size))
    return int(head.split()[1]), said["Code"]


async def is_hung_up(line: Line) -> bool:
    async with asyncio.timeout(10):
        return await line[0].read() == b""


def test_idle_connections_do_not_hold_up_calls_and_are_closed(cloud: Cloud) -> None:
    async def scenario() -> None:
        async with a_service(cloud) as here:
            idle = [await here.connect() for _ in range(300)]
            assert await here.told(_ASK) == (400, "MissingParameter")
            for line in idle:
                assert await is_hung_up(line)

    asyncio.run(scenario())


def test_one_connection_more_than_there_may_be_is_told_to_come_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_MOST_CONNECTIONS", 3)

    async def scenario() -> None:
        async with a_service(cloud) as here:
            for _ in range(3):
                assert await here.told(_ASK) == (400, "MissingParameter")
            line = await here.connect()
            assert await answer(line) == (503, "ServiceUnavailable")
            assert await is_hung_up(line)

    asyncio.run(scenario())


def test_one_address_cannot_have_all_connections(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_MOST_OF_ONE", 3)

    async def scenario() -> None:
        async with a_service(cloud) as here:
            first = [await here.connect() for _ in range(3)]
            assert await answer(await here.connect()) == (503, "ServiceUnavailable")
            elsewhere = await here.connect("127.0.0.88")
            elsewhere[1].write(_ASK)
            assert await answer(elsewhere) == (400, "MissingParameter")
            first[0][1].close()
            async with asyncio.timeout(10):  # until the service has seen it
                while (told := await here.told(_ASK)) == (503, "ServiceUnavailable"):
                    await asyncio.sleep(0.02)
            assert told == (400, "MissingParameter")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "begun", [b"GET / HT", b"GET / HTTP/1.1\r\nhost: here\r\nx: ", b"\r\n\r\n"], ids=repr
)
def test_a_request_that_is_never_finished_is_given_up(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(serving, "_HEAD_TIME", 0.2)

    async def scenario() -> None:
        async with a_service(cloud) as here:
            line = await here.connect()
            line[1].write(begun)
            assert await answer(line) == (400, "InvalidParameter")
            assert await is_hung_up(line)

    asyncio.run(scenario())


def test_a_flood_of_headers_is_cut_off(cloud: Cloud) -> None:
    async def scenario() -> None:
        async with a_service(cloud) as here:
            begin = b"GET / HTTP/1.1\r\nhost: here\r\n"
            many = (f"x{n}: {'y' * 1000}\r\n".encode() for n in range(400))
            assert await here.told(begin, *many) == (400, "InvalidParameter")
            assert await here.told(begin, b"x: " + b"y" * 600_000) == (400, "InvalidParameter")
            assert await here.told(b"GET /?" + b"y" * 600_000) == (400, "InvalidParameter")
            assert await here.told(_ASK) == (400, "MissingParameter")

    asyncio.run(scenario())


def test_bodies_that_are_too_large_or_too_slow_are_refused(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_TIME", 0.2)

    async def scenario() -> None:
        async with a_service(cloud) as here:
            begin = b"POST / HTTP/1.1\r\nhost: here\r\n"
            declared = begin + b"content-length: 1000001\r\n\r\n"
            assert await here.told(declared) == (400, "InvalidParameter")
            chunked = begin + b"transfer-encoding: chunked\r\n\r\n"
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            assert await here.told(chunked, *[chunk] * 20) == (400, "InvalidParameter")
            assert await here.told(begin + b"content-length: 10\r\n\r\nx") == (
                400,
                "InvalidParameter",
            )
            monkeypatch.setattr(bodies, "_BYTES", 100)
            many = begin + b"content-length: 1000\r\n\r\n" + b"x" * 200
            assert await here.told(many) == (503, "ServiceUnavailable")

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [b"/console/sign-in", b"/console/sign-out"])
def test_forms_that_are_too_slow_are_given_up_without_signing_in(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    async def scenario() -> None:
        async with a_service(cloud) as here:
            begin = (
                b"POST " + path + b" HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n"
            )
            monkeypatch.setattr(bodies, "_TIME", 0.2)
            assert await here.status(begin + b"x") == 408
            monkeypatch.setattr(bodies, "_BYTES", 100)
            assert await here.status(begin + b"x" * 200) == 503
            assert await here.status(begin.replace(b"1000", b"300001")) == 413

    asyncio.run(scenario())


def test_pages_say_so_while_the_database_is_away(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreFailed("away", id="store.unreachable")

    async def scenario() -> None:
        async with a_service(cloud) as here:
            monkeypatch.setattr(Door, "who", away)
            for path in (b"/console/", b"/console/nowhere", b"/console/sign-in"):
                assert await here.status(b"GET %b HTTP/1.1\r\nhost: [::1]\r\n\r\n" % path) == 503

    asyncio.run(scenario())


def test_more_calls_than_can_wait_are_told_to_come_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_MOST", 2)
    go_on, answered = threading.Event(), Service.answer
    monkeypatch.setattr(Service, "answer", lambda *a: go_on.wait(20) and answered(*a))

    async def scenario() -> None:
        async with a_service(cloud) as here:
            waiting = [await here.connect() for _ in range(2)]
            for line in waiting:
                line[1].write(_ASK)
            async with asyncio.timeout(10):
                while here.application._calls < len(waiting):
                    await asyncio.sleep(0.02)
            assert await here.told(_ASK) == (503, "ServiceUnavailable")
            go_on.set()
            for line in waiting:
                assert await answer(line) == (400, "MissingParameter")
            slow = [await here.connect() for _ in range(3)]
            for line in slow:  # whoever lets a body take long keeps nobody out
                line[1].write(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1\r\n\r\n")
            await asyncio.sleep(0.1)
            assert await here.told(_ASK) == (400, "MissingParameter")
            for line in slow:
                line[1].write(b"=")
                assert await answer(line) == (400, "InvalidParameter")

    asyncio.run(scenario())
