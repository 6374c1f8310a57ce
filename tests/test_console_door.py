"""The console's door: who gets in, who does not, and what every answer says to browsers."""

from __future__ import annotations

from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from fix_api import Running, Serve
from fix_console import PASSWORD, Browsers, Member, Person, Surfer, member
from landbridge.api.action import Product
from landbridge.cloud import Cloud
from landbridge.cloud.accounts import Account
from landbridge.cloud.logins import LASTS, Login
from landbridge.console.live import MOST_OF_ONE
from landbridge.store import utcnow

COOKIE = "landbridge-login"
CONTENT_POLICY = "default-src 'none'"


@pytest.fixture
def ann_user(service: Running) -> Member:
    return member(service, "ann")


@pytest.fixture
def inside(surfer: Surfer, ann_user: Member) -> Surfer:
    """Somebody who has signed in with a password."""
    assert surfer.sign_in(ann_user).status == 303
    return surfer


def test_a_user_signs_in_and_out(surfer: Surfer, ann_user: Member) -> None:
    reply = surfer.sign_in(ann_user, to="/console/cen")
    assert (reply.status, reply.location) == (303, "/console/cen")
    cookie = reply.headers["Set-Cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/console" in cookie
    page = surfer.get("/console/")
    assert page.status == 200 and ann_user.account in page.text and str(ann_user.uid) in page.text
    assert PASSWORD not in page.text
    assert surfer.get("/console/sign-in").location == "/console/"

    token = surfer.cookies[COOKIE]
    assert surfer.send("/console/sign-out", {}).location == "/console/sign-in"
    surfer.cookies[COOKIE] = token  # a browser that kept it
    assert surfer.get("/console/").status == 303


def test_an_access_key_signs_in_until_it_is_disabled(surfer: Surfer, ann_user: Member) -> None:
    tenant = ann_user.tenant
    given = {"key": tenant.key_id, "secret": tenant.secret}
    assert surfer.send("/console/sign-in", {**given, "secret": "wrong"}).status == 422
    assert surfer.send("/console/sign-in", given).status == 303
    page = surfer.get("/console/")
    assert tenant.key_id in page.text and tenant.secret not in page.text
    tenant.call(Product.LANDBRIDGE, "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    assert surfer.get("/console/").location.startswith("/console/sign-in")
    assert surfer.send("/console/sign-in", given).status == 422


def test_wrong_passwords_are_refused_and_then_throttled(service: Running, ann_user: Member) -> None:
    surfer = Surfer(service.endpoint, source="127.0.0.77")
    form = {"account": ann_user.account, "user": "ann", "password": "guessed-and-wrong"}
    for _ in range(5):
        reply = surfer.send("/console/sign-in", form)
        assert reply.status == 422 and "guessed-and-wrong" not in reply.text
    assert "try again in" in surfer.send("/console/sign-in", form).text
    assert "try again in" in surfer.sign_in(ann_user).text  # the right one waits too
    assert COOKIE not in surfer.cookies
    for unknown in ({**form, "account": "nobody"}, {**form, "user": "nobody"}):
        text = surfer.send("/console/sign-in", unknown).text
        assert "nobody" in text and "There is no" not in text.replace("There is no such", "")


def test_a_login_ends_with_time(service: Running, inside: Surfer, ann_user: Member) -> None:
    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        for login in session.query(Login).filter_by(account_uid=ann_user.uid):
            login.opened_at = utcnow() - LASTS - timedelta(seconds=1)
    cloud.close()
    assert inside.get("/console/").location.startswith("/console/sign-in")


def test_a_new_password_ends_what_the_old_one_opened(
    service: Running, inside: Surfer, ann_user: Member
) -> None:
    from landbridge.cloud import Secret, users

    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        owner = session.get_one(Account, ann_user.uid)
        users.find(session, owner, "ann").set_password(Secret("Another-ferry-over-8"))
    cloud.close()
    assert inside.get("/console/").status == 303


@pytest.mark.parametrize(
    "path", ["/console/", "/console/cen", "/console/cen/create", "/console/account", "/console/no"]
)
def test_no_page_without_a_login(surfer: Surfer, path: str) -> None:
    reply = surfer.get(path)
    assert reply.status == 303 and reply.location.startswith("/console/sign-in")
    assert surfer.send(path, {"Name": "made-by-nobody"}).status == 303
    assert surfer.get(path, Accept="text/event-stream").status == 401
    surfer.cookies[COOKIE] = "A" * 43
    assert surfer.get(path).status == 303


def test_what_is_sent_when_a_login_has_ended_leads_back_to_its_page(
    surfer: Surfer, ann_user: Member
) -> None:
    at = "http://127.0.0.1/console/cen?page=2"
    sent = surfer.send("/console/cen/create", {}, HX_Request="true", HX_Current_URL=at)
    opened = surfer.get("/console/cen/create", HX_Request="true", Referer=at)
    full = surfer.send("/console/cen/create", {}, Referer="http://127.0.0.1/console/cen/create")
    there = "/console/sign-in?to=%2Fconsole%2Fcen"
    assert sent.headers["HX-Redirect"] == f"{there}%3Fpage%3D2&lost=true"
    assert opened.headers["HX-Redirect"] == f"{there}%3Fpage%3D2"
    assert full.location == f"{there}%2Fcreate&lost=true"
    assert "Your login has ended." in surfer.get(full.location).text
    assert "Your login has ended." not in surfer.get(opened.headers["HX-Redirect"]).text
    assert surfer.sign_in(ann_user, to="/console/cen?page=2").location == "/console/cen?page=2"


def test_what_is_not_there_is_said_on_a_page_of_the_console(inside: Surfer) -> None:
    for path in ("no", "cen/none", "rds/none", "rds/none/migration/tasks/abc", "vpc/none/x/y"):
        page = inside.get(f"/console/{path}")
        assert page.status == 404 and "<h1>Not found</h1>" in page.text, path
        assert 'aria-label="Console"' in page.text, path
    assert inside.get("/console/cen/").location == "/console/cen"


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"form_token": ""}, {}),
        ({"form_token": "0" * 64}, {}),
        ({"form_token": "\u00e9"}, {}),
        ({}, {"Origin": "http://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec_Fetch_Site": "cross-site"}),
    ],
)
def test_a_form_of_another_site_changes_nothing(
    inside: Surfer, fields: dict[str, str], headers: dict[str, str]
) -> None:
    form = {"Name": "forged-cen", "Description": "", **fields}
    assert inside.send("/console/cen/create", form, **headers).status == 403
    assert inside.send("/console/sign-out", fields, **headers).status == 303
    page = inside.get("/console/cen")
    assert page.status == 200 and "forged-cen" not in page.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "["])
