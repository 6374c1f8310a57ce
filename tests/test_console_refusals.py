"""What the procedure refuses, said on the console's pages: over one pair of real instances."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from fix_api import Running
from fix_console import PASSWORD as SIGN_IN
from fix_console import Member, Surfer, member
from fix_migration import MOVER, PASSWORD, Site, Two, two_sites
from fix_party import BJ, HZ, Party
from fix_servers import majors
from landbridge.cloud import Cloud, Secret, accounts, users
from landbridge.cloud.instances.homes import Homes
from landbridge.cloud.instances.tables import DBInstance
from landbridge.postgres.distribution import find
from landbridge.postgres.process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
                patch.delenv(name)
        with two_sites("--network", "relay") as made:
            yield made


def _signed_in(two: Two, site: Site) -> Surfer:
    cloud = Cloud.open(two.state)
    with cloud.database.write() as session:
        account = accounts.find(session, str(site.tenant.uid))
        users.create(session, account, "person", Secret(SIGN_IN))
        name = account.name
    cloud.close()
    surfer = Surfer(two.running.endpoint)
    assert surfer.sign_in(Member(site.tenant, name, "person")).status == 303
    return surfer


class Destination:
    """The pages of a destination."""

    def __init__(self, two: Two, surfer: Surfer, id: str) -> None:
        self.two, self.surfer, self.at = two, surfer, f"/console/rds/{id}/migration"

    def source(self, **other: str) -> dict[str, str]:
        address, port = self.two.a.address()
        return {
            "source": "aliyunRDS", "step": "4", "TaskName": "", "SourceIpAddress": address,
            "SourcePort": str(port), "SourceAccount": MOVER, "SourcePassword": PASSWORD, **other,
        }  # fmt: skip

    def refused(self, field: str, **other: str) -> str:
        """What is said beside a field of the assessment's form."""
        reply = self.surfer.send(f"{self.at}/assess", self.source(**other))
        return said(reply.status, reply.text, field)

    def unfit(self) -> str:
        """What the wizard says of the destination, where it does not lead further."""
        page = self.surfer.get(f"{self.at}/assess?step=2").text
        assert "This instance cannot be a destination." in page and 'value="3"' not in page
        return page

    def report(self, **other: str) -> str:
        """The page of a new assessment's report."""
        made = self.surfer.send(f"{self.at}/assess", self.source(**other))
        assert made.status == 303, made.text
        listed = self.surfer.get(self.at).text
        path = re.findall(rf'href="({self.at}/assessments/\d+)"', listed)[0]

        def text() -> str:
            return unescape(self.surfer.get(path).text)

        assert wait_until(lambda: "is being looked at" not in text(), 90, 0.2)
        self.last = path
        return text()


def said(status: int, text: str, field: str) -> str:
    """What stands beside a field of a form that was refused."""
    mark = f'id="field-{field}-error">' if field else '<div class="note bad" role="alert"><p>'
    assert status == 422 and mark in text, (status, text)
    return unescape(text.partition(mark)[2].partition("<")[0])


@pytest.mark.slow
def test_what_an_assessment_and_a_migration_refuse(two: Two) -> None:
    bob = _signed_in(two, two.b)
    there = Destination(two, bob, two.b.id)
    _the_checklist_is_asked_for(there)
    assert there.refused("SourcePassword", SourcePassword="").startswith("Password ")
    there.refused("SourcePort", SourcePort="70000")
    there.refused("SourceIpAddress", SourceIpAddress="")
    tested = bob.send(f"{there.at}/assess", there.source(test="true", SourcePassword="wrong"))
    assert "cannot be migrated like this yet" in tested.text and "whitelist" in tested.text

    page = there.report()
    assert "The migration cannot begin yet." in page and "whitelist" in page
    assert PASSWORD not in page
    none = bob.send(f"{there.at}/create", {"assessment": "", "SourcePassword": PASSWORD})
    assert said(none.status, none.text, "assessment") == "Choose an assessment that was successful."
    two.a.admit(two.b.cidr)

    with two.server(two.b) as conn:
        conn.execute("CREATE TABLE mine AS SELECT 1 AS n")
    with _bulk(two):
        page = there.report()
    assert "databases or tables of its own: table public.mine in postgres." in page
    assert "GB of data, the destination 20 GB of storage" in page
    with two.server(two.b) as conn:
        conn.execute("DROP TABLE mine")
        conn.execute("CHECKPOINT")  # until then its file stays
    again = bob.send(f"{there.last}/again", {"SourcePassword": ""})
    said(again.status, again.text, "SourcePassword")
    assert bob.send(f"{there.last}/again", {"SourcePassword": PASSWORD}).status == 303
    assert wait_until(lambda: "The migration can begin." in bob.get(there.last).text, 90, 0.2), (
        re.sub(r"<[^>]*>", " ", bob.get(there.last).text)
    )
    _migrate(two, bob, there)


