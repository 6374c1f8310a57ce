"""The console's pages of networks: the first part of the procedure by clicks, as A and B."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import urlencode

import pytest

from fix_api import Running
from fix_console import Member, Person, Surfer, member
from fix_party import SOON, Party
from landbridge.cloud import Cloud
from landbridge.cloud.bandwidth import BandwidthPlan
from landbridge.postgres.process import wait_until
from landbridge.store import utcnow

BJ, HZ = "cn-beijing", "cn-hangzhou"


def _vpc(person: Person, region: str, block: str) -> str:
    """A VPC with one vSwitch, made by its form."""
    person.go("vpc/create")
    person.page.select_option("#field-RegionId", region)
    zone = person.page.locator('[name="1.ZoneId"]')
    zone.locator(f'option[value="{region}-h"]').wait_for(state="attached")
    person.fill(VpcName="net", CidrBlock=f"{block}.0.0/16")
    zone.select_option(f"{region}-h")
    person.page.fill('[name="1.CidrBlock"]', f"{block}.1.0/24")
    person.press("OK")
    person.page.wait_for_url("**/vpc/vpc-*")
    return person.page.url.rpartition("/")[2]


def _cen(person: Person) -> str:
    """An active CEN, made in its dialog."""
    person.go("cen")
    person.press("Create CEN Instance")
    person.fill(Name="joined")
    person.press("OK")
    person.page.wait_for_url("**/cen/cen-*")
    person.sees("Active")
    return person.page.url.rpartition("/")[2]


@pytest.mark.slow
def test_two_accounts_join_their_regions_by_clicks(ann: Person, bob: Person) -> None:
    """The CEN part of the procedure: B makes it, A grants, B connects both and allocates."""
    theirs, own = _vpc(ann, BJ, "10.1"), _vpc(bob, HZ, "10.2")
    cen = _cen(bob)
    bob.look("cen")

    bob.page.get_by_label("Connect Network Instance").first.click()
    bob.page.select_option("#field-RegionId", BJ)
    bob.page.get_by_label("Cross-account").check()
    bob.page.locator("#field-VpcOwnerId").fill(str(ann.uid))
    bob.page.keyboard.press("Tab")
    bob.sees("has not granted a VPC in China (Beijing) to this CEN instance yet")
    bob.look("connect-not-granted")

    ann.go("vpc", theirs, "authorization")
    ann.page.locator("section").get_by_role("link", name="Authorize").first.click()
    ann.fill(CenOwnerId=str(bob.uid), CenId="cen-of-nobody")
    ann.press("OK")
    ann.sees("has no CEN cen-of-nobody")
    ann.fill(CenId=cen)
    ann.press("OK")
    ann.sees(f"{theirs} is granted to {cen}")
    ann.look("vpc-authorization")

    bob.press("Go on")  # the page noticed by itself
    bob.page.locator("#field-PrimaryVSwitch").wait_for()
    bob.look("connect")
    bob.press("Create")
    bob.page.wait_for_url(f"**/cen/{cen}")
    bob.go("cen", cen, f"connect?RegionId={HZ}")
    bob.press("Create")  # one VPC, one vSwitch: both are chosen
    bob.page.wait_for_url(f"**/cen/{cen}")
    bob.sees("only 1 kbit/s passes")
    for vpc in (theirs, own):
        row = bob.page.locator("tr", has_text=vpc)
        row.get_by_text("Attached", exact=True).wait_for(timeout=SOON * 1000)
    bob.look("cen-connected")

    bob.go("cen", cen, "bandwidth-plans")
    bob.press("Purchase Bandwidth Plan (Subscription)")
    bob.fill(Bandwidth="20", Name="plan")
    bob.page.keyboard.press("Tab")
    bob.page.get_by_label("Buy it for 200.00 USD").check()  # by the example price list
    assert bob.page.get_by_label("Bandwidth Package Name").input_value() == "plan"
    bob.look("purchase")
    bob.press("Buy Now")
    bob.sees("is associated with")
    bob.look("bandwidth-plans")

    bob.press("Allocate Bandwidth for Inter-region Communication")
    platinum = bob.page.get_by_label("Platinum")
    assert platinum.is_disabled()
    bob.sees("Only with Pay-By-Data-Transfer.")
    bob.page.get_by_role("radio", name="Pay-By-Data-Transfer", exact=True).check()
    bob.page.locator("input[value=Platinum]:enabled").wait_for()
    bob.page.get_by_label("Allocate from Bandwidth Plan").check()
    bob.page.locator("input[value=Platinum]:disabled").wait_for()
    bob.fill(Bandwidth="21")
    bob.press("OK")
    bob.sees("has 20 of 20 Mbit/s left, not 21")
    bob.fill(Bandwidth="12")
    bob.look("allocate")
    bob.press("OK")
    bob.page.wait_for_url("**/connections")
    bob.page.locator("tbody").get_by_text("Attached", exact=True).wait_for(timeout=SOON * 1000)
    bob.page.locator(".curve .uplot").wait_for()
    bob.look("connections")

    bob.go("cen", cen, "topology")
    bob.page.locator("svg a", has_text=own).click()
    bob.page.locator("svg a", has_text=theirs).click()
    bob.sees("A packet passes.")
    assert bob.page.locator("svg polyline.passed").count() == 3
    bob.look("topology")

    ann.go("cen", cen, "topology")  # what A may see of B's CEN: its own part
    ann.page.locator("svg").get_by_text(theirs).wait_for()
    assert ann.page.get_by_text(own).count() == 0
    _everything_is_taken_down(ann, bob, cen, theirs)


def _everything_is_taken_down(ann: Person, bob: Person, cen: str, theirs: str) -> None:
    """A detaches its VPC and revokes; the picture says what stops a packet then."""
    ann.go("vpc", theirs, "authorization")
    ann.press("Revoke")
    ann.fill(confirm=cen)
    ann.press("Revoke")
    ann.sees("is attached to")  # refused while it is
    ann.page.keyboard.press("Escape")
    ann.press("Detach")
    ann.fill(confirm="vpc-another")
    ann.press("Detach")
    ann.sees(f"Type {theirs} to go on; nothing was changed.")
    ann.fill(confirm=theirs)
    ann.press("Detach")
    ann.page.wait_for_url(f"**/vpc/{theirs}")
    bob.sees("No packet passes.", SOON)  # an open page follows
    bob.sees("stops here")
    ann.go("vpc", theirs, "authorization")
    ann.sees("Granted, not connected yet", SOON)
    ann.press("Revoke")
    ann.fill(confirm=cen)
    ann.press("Revoke")
    ann.sees(f"The grant to {cen} was revoked.")


def test_a_cen_is_made_renamed_and_deleted_by_keyboard_alone(ann: Person) -> None:
    ann.go("cen")
    keys = ann.page.keyboard
    ann.page.locator("main").get_by_role("link", name="Create CEN Instance").first.focus()
    keys.press("Enter")
    ann.page.locator("dialog[open]").wait_for()
    keys.type("1st")  # the first field has the focus
    assert ann.page.locator("#field-Name-hint.bad").count()  # the rule, as one types
    keys.press("Enter")
    ann.sees("The name must begin with a letter.")
    keys.press("Control+a")
    keys.type("first")
    keys.press("Enter")
    ann.page.wait_for_url("**/cen/cen-*")
    id = ann.page.url.rpartition("/")[2]
    ann.sees("Active")
    ann.page.get_by_role("link", name="Delete").focus()
    keys.press("Enter")
    ann.page.locator("dialog[open]").wait_for()
    keys.press("Escape")
    assert ann.page.evaluate("document.activeElement.textContent") == "Delete"
    keys.press("Enter")
    ann.page.locator("dialog[open] #field-confirm").wait_for()
    keys.type(id)
    keys.press("Enter")
    ann.page.wait_for_url("**/console/cen")
    ann.page.locator("tr", has_text=id).wait_for(state="detached", timeout=SOON * 1000)


@pytest.fixture
def ann_user(service: Running) -> Member:
    return member(service, "ann")


@pytest.fixture
def inside(surfer: Surfer, ann_user: Member) -> Surfer:
    assert surfer.sign_in(ann_user).status == 303
    return surfer


def test_pages_make_no_call_for_each_thing_there_is(
    inside: Surfer, ann_user: Member, service: Running
) -> None:
    party = Party(ann_user.tenant)
    vpc, _ = party.network(HZ, "10.1")

    def asked(page: str) -> list[str]:
        before = len(service.logged())
        assert inside.get(page).status == 200
        return sorted(e["action"] for e in service.logged()[before:] if "action" in e)

    pages = ("/console/", f"/console/vpc/{vpc}")
    of_one = [asked(page) for page in pages]
    for number in range(2, 4):
        party.network(HZ, f"10.{number}")
    assert [asked(page) for page in pages] == of_one
    assert inside.get(f"/console/vpc/{vpc}x").status == 404


def test_a_vpc_whose_vswitch_is_refused_is_not_left_behind(inside: Surfer) -> None:
    form = {
        "RegionId": BJ,
        "CidrBlock": "10.1.0.0/16",
        "1.ZoneId": f"{BJ}-h",
        "1.CidrBlock": "10.1.1.0/24",
        "2.ZoneId": f"{BJ}-g",
        "2.CidrBlock": "10.1.1.0/25",
    }
    refused = inside.send("/console/vpc/create", form)
    assert refused.status == 422
    error = refused.text.partition('id="field-2.CidrBlock-error">')[2].partition("<")[0]
    assert "10.1.1.0/25" in error, refused.text
    assert "No VPC yet" in inside.get("/console/vpc").text
    made = inside.send("/console/vpc/create", {**form, "2.CidrBlock": "10.1.2.0/24"})
    page = inside.get(made.location).text
    assert made.status == 303 and "10.1.1.0/24" in page and "10.1.2.0/24" in page
    assert inside.send(f"{made.location}/delete", {"confirm": "net"}).status == 422
    id = made.location.rpartition("/")[2]
    assert inside.send(f"{made.location}/delete", {"confirm": id}).location == "/console/vpc"
    assert "No VPC yet" in inside.get("/console/vpc").text


def test_choices_can_be_made_without_scripts(inside: Surfer) -> None:
    """A button asks for the form again; what was chosen is in the address, the token is not."""
    asked = inside.send("/console/vpc/create", {"RegionId": BJ, "VpcName": "a&b", "form_look": "1"})
    assert asked.status == 303 and inside.form_token not in asked.location
    page = inside.get(asked.location).text
    assert 'value="a&amp;b"' in page and f'value="{BJ}-h"' in page


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"Name": ""}, "Name"),
        ({"Name": "1abc"}, "Name"),
        ({"Name": "a"}, "Name"),
        ({"Name": "a b"}, "Name"),
        ({"Name": "good", "Description": "https://x"}, "Description"),
    ],
)
def test_each_rule_of_a_cen_is_said_beside_its_field(
    inside: Surfer, fields: dict[str, str], field: str
) -> None:
    reply = inside.send("/console/cen/create", fields)
    assert reply.status == 422 and f'id="field-{field}-error"' in reply.text


def _let_expire(service: Running, plan: str) -> None:
    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        session.get_one(BandwidthPlan, plan).expires_at = utcnow()
    cloud.close()


def test_pages_of_a_plan_and_what_is_refused_of_it(
    service: Running, inside: Surfer, ann_user: Member
) -> None:
    party = Party(ann_user.tenant)
    cen = party.cen()
    at = f"/console/cen/{cen}/bandwidth-plans"
    order = {"GeographicRegionAId": "China", "GeographicRegionBId": "China", "OrderTime": "3m"}
    for wrong in ("1", "10001", "ten", ""):
        reply = inside.send(f"{at}/purchase", {**order, "Bandwidth": wrong})
        assert reply.status == 422, wrong
        assert 'id="field-Bandwidth-error"' in reply.text
    order |= {"Bandwidth": "10", "AutoRenew": "true"}
    for price in ("", "20000"):  # one that was not shown is not agreed to
        reply = inside.send(f"{at}/purchase", {**order, f"agreed-{price}": "true"})
        assert reply.status == 422 and "Buy it for 300.00 USD" in reply.text
    bought = inside.send(f"{at}/purchase", {**order, "agreed-30000": "true"})
    assert bought.location == at
    page = inside.get(at).text
    plan = page.partition('<tr id="')[2].partition('"')[0]
    assert plan.startswith("cenbwp-") and "Auto-renewal" in page and "InUse" in page
    assert inside.send(f"{at}/{plan}/bandwidth", {"Bandwidth": "30"}).status == 303
    assert inside.send(f"{at}/{plan}/renew", {"OrderTime": "1y"}).status == 303
    page = inside.get(at).text
    assert "30 Mbit/s" in page and "Auto-renewal" not in page
    _let_expire(service, plan)
    page = inside.get(at).text
    assert "Expired" in page and "only 1 kbit/s passes until it is renewed" in page
    refused = inside.send(f"{at}/{plan}/bandwidth", {"Bandwidth": "40"})
    assert refused.status == 422 and "expired on" in refused.text
    assert inside.send(f"{at}/{plan}/renew", {"OrderTime": "1m"}).status == 303
    assert "Expired" not in inside.get(at).text
    assert inside.send(f"{at}/{plan}/delete", {"confirm": "plan"}).status == 422
    assert inside.send(f"/console/cen/{cen}/delete", {"confirm": cen}).status == 422  # has a plan
    assert inside.send(f"{at}/{plan}/delete", {"confirm": plan}).status == 303
    assert inside.send(f"/console/cen/{cen}/delete", {"confirm": cen}).status == 303
    assert wait_until(lambda: cen not in inside.get("/console/cen").text, SOON)


def test_what_is_proposed_is_seen_before_it_is_connected(inside: Surfer, ann_user: Member) -> None:
    party = Party(ann_user.tenant)
    vpc, (mapping,) = party.network(HZ, "10.1")
    cen = party.cen()
    at, region = f"/console/cen/{cen}/connect", {"RegionId": HZ, "Ownership": "same"}
    unseen = inside.send(at, {**region, "PrimaryZone": "", "SecondaryZone": ""})
    assert unseen.status == 422 and 'id="field-VpcId-error">Look at what is' in unseen.text
    for proposed in (vpc, mapping.zone_id, mapping.v_switch_id):
        assert f'<option value="{proposed}" selected' in unseen.text
    assert "No VPC is connected yet." in inside.get(f"/console/cen/{cen}").text
    seen = {"VpcId": vpc, "PrimaryZone": mapping.zone_id, "PrimaryVSwitch": mapping.v_switch_id}
    assert inside.send(at, {**region, **seen}).location == f"/console/cen/{cen}"
    assert mapping.v_switch_id in inside.get(f"/console/cen/{cen}").text


def test_a_form_that_is_sent_twice_is_carried_out_once(inside: Surfer, ann_user: Member) -> None:
    """A second click buys nothing; the form asked for anew does, and so does another order."""
    at = f"/console/cen/{Party(ann_user.tenant).cen()}/bandwidth-plans"
    order = {"GeographicRegionAId": "China", "GeographicRegionBId": "China", "OrderTime": "1m"}

    def buy(once: str, bandwidth: str) -> int:
        sent = {**order, "Bandwidth": bandwidth, "form_once": once}
        sent[f"agreed-{int(bandwidth) * 1000}"] = "true"
        assert inside.send(f"{at}/purchase", sent).location == at
        return inside.get(at).text.count('<tr id="cenbwp-')

    def once() -> str:
        found = re.search(r'name="form_once" value="(\w{32})"', inside.get(f"{at}/purchase").text)
        assert found is not None
        return found[1]

    first = once()
    assert [buy(first, "10"), buy(first, "10"), buy(first, "20"), buy(once(), "10")] == [1, 1, 2, 3]
    vpc = {"RegionId": BJ, "CidrBlock": "10.1.0.0/16", "1.ZoneId": f"{BJ}-h",
           "1.CidrBlock": "10.1.1.0/24", "form_once": once()}  # fmt: skip
    made = {inside.send("/console/vpc/create", vpc).location for _ in "12"}
    assert len(made) == 1 and inside.get(made.pop()).status == 200


def test_pages_of_another_account_are_not_found(
    service: Running, inside: Surfer, ann_user: Member
) -> None:
    party = Party(ann_user.tenant)
    cen, (vpc, _) = party.cen(), party.network(HZ, "10.3")
    assert inside.get(f"/console/cen/{cen}/topology").status == 200
    bob = Surfer(service.endpoint)
    bob.sign_in(member(service, "bob"))
    pages = (
        f"cen/{cen}", f"cen/{cen}/edit", f"cen/{cen}/delete", f"cen/{cen}/connect",
        f"cen/{cen}/bandwidth-plans", f"cen/{cen}/bandwidth-plans/purchase",
        f"cen/{cen}/connections", f"cen/{cen}/connections/allocate", f"cen/{cen}/topology",
        f"vpc/{vpc}", f"vpc/{vpc}/route-table", f"vpc/{vpc}/authorization", f"vpc/{vpc}/delete",
        f"vpc/{vpc}/vswitch", f"vpc/{vpc}/authorization/give",
    )  # fmt: skip
    for page in pages:
        reply = bob.get(f"/console/{page}")
        assert reply.status == 404 and "joined" not in reply.text, page
    for page, form in (
        (f"cen/{cen}/delete", {"confirm": cen}),
        (f"cen/{cen}/edit", {"Name": "stolen"}),
        (f"vpc/{vpc}/delete", {"confirm": vpc}),
        (f"vpc/{vpc}/vswitch", {"ZoneId": f"{HZ}-h", "CidrBlock": "10.3.2.0/24"}),
        (f"cen/{cen}/bandwidth-plans/purchase", {"Bandwidth": "10"}),
    ):
        assert bob.send(f"/console/{page}", form).status in (404, 422), page
    assert "joined" in inside.get(f"/console/cen/{cen}").text
    assert "10.3.1.0/24" in inside.get(f"/console/vpc/{vpc}").text


def test_no_value_of_a_field_is_a_defect(inside: Surfer, ann_user: Member) -> None:
    """What the forms carry in the address may be anything."""
    cen = Party(ann_user.tenant).cen()
    fields = {
        f"cen/{cen}/connect": (
            "RegionId", "Ownership", "VpcOwnerId", "VpcId", "PrimaryZone", "SecondaryZone", "poll",
        ),
        f"cen/{cen}/bandwidth-plans/purchase": ("GeographicRegionAId", "Bandwidth", "OrderTime"),
        f"cen/{cen}/connections/allocate": ("RegionId", "PeerRegionId", "BandwidthType"),
        f"cen/{cen}/topology": ("from", "to", "other"),
        "vpc/create": ("RegionId", "1.ZoneId", "CidrBlock"),
        "account/trail": ("ActionName", "Outcome", "StartTime", "page"),
    }  # fmt: skip
    given = {"RegionId": BJ, "Ownership": "cross", "VpcOwnerId": str(ann_user.uid)}
    for page, names in fields.items():
        known = {name: text for name, text in given.items() if name in names}
        for name in names:
            for text in ("-1", "9" * 30, "\0", '"><i id="x">'):
                query = urlencode({**known, name: text})
                reply = inside.get(f"/console/{page}?{query}")
                assert reply.status < 500, (page, name, text)
                assert '<i id="x">' not in reply.text, (page, name)


def test_headings_are_in_order_on_every_page(inside: Surfer, ann_user: Member) -> None:
    cen = Party(ann_user.tenant).cen()
    for page in ("cen", f"cen/{cen}", f"cen/{cen}/connections", "vpc", "account"):
        text = inside.get(f"/console/{page}").text
        levels = [int(part[0]) for part in text.split("<h")[1:] if part[0].isdigit()]
        assert levels.count(1) == 1 and levels[0] == 1, page
        assert all(b - a <= 1 for a, b in pairwise(levels)), page