def test_a_name_that_another_site_leads_here_opens_nothing(
    inside: Surfer, surfer: Surfer, ann_user: Member, host: str
) -> None:
    form = {"account": ann_user.account, "user": "ann", "password": PASSWORD}
    there = {"Host": host, "Origin": f"http://{host}"}
    outside = Surfer(surfer.endpoint)
    for path in ("/console/sign-in", "/console", "/console/static/console.js"):
        assert outside.get(path, **there).status == 421
    assert outside.send("/console/sign-in", form, **there).status == 421
    assert outside.cookies == {}
    assert inside.get("/console/cen", **there).status == 421
    assert outside.get("/", Host=host).status == 400  # the API's own calls have any name


def test_a_console_is_reached_at_an_address_and_as_localhost(inside: Surfer) -> None:
    for host in ("127.0.0.1:1", "[::1]:8450", "localhost", "LOCALHOST.:8450"):
        assert inside.get("/console/cen", Host=host).status == 200


def test_a_link_of_another_site_sends_no_packet(inside: Surfer) -> None:
    cen = inside.send("/console/cen/create", {"Name": "linked"}).location.partition("?")[0]
    asked = f"{cen}/topology?from=a&to=b"
    assert inside.get(asked, Sec_Fetch_Site="same-origin").status == 200
    for site in ("cross-site", "same-site"):
        reply = inside.get(asked, Sec_Fetch_Site=site)
        assert (reply.status, reply.location) == (303, f"{cen}/topology?from=a")
    assert inside.get(f"{cen}/topology?from=a", Sec_Fetch_Site="cross-site").status == 200


