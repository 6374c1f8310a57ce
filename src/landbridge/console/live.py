"""Keeps open pages up to date: the content of a page, sent again when it has changed."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

#: The most pages that are kept up to date at once, in all and of one account; more read their
#: state when they are loaded.
MOST, MOST_OF_ONE = 200, 40
#: Seconds after which a line that says nothing shows that the connection lives.
_SILENCE = 15.0
#: What ends a stream: the reader is signed out, or there is no such thing any more.
_GONE = (401, 404)
#: Where a line ends to a browser; what a client of a database has sent may hold a CR.
_LINE_END = re.compile(r"\r\n?|\n")


class Streams:
    """All streams of a service."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self._ending = ending
        self._open: Counter[int] = Counter()
        """How many are open, by account."""

    def open(self, account: int, look: Callable[[], Response], interval: float) -> Response:
        """A stream of what `look` answers, every `interval` seconds, when it is something new.

        It ends when the service does, when the page is no longer live, and when `look` says that
        it is nothing for this reader: signed out, no such thing, or to be found elsewhere. What
        else `look` refuses passes: the page is `away` until it answers again.
        """
        if self._open.total() >= MOST or self._open[account] >= MOST_OF_ONE:
            return Response(status_code=503, headers={"Retry-After": "30"})
        return _Stream(self._open, account, self._events(look, interval))

    async def _events(self, look: Callable[[], Response], interval: float) -> AsyncIterator[str]:
        last, silent = b"", 0.0
        while not self._ending():
            page = await run_in_threadpool(look)
            if page.status_code == 200:
                event = _event("content", bytes(page.body).decode())
                interval = float(page.headers.get("landbridge-live", interval))
            elif page.status_code < 400 or page.status_code in _GONE:
                yield _event("gone", "")
                return
            else:
                event = _event("away", "")
            digest = sha256(event.encode()).digest()
            if digest != last:
                last, silent = digest, 0.0
                yield event
            elif silent >= _SILENCE:
                silent = 0.0
                yield ": \n\n"
            if not interval:
                yield _event("still", "")
                return
            silent += interval
            await asyncio.sleep(interval)


class _Stream(StreamingResponse):
    """A stream that counts as open from its making to its end, even if nobody reads any of it."""

    def __init__(self, count: Counter[int], account: int, events: AsyncIterator[str]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._count, self._account = count, account
        count[account] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._count[self._account] -= 1


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(text))
    return f"event: {name}\n{lines}\n"
