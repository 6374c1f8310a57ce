"""Keeps open pages up to date: the content of a page, sent again when it has changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

#: The most pages that are kept up to date at once, in all and of one account; more read their
#: state when they are loaded.
MOST, MOST_OF_ONE = 200, 40
#: Seconds after which a line that says nothing shows that the connection lives.
_SILENCE = 15.0


class Streams:
    """All streams of a service."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self._ending = ending
        self._open: Counter[int] = Counter()
        """How many are open, by account."""

    def open(self, account: int, look: Callable[[], Response], interval: float) -> Response:
        """A stream of what `look` answers, every `interval` seconds, when it is something new.

        It ends when the service does, when `look` answers anything but a page, or when the
        page is no longer live.
        """
        if self._open.total() >= MOST or self._open[account] >= MOST_OF_ONE:
            return Response(status_code=503, headers={"Retry-After": "30"})
        return StreamingResponse(
            self._events(account, look, interval),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(
        self, account: int, look: Callable[[], Response], interval: float
    ) -> AsyncIterator[str]:
        self._open[account] += 1
        try:
            last, silent = b"", 0.0
            while not self._ending():
                page = await run_in_threadpool(look)
                if page.status_code != 200:
                    yield _event("gone", "")
                    return
                digest = sha256(page.body).digest()
                if digest != last:
                    last, silent = digest, 0.0
                    yield _event("content", bytes(page.body).decode())
                elif silent >= _SILENCE:
                    silent = 0.0
                    yield ": \n\n"
                interval = float(page.headers.get("landbridge-live", interval))
                if not interval:
                    yield _event("still", "")
                    return
                silent += interval
                await asyncio.sleep(interval)
        finally:
            self._open[account] -= 1


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {name}\n{lines}\n"
