"""One client of bench/api.py, a process of its own: signed calls at a fixed rate.

Reads a `Job` as JSON on stdin and signs all its calls, each once, as a nonce counts once.
It then says `ready`, begins with the next line of stdin, and prints one line of JSON: for
each call the index of its kind, milliseconds, and what went wrong. A call is timed from the
moment it was due, so a service that falls behind shows.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from landbridge.api.client import Credentials, sign
from landbridge.cloud import Secret

#: Connections at most; a call that finds none waits, and its wait counts.
_LINES = 64
_PATIENCE = 30.0


@dataclass(frozen=True)
class Kind:
    """One kind of call, and how often it comes."""

    version: str
    action: str
    parameters: Mapping[str, str]
    weight: int
    key_id: str
    secret: str


@dataclass(frozen=True)
class Job:
    """What one client does."""

    endpoint: str
    kinds: list[Kind]
    rate: float
    """Calls a second."""
    seconds: float
    seed: int

    @classmethod
    def read(cls, text: str) -> Job:
        """From JSON."""
        given = json.loads(text)
        return cls(**{**given, "kinds": [Kind(**kind) for kind in given["kinds"]]})


class Line(asyncio.Protocol):
    """A connection that is kept; one call at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    async def ask(self, request: bytes) -> bytes:
        """Send a request; the whole answer."""
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self._answer, _PATIENCE)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return
        length = next(
            int(line[15:])
            for line in head.split(b"\r\n")
            if line[:15].lower() == b"content-length:"
        )
        if len(body) >= length:
            self._answer.set_result(self._received)

    def connection_lost(self, _: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the service hung up"))


class Client:
    """Sends the calls when they are due, whatever became of those before."""

    def __init__(self, job: Job) -> None:
        self._job = job
        choose = random.Random(job.seed)
        weights = [kind.weight for kind in job.kinds]
        order = choose.choices(range(len(job.kinds)), weights, k=int(job.rate * job.seconds))
        self._calls = [(index, _signed(job.endpoint, job.kinds[index])) for index in order]
        self._idle: list[Line] = []
        self._free = asyncio.Semaphore(_LINES)
        self.found: list[tuple[int, float, str]] = []

    async def run(self) -> None:
        """Send everything; over when all answers are there."""
        begun = time.monotonic() + random.random() / self._job.rate
        async with asyncio.TaskGroup() as tasks:
            for number, (index, request) in enumerate(self._calls):
                due = begun + number / self._job.rate
                await asyncio.sleep(due - time.monotonic())
                tasks.create_task(self._call(index, request, due))

    async def _call(self, index: int, request: bytes, due: float) -> None:
        async with self._free:
            try:
                line = self._idle.pop() if self._idle else await self._connect()
                answer = await line.ask(request)
                self._idle.append(line)
                wrong = "" if answer.startswith(b"HTTP/1.1 200 ") else _code(answer)
            except (OSError, TimeoutError) as problem:
                wrong = type(problem).__name__
        self.found.append((index, round(1000 * (time.monotonic() - due), 2), wrong))

    async def _connect(self) -> Line:
        host, _, port = self._job.endpoint.rpartition(":")
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Line, host, int(port)))[1]


def _code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["Code"])


def _signed(endpoint: str, kind: Kind) -> bytes:
    key = Credentials(kind.key_id, Secret(kind.secret))
    headers = sign("POST", endpoint, key, kind.version, kind.action, kind.parameters)
    lines = [f"POST /?{urlencode(kind.parameters)} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    return ("\r\n".join([*lines, "content-length: 0", "", ""])).encode()


def main() -> None:
    client = Client(Job.read(sys.stdin.readline()))
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(client.run())
    print(json.dumps(client.found))


if __name__ == "__main__":
    main()
