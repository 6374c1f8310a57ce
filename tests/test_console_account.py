"""The console's account pages: keys, users, the audit trail, what it would cost."""

from __future__ import annotations

import re

import pytest

from fix_api import Running
from fix_console import PASSWORD, Member, Person, Surfer, member
from landbridge.api.action import Product


@pytest.fixture
def ann_user(service: Running) -> Member:
    return member(service, "ann")


@pytest.fixture
def inside(surfer: Surfer, ann_user: Member) -> Surfer:
    assert surfer.sign_in(ann_user).status == 303
    return surfer


def test_a_key_is_made_shown_once_and_disabled(ann: Person) -> None:
    ann.go("account")
    ann.look("account")
    ann.press("Create AccessKey")
    ann.press("Create")
    ann.sees("Your own password is needed.")
    ann.fill(own="of-somebody-else")
    ann.press("Create")
    ann.sees("This is not right; nothing was changed.")
    ann.fill(own=PASSWORD)
    ann.press("Create")
    ann.sees("It is shown this once")
    shown = ann.page.locator("dialog dd .mono").all_inner_texts()
    id, secret = shown
    ann.page.get_by_label("Copy the AccessKey secret").click()
    assert ann.page.evaluate("navigator.clipboard.readText()") == secret
    who = ann.member.tenant.__class__(ann.member.tenant.endpoint, ann.uid, id, secret)
    assert who.call(Product.STS, "GetCallerIdentity")["AccountId"] == str(ann.uid)
    ann.press("I have kept it")
    ann.page.locator("tr", has_text=id).wait_for()
    assert secret not in ann.page.content()

    ann.page.locator("tr", has_text=id).get_by_role("link", name="Disable").click()
    ann.fill(confirm="LBAK")
    ann.press("Disable")
    ann.sees(f"Type {id} to go on; nothing was changed.")
    ann.fill(confirm=id)
    ann.press("Disable")
    ann.sees(f"{id} is disabled.")
    ann.page.locator("tr", has_text=id).get_by_text("Inactive").wait_for()


def test_the_last_way_in_is_kept(surfer: Surfer, service: Running) -> None:
    tenant = service.tenant("keys-only-account")
    surfer.send("/console/sign-in", {"key": tenant.key_id, "secret": tenant.secret})
    assert "signed in with an access key" in surfer.get("/console/account/users").text
    at = f"/console/account/keys/{tenant.key_id}/disable"
    refused = surfer.send(at, {"confirm": tenant.key_id})
    assert refused.status == 422 and "Nobody could sign in" in refused.text
    keys = "/console/account/keys"
    assert "The secret of the AccessKey that you are" in surfer.get(keys).text
    assert surfer.send(keys, {"own": "x"}).status == 422
    assert tenant.secret not in surfer.send(keys, {"own": tenant.secret}).text
    assert len(set(re.findall(r"LBAK\w+", surfer.get("/console/account").text))) == 2
    assert surfer.get("/console/account").status == 200