def test_nobody_is_signed_in_by_another_site(surfer: Surfer, ann_user: Member) -> None:
    form = {"account": ann_user.account, "user": "ann", "password": PASSWORD}
    assert surfer.send("/console/sign-in", form, Origin="http://evil.example").status == 403
    assert COOKIE not in surfer.cookies


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example", "/console//evil.example", "/console/\\evil.example",
     "/\\evil.example", "/consoles/", "javascript:alert(1)", "/console/\r\nSet-Cookie: a=b",
     "/console/../..//evil.example", "/console/../openapi.json", "/console/%2e%2E/openapi.json",
     "/console/cen/.%2E/../openapi.json", ""],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(surfer: Surfer, ann_user: Member, to: str) -> None:
    reply = surfer.sign_in(ann_user, to=to)
    assert (reply.status, reply.location) == (303, "/console/")
    assert "evil" not in str(reply.headers)


def test_every_kind_of_answer_is_guarded(inside: Surfer, service: Running) -> None:
    outside = Surfer(service.endpoint)
    asked = [
        outside.get("/console"),
        outside.get("/console/"),
        outside.get("/console/sign-in"),
        outside.send("/console/sign-in", {"account": "x", "user": "y", "password": "z"}),
        outside.get("/console/static/console.css"),
        outside.get("/console/static/none.css"),
        outside.get("/console/static/../app.py"),
        outside.ask("PUT", "/console/cen"),
        outside.get("/console/sign-out"),
        inside.get("/console/cen"),
        inside.get("/console/no-such-page"),
        inside.get("/console/cen/cen-of-nobody"),
        inside.send("/console/cen/create", {"Name": "1"}),
        inside.send("/console/cen/create", {"form_token": "x"}),
    ]
    for reply in asked:
        headers = reply.headers
        assert headers["Content-Security-Policy"].startswith(CONTENT_POLICY), reply
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert reply.status < 500 and "Traceback" not in reply.text
    assert [reply.status for reply in asked] == [
        307, 303, 200, 422, 200, 404, 404, 405, 303, 200, 404, 404, 422, 403,
    ]  # fmt: skip
    assert "no-store" in asked[9].headers["Cache-Control"]
    assert "immutable" in asked[4].headers["Cache-Control"]


def test_a_head_is_answered_like_a_get_and_costs_nothing(inside: Surfer, service: Running) -> None:
    outside = Surfer(service.endpoint, source="127.0.0.78")
    for _ in range(8):  # more than the wrong passwords that are borne
        assert outside.ask("HEAD", "/console/sign-in").status == 200
    assert inside.ask("HEAD", "/console/cen").status == 200
    assert inside.ask("HEAD", "/console/cen/create").status == 200


def test_forms_that_no_page_sends_are_refused(inside: Surfer) -> None:
    huge = inside.send("/console/cen/create", {"Name": "x" * 400_000})
    assert huge.status == 413
    many = "&".join(f"f{n}=1" for n in range(3000)) + f"&form_token={inside.form_token}"
    assert inside.ask("POST", "/console/cen/create", many).status in (400, 403, 413)
    for name in ("a\0b", "\0", "<script>alert(1)</script>", "é" * 200, "%ff"):
        reply = inside.send("/console/cen/create", {"Name": name})
        assert reply.status == 422 and "<script>alert" not in reply.text, name
    assert inside.get("/console/cen/%00").status in (400, 404)
    assert inside.get("/console/cen/..%2f..%2fetc%2fpasswd").status == 404
    assert inside.get("/console/%ff%fe").status == 404


def test_a_form_is_never_a_stream(inside: Surfer, service: Running) -> None:
    made = inside.send("/console/cen/create", {"Name": "once"}, Accept="text/event-stream")
    assert made.status == 303
    done = [e["action"] for e in service.logged() if "action" in e]
    assert "cbn.CreateCen" in done[-8:]
    head = inside.ask("HEAD", "/console/cen", headers={"Accept": "text/event-stream"})
    assert head.headers["Content-Type"].startswith("text/html")