def _the_checklist_is_asked_for(there: Destination) -> None:
    asked = there.surfer.get(f"{there.at}/assess?source=aliyunRDS&step=4&network=true").text
    assert "Select every item to go on" in asked and "SourcePassword" not in asked


@contextmanager
def _bulk(two: Two) -> Iterator[None]:
    """A source that is larger than its destination: by a file that takes no room."""
    with two.stored() as (cloud, session):
        row = session.get_one(DBInstance, two.a.id)
        data = Homes.of(cloud).found(row.id, row.number).data
    with two.server(two.a) as conn:
        (path,) = conn.execute("SELECT pg_relation_filepath('orders')").fetchone() or ("",)
    file = Path(data, path).with_name("999999")
    file.touch(0o600)
    try:
        os.truncate(file, 21 << 30)
        yield
    finally:
        file.unlink()


def _migrate(two: Two, bob: Surfer, there: Destination) -> None:
    """Once at a time, by its stages, with everything confirmed, by its name."""
    number = there.last.rpartition("/")[2]
    form = {"assessment": number, "SourcePassword": PASSWORD, "TaskName": "moving"}
    blank = bob.send(f"{there.at}/create", {**form, "SourcePassword": ""})
    said(blank.status, blank.text, "SourcePassword")
    wrong = bob.send(f"{there.at}/create", {**form, "SourcePassword": "wrong"})
    told = said(wrong.status, wrong.text, "SourcePassword")
    assert "authentication failed" in told and "(Accounts, Reset Password)" in told
    begun = bob.send(f"{there.at}/create", form)
    assert begun.status == 303, begun.text
    task = begun.location
    second = bob.send(f"{there.at}/create", form)
    assert "Migrating Data In" in said(second.status, second.text, "")
    page = bob.get(f"{task}/switchover").text
    confirmed = re.findall(r'type="checkbox" value="true" id="field-(\w+)"[^>]* required', page)
    assert len(confirmed) == 3 and 'name="TimeLimit" ' in page, page
    every = dict.fromkeys(confirmed, "true") | {"TimeLimit": "60"}
    early = bob.send(f"{task}/switchover", every)
    assert "begins in the incremental synchronization" in said(early.status, early.text, "")

    assert wait_until(lambda: "Ready to switch" in bob.get(task).text, 90, 0.2), bob.get(task).text
    for name in confirmed:
        missing = bob.send(f"{task}/switchover", {**every, name: ""})
        assert said(missing.status, missing.text, name) == "Select this check box to go on."
    for limit in ("", "0", "3601", "soon"):
        missing = bob.send(f"{task}/switchover", {**every, "TimeLimit": limit})
        assert said(missing.status, missing.text, "TimeLimit"), limit
    forced = bob.send(f"{task}/switchover", {**every, "Force": "true", "confirm": "another"})
    assert said(forced.status, forced.text, "confirm").startswith("Type moving to force it")
    wrong = bob.send(f"{task}/cancel", {"confirm": "another"})
    assert wrong.status == 422 and 'id="field-confirm-error"' in wrong.text
    assert bob.send(f"{task}/delete", {"confirm": "moving"}).status == 422
    assert bob.send(f"{task}/cancel", {"confirm": "moving"}).status == 303
    assert wait_until(lambda: "Cancelled" in bob.get(task).text, 60, 0.2), bob.get(task).text
    closing = f"{task}/close", {"confirm": "moving"}  # refused until all is put back
    assert wait_until(lambda: bob.send(*closing).status == 303, 30, 0.2)
    assert "1 closed task" in bob.get(f"{there.at}/tasks").text
    assert bob.send(f"{task}/delete", {"confirm": "moving"}).status == 303
    assert "No migration yet." in bob.get(f"{there.at}/tasks").text


