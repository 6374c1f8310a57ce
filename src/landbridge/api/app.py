"""HTTP: calls at `/`, `/healthz` and `/metrics`; every error is JSON, the framework's too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette import requests
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ..cloud import CloudError
from ..errors import LandbridgeError
from . import metrics
from .dispatch import Answer, Service, new_request_id, refused
from .request import MAX_BODY, Request

_METHODS = ["GET", "POST"]


def application(service: Service, pages: Sequence[BaseRoute] = (), landing: str = "") -> Starlette:
    """The web application of a service; browsers that come to `/` are sent to `landing`."""
    return Starlette(
        routes=[
            *pages,
            Route("/", _calls(service, landing), methods=_METHODS),
            Route("/healthz", _health(service)),
            Route("/metrics", _metrics(service)),
        ],
        exception_handlers={HTTPException: _framework_error, Exception: _defect},
    )


_Endpoint = Callable[[requests.Request], Awaitable[Response]]


def _calls(service: Service, landing: str) -> _Endpoint:
    async def endpoint(http: requests.Request) -> Response:
        if http.method not in _METHODS:  # the framework lets HEAD through
            raise HTTPException(405)
        if landing and http.method == "GET" and not http.scope["query_string"] and _reads(http):
            return RedirectResponse(landing, 303)
        try:
            body = await _body(http)
        except CloudError as refusal:
            return _response(refused(refusal, new_request_id(), http.headers.get("host", "")))
        return _response(await run_in_threadpool(service.answer, _request(http, body)))

    return endpoint


def _reads(http: requests.Request) -> bool:
    """Whether a person sits there, with a browser."""
    return "text/html" in http.headers.get("accept", "") and "authorization" not in http.headers


def _request(http: requests.Request, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw in http.headers.raw:
        name, text = raw_name.decode("latin-1").lower(), raw.decode(errors="surrogateescape")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return Request(
        method=http.method,
        headers=headers,
        query_string=http.scope["query_string"],
        body=body,
        source=http.client.host if http.client else "",
    )


async def _body(http: requests.Request) -> bytes:
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > MAX_BODY:
            raise CloudError("InvalidParameter", f"the body has more than {MAX_BODY} bytes")
    return bytes(body)


def _health(service: Service) -> _Endpoint:
    async def endpoint(http: requests.Request) -> Response:
        try:
            await run_in_threadpool(service.cloud.check)
        except LandbridgeError as problem:
            return JSONResponse({"status": "failed", "id": problem.id}, 503)
        return JSONResponse({"status": "ok"})

    return endpoint


def _metrics(service: Service) -> _Endpoint:
    async def endpoint(http: requests.Request) -> Response:
        return Response(service.metrics.page(), media_type=metrics.CONTENT_TYPE)

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
