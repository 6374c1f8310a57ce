"""The console over HTTP: its routes, and what guards every one of them.

- Only who has signed in gets past the sign-in page; the cookie is closed to scripts.
- What changes something is a POST with the form token of the login (and from this origin).
- It answers to addresses, localhost and names that the operator gave, and to no others.
- A strict content security policy: nothing is loaded from elsewhere, nothing runs inline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from hmac import compare_digest
from urllib.parse import unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api.dispatch import Service
from ..cloud import CloudError
from ..errors import LandbridgeError
from . import render
from .http import is_from_here, is_known, is_linked, name_of, read_form
from .live import Streams
from .nav import ROOT
from .page import Handler, Page
from .signin import COOKIE, Door
from .signin_page import SignIn
from .table import PAGES
from .visit import Visit, Who, flash_name, missing, url

_GUARDS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Seconds after which a page that cannot be shown now is looked at again.
_TRY_AGAIN = 5
_SENTENCES = {
    404: "There is no such page.",
    405: "This page takes no such request.",
    408: "This form took too long to arrive.",
    413: "This form is too large.",
    421: "This console does not answer to this name; its operator says by which names it does.",
    503: "The service cannot answer now; try again.",
}
_Endpoint = Callable[[Request], Awaitable[Response]]


def routes(
    service: Service, ending: Callable[[], bool], names: Collection[str] = ()
) -> list[BaseRoute]:
    """The console of a service; streams end when `ending` says so.

    It is reached at addresses, as localhost, and by `names`, in lower case.
    """
    door, streams = Door(service), Streams(ending)
    sign_in = SignIn(door)
    pages = [
        Route(page.path, _page(page, service, door, streams), methods=["GET", "POST"])
        for page in PAGES
    ]
    return [
        Mount(
            ROOT,
            routes=[
                Mount("/static", _Shipped(directory=render.STATIC)),
                Route("/sign-in", sign_in.answer, methods=["GET", "POST"]),
                Route("/sign-out", sign_in.leave, methods=["POST"]),
                *pages,
                Route(
                    "/{path:path}", _page(_NOTHING, service, door, streams), methods=["GET", "POST"]
                ),
            ],
            middleware=[Middleware(_Guarded, names)],
        ),
        Route(ROOT, _Guarded(_to_home, names)),
    ]


class _Guarded:
    """Puts the guards on every answer, whoever gives it."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        is_by_name = name_of(host) in self._names

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_GUARDS)
                if scope["scheme"] == "https" and is_by_name:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        # The framework's refusals come here, not to the API, which would answer with JSON.
        scope.pop("starlette.exception_handlers", None)
        try:
            if not is_known(host, self._names):
                raise HTTPException(421)
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            return
        except HTTPException as problem:
            status = problem.status_code
        except LandbridgeError:  # the database is away
            status = 503
        else:
            return
        sentence = _SENTENCES.get(status, "This cannot be answered.")
        await _plain(status, sentence)(scope, receive, guarded)


class _Shipped(StaticFiles):
    """Files that are shipped; their addresses change with their content."""

    def file_response(self, *args: object, **more: object) -> Response:
        response = super().file_response(*args, **more)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


async def _to_home(scope: Scope, receive: Receive, send: Send) -> None:
    await RedirectResponse(f"{ROOT}/", 307)(scope, receive, send)


def _page(page: Page, service: Service, door: Door, streams: Streams) -> _Endpoint:
    async def endpoint(http: Request) -> Response:
        token = http.cookies.get(COOKIE)
        who = await run_in_threadpool(door.who, token)
        if who is None:
            return _to_sign_in(http)
        handler = page.show if http.method in ("GET", "HEAD") else page.send
        if handler is None:
            return _plain(405, "This page takes no such request.")
        form: dict[str, str] = {}
        if http.method == "POST":
            form = await read_form(http, service.bodies)
            if not (is_from_here(http) and _is_signed(http, form, who)):
                return _plain(403, "This form has expired; go back, reload the page, try again.")
        visit = _visit(http, service, who, form)
        if http.method != "GET" or not _is_stream(http):
            return await run_in_threadpool(_answer, handler, visit)

        def look() -> Response:
            try:
                if door.who(token) is None:
                    return Response(status_code=401)
            except LandbridgeError:  # the database is away
                return Response(status_code=503)
            return _answer(handler, visit)

        visit.is_live, visit.said = True, ""
        return streams.open(who.uid, look, 1.0)

    return endpoint


def _visit(http: Request, service: Service, who: Who, form: dict[str, str]) -> Visit:
    return Visit(
        service=service,
        who=who,
        path=http.url.path,
        source=http.client.host if http.client else "",
        host=http.headers.get("host", ""),
        is_secure=http.url.scheme == "https",
        is_linked=is_linked(http),
        names=dict(http.path_params),
        query=dict(http.query_params),
        form=form,
        is_part="hx-request" in http.headers,
        said=unquote(http.cookies.get(flash_name(), "")),
    )


def _answer(handler: Handler, visit: Visit) -> Response:
    """What a page answers; a refusal that no form of it caught is a page too."""
    try:
        return handler(visit)
    except CloudError as refusal:
        problem = refusal
    except Exception as mistake:
        problem = visit.service.defect(mistake)
    # What is not valid in a page that is only looked at stands in its address.
    is_missing = missing(problem) or (not visit.form and problem.code == "InvalidParameter")
    status = 404 if is_missing else problem.http
    live = _TRY_AGAIN if problem.retryable and not visit.form else 0
    return visit.page("problem.html", live=live, status=status, problem=problem, missing=is_missing)


def _nothing(visit: Visit) -> Response:
    if visit.path.endswith("/"):
        return visit.go(visit.path.rstrip("/"))
    return visit.page("absent.html", status=404)


_NOTHING = Page("", _nothing, _nothing)


def _to_sign_in(http: Request) -> Response:
    """To the door, and back to the page that one was at: what was typed is not kept."""
    asked = f"?{http.url.query}" if http.url.query else ""
    to, lost = http.url.path + asked, ""
    if http.method == "POST" or "hx-request" in http.headers:
        at = urlsplit(http.headers.get("hx-current-url") or http.headers.get("referer", ""))
        to = at.path + (f"?{at.query}" if at.query else "")
        lost = "true" if http.method == "POST" else ""
    there = url("sign-in", to=to, lost=lost)
    if "hx-request" in http.headers:
        return Response(status_code=401, headers={"HX-Redirect": there})
    if _is_stream(http):
        return Response(status_code=401)
    return RedirectResponse(there, 303)


def _is_stream(http: Request) -> bool:
    """Whether an open page asks to be kept up to date."""
    return "text/event-stream" in http.headers.get("accept", "")


def _plain(status: int, sentence: str) -> Response:
    return HTMLResponse(render.page("plain.html", sentence=sentence, root=ROOT), status)


def _is_signed(http: Request, form: dict[str, str], who: Who) -> bool:
    given = form.get("form_token") or http.headers.get("x-form-token", "")
    return compare_digest(given.encode(errors="replace"), who.form_token.encode())
