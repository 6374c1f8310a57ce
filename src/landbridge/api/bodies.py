"""What arrives after the head of a request: bounded in bytes and in time, whoever sends it."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ..cloud import CloudError

#: Seconds for a body to arrive; bytes of all bodies that are arriving.
_TIME = 30.0
_BYTES = 64_000_000


class BodyRefused(CloudError):
    """A body is not taken; `status` says to browsers why: 408, 413 or 503."""

    def __init__(self, status: int, code: str, message: str | None = None) -> None:
        super().__init__(code, message)
        self.status = status


class Bodies:
    """All bodies that are arriving at a service."""

    def __init__(self) -> None:
        self._arriving = 0

    async def read(self, receive: Receive, size: str | None, most: int) -> bytes:
        """One body of at most `most` bytes; `size`: how many are announced, as the client wrote it.

        BodyRefused: InvalidParameter, ServiceUnavailable; ClientDisconnect.
        """
        body = bytearray()
        is_announced = size is not None and size.isdecimal()
        try:
            async with asyncio.timeout(_TIME):
                while len(body) <= most and not (is_announced and int(size or 0) > most):
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    part = message.get("body", b"")
                    body += part
                    self._arriving += len(part)
                    if not message.get("more_body", False):
                        return bytes(body)
                    if self._arriving > _BYTES:
                        raise BodyRefused(503, "ServiceUnavailable")
        except TimeoutError:
            said = f"the body did not arrive within {_TIME:.0f} s"
            raise BodyRefused(408, "InvalidParameter", said) from None
        finally:
            self._arriving -= len(body)
        raise BodyRefused(413, "InvalidParameter", f"the body has more than {most} bytes")