@pytest.mark.slow
def test_destinations_that_do_not_fit(two: Two) -> None:
    """Local disks, another major version, a read-only instance, one that has such."""
    bob = _with_key(two, two.b)
    local = two.b.order(dbinstance_storage_type="local_ssd")
    replace(two.b, id=local).until("Running")
    there = Destination(two, bob, local)
    assert "It has local disks" in there.unfit()
    assert "has local disks; a migration needs cloud disks" in there.refused("")

    copying = [m for m in majors() if m != two.major and "pg_basebackup" in find(m).tools]
    if not copying:
        pytest.skip("no other major version with pg_basebackup")
    another = two.b.order(engine_version=f"{copying[0]}.0")
    replace(two.b, id=another).until("Running")
    two.a.admit(two.b.cidr)
    there = Destination(two, bob, another)
    page = there.report()
    assert "The migration cannot begin yet." in page and "Major version</h2>" in page
    replace(two.b, id=another).until("Running")
    reader = two.b.rds(
        "CreateReadOnlyDBInstance", region_id=HZ, dbinstance_id=another, zone_id=f"{HZ}-h",
        dbinstance_class="pg.n2.1c.1m", dbinstance_storage=20, pay_type="Postpaid",
        engine_version=f"{copying[0]}.0", category="Basic",
    ).dbinstance_id  # fmt: skip
    assert "It has read-only instances" in there.unfit()
    there = Destination(two, bob, reader)
    assert "It is a read-only instance" in there.unfit()
    assert "is read-only; a migration needs a primary instance" in there.refused("")


def _with_key(two: Two, site: Site) -> Surfer:
    surfer = Surfer(two.running.endpoint)
    given = {"key": site.tenant.key_id, "secret": site.tenant.secret}
    assert surfer.send("/console/sign-in", given).status == 303
    surfer.get("/console/")
    return surfer


def test_networks_that_cannot_be_joined(service: Running) -> None:
    """Overlapping blocks, an account that is none, Platinum on a plan, another area."""
    who = member(service, "ann")
    surfer, party = Surfer(service.endpoint), Party(who.tenant)
    assert surfer.sign_in(who).status == 303
    cen, first, second = party.cen(), party.network(HZ, "10.1"), party.network(HZ, "10.1")
    party.attach(cen, HZ, first)
    at = f"/console/cen/{cen}"
    form = {
        "RegionId": HZ, "Ownership": "same", "PrimaryZone": f"{HZ}-h", "VpcId": second[0],
        "PrimaryVSwitch": second[1][0].v_switch_id,
    }  # fmt: skip
    refused = surfer.send(f"{at}/connect", form)
    assert "10.1.0.0/16" in said(refused.status, refused.text, "VpcId")
    for uid in ("12", "1234567890123456"):
        page = surfer.get(f"{at}/connect?RegionId={HZ}&Ownership=cross&VpcOwnerId={uid}").text
        assert "has not granted" in page or "16 digits" in page
        given = surfer.send(
            f"/console/vpc/{second[0]}/authorization/give",
            {"CenId": cen, "CenOwnerId": uid, "OrderType": "PayByCenOwner"},
        )
        assert f"has no CEN {cen}" in said(given.status, given.text, "CenId")
    party.attach(cen, BJ, party.network(BJ, "10.2"))
    order = {"RegionId": HZ, "PeerRegionId": BJ, "BandwidthType": "BandwidthPackage",
             "Bandwidth": "2", "CenBandwidthPackageId": ""}  # fmt: skip
    missing = surfer.send(f"{at}/connections/allocate", order)
    said(missing.status, missing.text, "CenBandwidthPackageId")
    bought = surfer.send(f"{at}/bandwidth-plans/purchase", {
        "GeographicRegionAId": "China", "GeographicRegionBId": "China", "Bandwidth": "2",
        "OrderTime": "1m", "agreed-2000": "true",
    })  # fmt: skip
    plans = surfer.get(bought.location).text
    (plan,) = set(re.findall(r"cenbwp-\w+", plans))
    assert "area" not in surfer.get(f"{at}/bandwidth-plans/{plan}/bandwidth").text.lower()
    order |= {"CenBandwidthPackageId": plan, "DefaultLinkType": "Platinum"}
    platinum = surfer.send(f"{at}/connections/allocate", order)
    assert "Gold only" in said(platinum.status, platinum.text, "DefaultLinkType")
