"""The console: people of two accounts, with and without a browser.

A browser (`ann`, `bob`) notes errors of its console and requests to other hosts, and the test
fails by them. `Person.look` holds a page against axe-core and takes pictures of it at two
widths, which are kept in `.pictures`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from fix_api import Running, Tenant
from landbridge.cloud import Cloud, Secret, accounts, users
from landbridge.postgres.process import wait_until

PASSWORD = "Ferry-over-the-Rhine-7"
PICTURES = Path(__file__).parent.parent / ".pictures"
#: Seconds for what comes at once, on a busy machine.
PATIENCE = 60.0
expect.set_options(timeout=PATIENCE * 1000)
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 375, "height": 800}
_CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
_NUMBERS = count(1)


@dataclass(frozen=True)
class Member:
    """A user of an account of the shared service."""

    tenant: Tenant
    account: str
    user: str

    @property
    def uid(self) -> int:
        return self.tenant.uid


def member(service: Running, user: str) -> Member:
    """A new account with one user, whose password is PASSWORD."""
    name = f"{user}-{os.getpid()}-{next(_NUMBERS)}"
    tenant = service.tenant(name)
    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        users.create(session, accounts.find(session, name), user, Secret(PASSWORD))
    cloud.close()
    return Member(tenant, name, user)


@dataclass(frozen=True)
class Reply:
    """What the service answered."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


@dataclass
class Surfer:
    """A client without a screen: it keeps cookies and knows the token of its forms."""

    endpoint: str
    source: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)
    form_token: str = ""

    def ask(
        self, method: str, path: str, body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """One request; no redirect is followed."""
        connection = HTTPConnection(
            self.endpoint, timeout=PATIENCE, source_address=(self.source, 0)
        )
        worn = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(
                method, path, body, {**({"Cookie": worn} if worn else {}), **(headers or {})}
            )
            answer = connection.getresponse()
            reply = Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()
        for line in reply.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        if token := re.search(r'data-form-token="(\w+)"', reply.text):
            self.form_token = token[1]
        return reply

    def get(self, path: str, **headers: str) -> Reply:
        """A page."""
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def send(self, path: str, fields: Mapping[str, str], **headers: str) -> Reply:
        """A form, with the token of the last page unless the fields have one."""
        form = urlencode({"form_token": self.form_token, **fields})
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, form, {**kind, **named})

    def sign_in(self, member: Member, to: str = "") -> Reply:
        """Come in with the password; the answer to the form."""
        path = "/console/sign-in" + (f"?{urlencode({'to': to})}" if to else "")
        who = {"account": member.account, "user": member.user, "password": PASSWORD}
        reply = self.send(path, who)
        if reply.status == 303:
            self.get("/console/")
        return reply


@pytest.fixture
def surfer(service: Running) -> Surfer:
    """A client of the console that has not signed in."""
    return Surfer(service.endpoint)


@dataclass
class Person:
    """Somebody who has signed in with a browser of their own."""

    member: Member
    url: str
    page: Page
    troubles: list[str]

    @property
    def uid(self) -> int:
        return self.member.uid

    def go(self, *parts: str) -> None:
        """Open a page of the console."""
        self.page.goto("/".join((f"{self.url}/console", *parts)))

    def fill(self, **fields: str) -> None:
        """Fill in fields of the form that is open, by their names."""
        for name, text in fields.items():
            found = self.page.locator(f"#field-{name}").last
            if found.evaluate("each => each.tagName") == "SELECT":
                found.select_option(text)
            else:
                found.fill(text)

    def press(self, name: str) -> None:
        """Press the button or follow the link of this name; in the dialog, if one is open."""

        def named() -> Locator:
            inside = self.page.locator("dialog[open]")
            where = inside if inside.count() else self.page.locator("main")
            button, link = (where.get_by_role(r, name=name, exact=True) for r in ("button", "link"))
            return button.or_(link).first

        assert wait_until(lambda: named().count() > 0, PATIENCE, 0.05), f"there is no {name}"
        named().click()

    def sees(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until this is to be read."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=seconds * 1000)

    def look(self, name: str, *, wide_only: bool = False) -> None:
        """The page is accessible, in light and dark, and fits; pictures of it are kept."""
        PICTURES.mkdir(exist_ok=True)
        self.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        assert not _violations(self.page, "color-contrast"), f"{name}, dark"
        self.page.emulate_media(color_scheme="light")
        assert not _violations(self.page), name
        for size in (WIDE,) if wide_only else (NARROW, WIDE):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], f"{name} is {wide} px wide on {size['width']}"
            self.page.screenshot(path=PICTURES / f"{name}-{size['width']}.png", full_page=True)


def _violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds by these rules, or by all, in words."""
    from axe_playwright_python.sync_playwright import Axe

    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **only}).response
    return [f"{v['id']}: {[n['html'][:200] for n in v['nodes']]}" for v in found["violations"]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = next((path for path in _CHROMIUM if Path(path).exists()), None)
    if program is None:
        pytest.skip("no chromium; as root: apt-get install chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield browser
        browser.close()


@dataclass
class Browsers:
    """Browsers of the people of one test."""

    service: Running
    chromium: Browser
    people: list[Person] = field(default_factory=list)

    def person(self, user: str, service: Running | None = None) -> Person:
        """Somebody of a new account, at the home page."""
        service = service or self.service
        surfer, who = Surfer(service.endpoint), member(service, user)
        assert surfer.sign_in(who).status == 303
        self.people.append(with_browser(self.chromium, surfer, who))
        return self.people[-1]


def with_browser(chromium: Browser, surfer: Surfer, who: Member) -> Person:
    """Somebody with a browser of their own, signed in as `surfer` is."""
    url = f"http://{surfer.endpoint}"
    context = chromium.new_context(viewport=WIDE)  # type: ignore[arg-type]
    context.add_cookies(
        [{"name": name, "value": value, "url": url} for name, value in surfer.cookies.items()]
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE * 1000)
    troubles = _watched(context, surfer.endpoint)
    return Person(who, url, context.new_page(), troubles)


def _watched(context: BrowserContext, endpoint: str) -> list[str]:
    """What goes wrong in a browser, from now on."""
    troubles: list[str] = []

    def logged(message: Any) -> None:
        # A form that is refused is answered with 422; Chromium logs every such status.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            troubles.append(f"{message.type}: {message.text}")

    def asked(request: Any) -> None:
        there = urlsplit(request.url)
        if there.netloc != endpoint and there.scheme not in ("data", "blob"):
            troubles.append(f"request to {request.url}")

    context.on("console", logged)
    context.on("weberror", lambda each: troubles.append(str(each.error)))
    context.on("request", asked)
    return troubles


@pytest.fixture
def browsers(service: Running, chromium: Browser) -> Iterator[Browsers]:
    """Makes people with browsers; nothing may go wrong in any of them."""
    made = Browsers(service, chromium)
    yield made
    for person in made.people:
        person.page.context.close()
    assert [trouble for person in made.people for trouble in person.troubles] == []


@pytest.fixture
def ann(browsers: Browsers) -> Person:
    """Somebody of account A, signed in."""
    return browsers.person("ann")


@pytest.fixture
def bob(browsers: Browsers) -> Person:
    """Somebody of account B, signed in, with a browser of their own."""
    return browsers.person("bob")
