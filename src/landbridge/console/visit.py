"""One request to a page, by someone who has signed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..api.dispatch import Ask, Service
from ..cloud import CloudError
from . import render
from .nav import PARTS, ROOT, trail

_FLASH = "landbridge-said"
#: Beginning of the names of what a form sends for itself, besides its fields.
_OWN = "form_"
#: How the lists of actions call the number of all their entries.
_TOTALS = ("TotalCount", "TotalRecordCount", "TotalSize")


@dataclass(frozen=True)
class Who:
    """Someone who has signed in."""

    uid: int
    account: str
    """The account's name."""
    user: str
    """Name of the user, or the id of the access key."""
    access_key_id: str | None
    form_token: str


@dataclass
class Visit:
    """What a page gets and how it answers."""

    service: Service
    who: Who
    path: str
    source: str
    host: str
    is_secure: bool = False
    """Whether it came over TLS."""
    is_linked: bool = False
    """Whether a page of another site led here."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Parts of the path, such as `id`."""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    """What a form sent; of fields of one name the values joined with commas."""
    is_part: bool = False
    """Whether the browser wants a part to put into a page: a dialog, an answer in place."""
    is_live: bool = False
    """Whether it wants the content alone, to keep an open page up to date."""
    said: str = ""
    """What the page before left to say."""

    def __getitem__(self, name: str) -> str:
        return self.names[name]

    @property
    def given(self) -> dict[str, str]:
        """What was entered in the form that was sent."""
        return {n: text for n, text in self.form.items() if not n.startswith(_OWN)}

    @property
    def looks(self) -> bool:
        """Whether the form only asks what there is to choose; scripts ask that by themselves."""
        return f"{_OWN}look" in self.form

    def call(self, action: str, /, **arguments: object) -> dict[str, Any]:
        """The answer of an action, like `vpc.CreateVpc`. CloudError where it is refused.

        Arguments are in the form of a call; None and empty ones are left out, lists become
        `Name.1` and so on. What a form asks for is done once, however often it is sent.
        """
        flat = dict(_flat(arguments))
        if once := self.form.get(f"{_OWN}once"):
            asked = repr((once, action, sorted(flat.items())))
            flat["ClientToken"] = sha256(asked.encode()).hexdigest()
        user = self.who.user if self.who.access_key_id is None else "console"
        ask = Ask(
            account_uid=self.who.uid,
            access_key_id=self.who.access_key_id,
            action=action,
            arguments=flat,
            source=f"{self.source} ({user})"[:128],
            host=self.host,
            is_routine=self.is_live,
        )
        return self.service.perform(ask)

    def every(self, action: str, pick: Callable[[dict[str, Any]], list[Any]], /,
              **arguments: object) -> list[Any]:  # fmt: skip
        """All entries of a list that is told in numbered pages."""
        found: list[Any] = []
        for page in range(1, 101):
            answer = self.call(action, PageNumber=page, PageSize=50, **arguments)
            part = pick(answer)
            found += part
            total = next((int(answer[n]) for n in _TOTALS if n in answer), 0)
            if not part or len(found) >= total:
                break
        return found

    def tokens(self, action: str, pick: Callable[[dict[str, Any]], list[Any]], /,
               **arguments: object) -> list[Any]:  # fmt: skip
        """All entries of a list that names its next page by a token."""
        found: list[Any] = []
        token = ""
        for _ in range(100):
            answer = self.call(action, MaxResults=100, NextToken=token, **arguments)
            found += pick(answer)
            token = answer.get("NextToken") or ""
            if not token:
                break
        return found

    def page(self, template: str, /, *, live: float = 0, status: int = 200,
             **facts: Any) -> Response:  # fmt: skip
        """A page; with `live`, it is looked at again after so many seconds and kept up to date."""
        mode = "live" if self.is_live else "part" if self.is_part else "page"
        text = render.page(
            template,
            mode=mode,
            nav=PARTS,
            who=self.who,
            path=self.path,
            address=f"{self.path}?{urlencode(self.query)}" if self.query else self.path,
            trail=trail(self.path),
            live=live,
            said=self.said,
            form_once=token_hex(16),
            root=ROOT,
            url=url,
            **facts,
        )
        # A refusal inside a dialog is no error of the page: browsers would log it as one.
        response = HTMLResponse(text, 200 if self.is_part else status)
        response.headers["Landbridge-Live"] = str(live)
        if self.said and not self.is_live:
            response.delete_cookie(_FLASH, path=ROOT)
        return response

    def again(self) -> Response:
        """The same form, with what was entered so far."""
        return self.go(f"{self.path}?{urlencode(self.given)}")

    def stay(self, path: str, said: str = "") -> Response:
        """Go on at the page that a dialog was opened from, at the place that it shows now."""
        response = self.go(path, said)
        if self.is_part:
            del response.headers["HX-Redirect"]
            response.headers["HX-Refresh"] = "true"
        return response

    def go(self, path: str, said: str = "") -> Response:
        """Go on to another page, which says `said` once."""
        if self.is_part:  # the script leaves the page for it
            response = Response(status_code=204, headers={"HX-Redirect": path})
        else:
            response = RedirectResponse(path, 303)
        if said:
            response.set_cookie(
                _FLASH, quote(said[:500]), max_age=60, path=ROOT, httponly=True, samesite="lax",
                secure=self.is_secure,
            )  # fmt: skip
        return response


def flash_name() -> str:
    """The cookie that carries what one page leaves the next to say."""
    return _FLASH


def url(*parts: str, **query: object) -> str:
    """An address inside the console; parts are quoted, empty ones left out."""
    path = "/".join((ROOT, *(quote(part, safe="") for part in parts if part)))
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(asked)}" if asked else path


def missing(problem: CloudError) -> bool:
    """Whether a refusal says that there is no such thing."""
    return problem.http == 404 or problem.code.endswith(".NotFound")


def _flat(arguments: Mapping[str, object], begin: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in arguments.items():
        path = f"{begin}{name}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}.")
        elif isinstance(value, list | tuple):
            found += _flat({str(i): each for i, each in enumerate(value, 1)}, f"{path}.")
        elif isinstance(value, bool):
            found.append((path, str(value).lower()))
        elif value is not None and value != "":
            found.append((path, str(value)))
    return found
