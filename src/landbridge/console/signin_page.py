"""The page that lets people in; the one page without a login."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..cloud import CloudError, Secret
from ..cloud.logins import LASTS, form_token
from . import render
from .forms import Field, Form, Kind
from .http import is_from_here, read_form
from .nav import ROOT
from .signin import COOKIE, Door

_USER = Form(
    (
        Field("account", "Account", help="Name or UID", required=True, autocomplete="organization"),
        Field("user", "User", required=True, autocomplete="username"),
        Field("password", "Password", Kind.PASSWORD, required=True,
              autocomplete="current-password"),
    )
)  # fmt: skip
_KEY = Form(
    (
        Field("key", "AccessKey ID", required=True, autocomplete="username"),
        Field("secret", "AccessKey secret", Kind.PASSWORD, required=True,
              autocomplete="current-password"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class SignIn:
    """Shows the door and opens it."""

    door: Door

    async def answer(self, http: Request) -> Response:
        """GET: the page. POST: sign in, and go where one wanted to go."""
        to = _inside(http.query_params.get("to", ""))
        is_lost = "lost" in http.query_params
        if http.method in ("GET", "HEAD"):
            if await run_in_threadpool(self.door.who, http.cookies.get(COOKIE)):
                return RedirectResponse(to, 303)
            return _page(to, is_lost=is_lost)
        given = await read_form(http, self.door.service.bodies)
        with_key = "key" in given
        form = (_KEY if with_key else _USER).filled(given)
        if not is_from_here(http):
            return _page(to, status=403)
        source = http.client.host if http.client else ""
        try:
            token = await run_in_threadpool(self._try, form, with_key, source)
        except CloudError as problem:
            status = form.refuse(problem)
            named = {"with_key" if with_key else "with_user": form}
            return _page(to, **named, status=status, is_lost=is_lost)
        response = RedirectResponse(to, 303)
        response.set_cookie(
            COOKIE,
            token.reveal(),
            max_age=int(LASTS.total_seconds()),
            path=ROOT,
            httponly=True,
            samesite="lax",
            secure=http.url.scheme == "https",
        )
        return response

    def _try(self, form: Form, with_key: bool, source: str) -> Secret:
        value = form.values
        if with_key:
            return self.door.with_key(value["key"], Secret(value["secret"]), source)
        return self.door.with_password(
            value["account"], value["user"], Secret(value["password"]), source
        )

    async def leave(self, http: Request) -> Response:
        """Sign out; without the form token nothing happens but a look at the door."""
        token = http.cookies.get(COOKIE, "")
        given = await read_form(http, self.door.service.bodies)
        response = RedirectResponse(f"{ROOT}/sign-in", 303)
        if token and is_from_here(http) and given.get("form_token") == form_token(token):
            source = http.client.host if http.client else ""
            await run_in_threadpool(self.door.out, token, source)
            response.delete_cookie(COOKIE, path=ROOT)
        return response


def _page(
    to: str,
    with_user: Form = _USER,
    with_key: Form = _KEY,
    status: int = 200,
    is_lost: bool = False,
) -> Response:
    text = render.page(
        "sign_in.html", to=to, user=with_user, key=with_key, root=ROOT, is_lost=is_lost
    )
    return HTMLResponse(text, status)


def _inside(path: str) -> str:
    """A path of the console that may be gone to after signing in; the home page otherwise."""
    where = unquote(path.partition("?")[0])
    is_safe = path.startswith(f"{ROOT}/") and not any(odd in where for odd in ("\\", "//", "/."))
    return path if is_safe and path.isprintable() else f"{ROOT}/"
