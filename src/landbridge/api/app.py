"""HTTP: calls at `/`, `/healthz`, `/metrics`, `/openapi.json`; every error is JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette import requests
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..cloud import CloudError
from ..errors import LandbridgeError
from . import metrics
from .action import Lane
from .dispatch import ASKED_AT_ONCE, Answer, Service, new_request_id, refused
from .openapi import document
from .request import MAX_BODY, Request
from .table import ACTIONS

_METHODS = ("GET", "POST")
#: Calls of each lane that are answered at the same time. Those that read wait for nobody, and two
#: at a time take Python's lock from each other at every statement (measured: 345 calls a second
#: at most with two, 36 changes of threads a call; 555 with one, and 13).
#: Those that ask a server mostly wait for it; no account has more than a quarter of them.
_AT_ONCE = {Lane.READ: 1, Lane.WRITE: 2, Lane.ASK: 4 * ASKED_AT_ONCE}
#: Calls that read, where the tables are on a server: while it answers one, Python has another.
_READ_FROM_SERVER = 2
#: Calls that are waiting or being answered.
_MOST = 500


class Application:
    """The web application of a service; browsers that come to `/` are sent to `landing`.

    What is not at `/` is left to the framework, which costs a call more than most answers do
    (measured: 0.3 ms).
    """

    def __init__(
        self, service: Service, pages: Sequence[BaseRoute] = (), landing: str = ""
    ) -> None:
        self._service = service
        self._landing = landing
        at_once = dict(_AT_ONCE)
        if service.cloud.database.file is None:
            at_once[Lane.READ] = _READ_FROM_SERVER
        self._lanes = {
            lane: ThreadPoolExecutor(most, thread_name_prefix=lane.value)
            for lane, most in at_once.items()
        }
        self._calls = 0
        self._rest = Starlette(
            routes=[
                *pages,
                Route("/healthz", _health(service)),
                Route("/metrics", _metrics(service)),
                Route("/openapi.json", _openapi()),
            ],
            exception_handlers={HTTPException: _framework_error, Exception: _defect},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in ASGI's words."""
        if scope["type"] != "http" or scope["path"] != "/":
            await self._rest(scope, receive, send)
            return
        headers = _headers(scope)
        if self._landing and _is_a_person(scope, headers):
            await RedirectResponse(self._landing, 303)(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, headers, receive)
        except CloudError as refusal:
            answer = refused(refusal, new_request_id(), headers.get("host", ""))
        except ClientDisconnect:
            return
        await _send(answer, send)

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Answer:
        if scope["method"] not in _METHODS:
            raise CloudError("UnsupportedHTTPMethod")
        request = Request(
            method=scope["method"],
            headers=headers,
            query_string=scope["query_string"],
            body=await self._service.bodies.read(receive, headers.get("content-length"), MAX_BODY),
            source=scope["client"][0] if scope["client"] else "",
        )
        if self._calls >= _MOST:  # not those that are arriving: anybody can let them take long
            raise CloudError("ServiceUnavailable")
        self._calls += 1
        try:
            threads = self._lanes[self._service.lane(request)]
            run = asyncio.get_running_loop().run_in_executor
            return await run(threads, self._service.answer, request)
        finally:
            self._calls -= 1


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw in scope["headers"]:
        name, text = raw_name.decode("latin-1"), raw.decode(errors="surrogateescape")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


def _is_a_person(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether somebody sits there, with a browser."""
    is_plain = scope["method"] == "GET" and not scope["query_string"]
    return is_plain and "text/html" in headers.get("accept", "") and "authorization" not in headers


async def _send(answer: Answer, send: Send) -> None:
    body = _json(answer.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-acs-request-id", answer.body["RequestId"].encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


_Endpoint = Callable[[requests.Request], Awaitable[Response]]


def _health(service: Service) -> _Endpoint:
    async def endpoint(http: requests.Request) -> Response:
        try:
            await run_in_threadpool(service.cloud.check)
        except LandbridgeError as problem:
            return JSONResponse({"status": "failed", "id": problem.id}, 503)
        return JSONResponse({"status": "ok"})

    return endpoint


def _openapi() -> _Endpoint:
    found = document(ACTIONS)

    async def endpoint(http: requests.Request) -> Response:
        return JSONResponse(found)

    return endpoint


def _metrics(service: Service) -> _Endpoint:
    async def endpoint(http: requests.Request) -> Response:
        page = await run_in_threadpool(service.metrics.page)
        return Response(page, media_type=metrics.CONTENT_TYPE)

    return endpoint


async def _framework_error(http: requests.Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    refusal = CloudError("UnsupportedHTTPMethod")
    if status == 404:
        refusal = CloudError("InvalidAction.NotFound", "There is nothing here; calls go to /.")
    return _response(refused(refusal, new_request_id(), http.headers.get("host", "")))


async def _defect(http: requests.Request, _: Exception) -> Response:
    refusal = CloudError("InternalError")
    return _response(refused(refusal, new_request_id(), http.headers.get("host", "")))


def _response(answer: Answer) -> Response:
    return JSONResponse(
        answer.body, answer.status, headers={"x-acs-request-id": answer.body["RequestId"]}
    )