def test_users_come_and_go(inside: Surfer, service: Running, ann_user: Member) -> None:
    at = "/console/account/users"
    for name, password, field in (
        ("1bob", PASSWORD, "UserName"),
        ("ann", PASSWORD, "UserName"),
        ("bob", "short", "Password"),
        ("bob", "aaaaaaaaaaaaaaaa", "Password"),
    ):
        user = {"UserName": name, "Password": password, "own": PASSWORD}
        refused = inside.send(f"{at}/create", user)
        assert refused.status == 422 and f'id="field-{field}-error"' in refused.text, name
        assert password not in refused.text
    bob_user = {"UserName": "bob", "Password": PASSWORD}
    for own in ({}, {"own": ""}, {"own": "of-somebody-else"}):
        refused = inside.send(f"{at}/create", {**bob_user, **own})
        assert refused.status == 422 and 'id="field-own" name="own"' in refused.text
        assert 'aria-describedby="field-own-error"' in refused.text
    assert "bob" not in inside.get(at).text
    made = inside.send(f"{at}/create", {**bob_user, "own": PASSWORD})
    assert made.location == at and "bob" in inside.get(at).text

    bob = Surfer(service.endpoint)
    assert bob.sign_in(Member(ann_user.tenant, ann_user.account, "bob")).status == 303
    kept = dict(bob.cookies)
    assert inside.send(f"{at}/bob/disable", {}).status == 422
    assert inside.send(f"{at}/bob/disable", {"confirm": "bob"}).location == at
    assert bob.get("/console/").status == 303
    assert "Inactive" in inside.get(at).text
    inside.send(f"{at}/bob/enable", {})
    bob.cookies = kept
    assert bob.get("/console/").status == 303  # what was open stays closed
    assert bob.sign_in(Member(ann_user.tenant, ann_user.account, "bob")).status == 303
    other = {"own": PASSWORD, "Password": "Another-ferry-8x"}
    refused = inside.send(f"{at}/bob/password", {**other, "own": "of-somebody-else"})
    assert refused.status == 422 and 'id="field-own-error"' in refused.text
    assert bob.get("/console/").status == 200
    assert inside.send(f"{at}/bob/password", other).location == at
    assert bob.get("/console/").status == 303
    assert bob.sign_in(Member(ann_user.tenant, ann_user.account, "bob")).status == 422
    assert inside.send(f"{at}/bob/delete", {"confirm": "ann"}).status == 422
    assert inside.send(f"{at}/bob/delete", {"confirm": "bob"}).location == at
    inside.get(at)  # which says so once
    assert "bob" not in inside.get(at).text
    assert inside.send(f"{at}/nobody/enable", {}).status == 404
    for nobody in ("users/nobody/disable", "users/nobody/password", "users/nobody/delete",
                   "keys/LBAKnobody/disable"):  # fmt: skip
        assert inside.get(f"/console/account/{nobody}").status == 404, nobody


def test_the_trail_is_searched_and_turned_over(inside: Surfer, ann_user: Member) -> None:
    for n in range(55):
        ann_user.tenant.call(Product.CBN, "CreateCen", Name=f"cen-{n}") if n < 3 else inside.send(
            "/console/cen/create", {"Name": "1"}
        )
    page = inside.get("/console/account/trail").text
    assert "page 1 of 2" in page and 'rel="next"' in page
    older = re.search(r'<a href="([^"]+)" rel="next"', page)
    assert older and "page 2 of 2" in inside.get(older[1].replace("&amp;", "&")).text
    done = inside.get("/console/account/trail?ActionName=cbn.CreateCen&Outcome=Success").text
    assert "3 entries" in done and ann_user.tenant.key_id in done
    assert "console.SignIn" not in done
    none = inside.get("/console/account/trail?EndTime=2020-01-31+12:00").text
    assert "Nothing was done that this asks for" in none
    wrong = inside.get("/console/account/trail?StartTime=yesterday")
    assert wrong.status == 200 and 'id="field-StartTime-error"' in wrong.text
    assert inside.get(f"/console/account/trail?page={'9' * 5000}").status == 200


def test_what_networks_would_cost(inside: Surfer, ann_user: Member) -> None:
    assert "Nothing was used that costs" in inside.get("/console/account/costs").text
    ann_user.tenant.call(
        Product.CBN, "CreateCenBandwidthPackage", Bandwidth="10",
        GeographicRegionAId="China", GeographicRegionBId="China",
    )  # fmt: skip
    page = inside.get("/console/account/costs").text
    assert "100.00 USD" in page and "Nobody is charged" in page


def test_pages_of_the_account_are_accessible(ann: Person) -> None:
    for page in ("users", "trail", "costs"):
        ann.go("account", page)
        ann.look(f"account-{page}")
    ann.go("account", "users")
    ann.press("Create User")
    ann.page.locator("dialog[open]").wait_for()
    ann.page.keyboard.press("Escape")
    ann.page.locator("dialog[open]").wait_for(state="detached")
