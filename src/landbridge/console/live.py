"""Keeps open pages up to date: the content of a page, sent again when it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

#: The most pages that are kept up to date at once; more read their state when they are loaded.
MOST = 200
#: Seconds after which a line that says nothing shows that the connection lives.
_SILENCE = 15.0


class Streams:
    """All streams of a service."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self._ending = ending
        self._open = 0

    def open(self, look: Callable[[], Response], interval: float) -> Response:
        """A stream of what `look` answers, every `interval` seconds, when it is something new.

        It ends when the service does, when `look` answers anything but a page, or when the
        page is no longer live.
        """
        if self._open >= MOST:
            return Response(status_code=503, headers={"Retry-After": "30"})
        return StreamingResponse(
            self._events(look, interval),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(self, look: Callable[[], Response], interval: float) -> AsyncIterator[str]:
        self._open += 1
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
            self._open -= 1


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {name}\n{lines}\n"