def test_an_account_sees_its_own_pages_alone(
    service: Running, inside: Surfer, ann_user: Member
) -> None:
    made = inside.send("/console/cen/create", {"Name": "of-ann"})
    assert made.status == 303
    assert "of-ann" in inside.get("/console/cen").text
    bob = Surfer(service.endpoint)
    bob.sign_in(member(service, "bob"))
    assert bob.get(made.location).status == 404
    assert "of-ann" not in bob.get("/console/cen").text


def test_what_was_done_at_the_console_is_in_the_trail(
    service: Running, inside: Surfer, ann_user: Member
) -> None:
    inside.send("/console/cen/create", {"Name": "1"})
    done = [(e["action"], e["outcome"], e["source"]) for e in service.trail(ann_user.tenant)]
    assert done[0][0] == "cbn.CreateCen" and done[0][1] != "Success" and "(ann)" in done[0][2]
    assert done[1][0] == "console.SignIn"
    inside.send("/console/sign-out", {})
    tenant, person = ann_user.tenant, {"account": ann_user.account, "user": "ann"}
    inside.send("/console/sign-in", {**person, "password": "a guess"})
    inside.send("/console/sign-in", {**person, "user": "typed-a-secret", "password": ""})
    inside.send("/console/sign-in", {"key": tenant.key_id, "secret": "a guess"})
    done = [(e["action"], e["outcome"], e["source"]) for e in service.trail(tenant)[:4]]
    assert done == [
        ("console.SignIn", "SignatureDoesNotMatch", "127.0.0.1"),
        ("console.SignIn", "SignInFailed", "127.0.0.1"),
        ("console.SignIn", "SignInFailed", "127.0.0.1 (ann)"),
        ("console.SignOut", "Success", "127.0.0.1 (ann)"),
    ]


def test_an_open_page_leaves_when_its_login_ends(ann: Person, service: Running) -> None:
    ann.go("cen")
    ann.sees("No CEN instance yet")
    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        session.query(Login).filter_by(account_uid=ann.uid).delete()
    cloud.close()
    ann.page.wait_for_url("**/console/sign-in?*")
    ann.look("sign-in")


@pytest.mark.slow
def test_an_open_page_outlives_its_service(
    browsers: Browsers, serve: Serve, tmp_path: Path
) -> None:
    first = serve(tmp_path)
    ann = browsers.person("ann", first)
    ann.go("cen")
    ann.sees("No CEN instance yet")
    first.kill()
    ann.page.wait_for_selector("body.away")
    said = ann.page.locator("#said").text_content()
    assert said == "Connection lost, trying again"  # to those who do not see it, too
    serve(tmp_path, "--listen", first.endpoint)
    ann.member.tenant.call(Product.CBN, "CreateCen", Name="made-meanwhile")
    ann.sees("made-meanwhile", 30)
    assert not ann.page.locator("body.away").count()
    assert all("net::ERR" in trouble for trouble in ann.troubles), ann.troubles
    ann.page.close()
    ann.troubles.clear()


def test_pages_beyond_what_one_account_may_keep_open_are_still_read(
    inside: Surfer, service: Running
) -> None:
    streams = []
    try:
        for _ in range(MOST_OF_ONE + 1):
            one = HTTPConnection(service.endpoint, timeout=20)
            worn = {"Cookie": f"{COOKIE}={inside.cookies[COOKIE]}", "Accept": "text/event-stream"}
            one.request("GET", "/console/cen", headers=worn)
            streams.append((one, one.getresponse()))
        statuses = [answer.status for _, answer in streams]
        assert statuses == [200] * MOST_OF_ONE + [503]
        assert inside.get("/console/cen").status == 200
        bob = Surfer(service.endpoint)
        bob.sign_in(member(service, "bob"))
        assert bob.get("/console/cen").status == 200
    finally:
        for one, answer in streams:
            answer.close()
            one.close()


def test_the_door_works_by_keyboard_alone(ann: Person) -> None:
    ann.page.context.clear_cookies()
    ann.go("cen")
    page = ann.page
    page.locator("#field-account").focus()
    page.keyboard.type(ann.member.account)
    page.keyboard.press("Tab")
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/cen")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Skip to the content"
    assert page.evaluate("document.activeElement.id") == "content"
