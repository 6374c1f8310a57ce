"""The whole procedure by clicks of A and B in the console, on real servers under load.

With LANDBRIDGE_PICTURES=FOLDER a picture of each step is kept there, as docs/console.md shows it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fix_api import Tenant
from fix_console import PICTURES, Member, Person, Surfer, with_browser
from fix_html import Plain
from landbridge.cli.demo.console.guide import Guide, Shown
from landbridge.cli.demo.console.stage import Stage
from landbridge.migration.evidence.steps import between
from landbridge.postgres.process import wait_until
from landbridge.postgres.units import milliseconds

#: Steps that are looked at on a narrow screen, too.
_NARROW = ("1-3-connect-source", "2-1-whitelist", "3-5-report", "3-8-increment", "3-12-result")
#: Step -> whose home is looked at before it is carried out, and what the next step is there.
_NEXT = {
    "1-1-create-cen": ("b", "Create a CEN instance"),
    "1-2-grant": ("a", "Create a CEN instance"),
    "1-3-connect-source": ("b", "Connect the VPCs of source and destination"),
    "1-5-purchase-plan": (
        "b", "In two regions: purchase a bandwidth plan and allocate bandwidth",
    ),
    "1-7-topology": ("b", "Assess the feasibility"),
    "2-1-whitelist": ("a", "Add the CIDR block of the other VPC to its whitelist"),
    "2-2-account": ("a", None),  # who made the tables is a privileged account
    "3-6-create-task": ("b", "Migrate, and switch over"),
    "3-12-result": ("b", None),
}  # fmt: skip
_NETWORKS = [
    "auto",
    pytest.param(
        "relay",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(shutil.which("ip") is None, reason="auto is relay here"),
        ],
    ),
]


@contextmanager
def _staged(network: str) -> Iterator[Stage]:
    stage = Stage(network)
    try:
        stage.start_service("127.0.0.1:0")
        stage.add_accounts()
        for name in stage.sites:
            stage.build(name)
        stage.await_instances()
        stage.start_application()
        yield stage
    finally:
        stage.remove()


@dataclass
class Party:
    """The two people, each with a browser and with a client that has none."""

    stage: Stage
    people: dict[str, Person]
    surfers: dict[str, Surfer]

    def after(self, step: Shown) -> None:
        """Look at a step, and do what is tried in the middle of it."""
        name, person = next((n, p) for n, p in self.people.items() if p.page is step.page)
        if step.name == "3-7-copy":
            step.page.locator(":is(.progress, .curve)").first.wait_for(timeout=90_000)
        _keep(step)
        plain = self.surfers[name].get(step.page.url.removeprefix(self.stage.url))
        assert Plain(plain.text).troubles == [], step.name
        person.look(step.name, wide_only=step.name not in _NARROW)
        if step.name in _NEXT:
            self._see_home(*_NEXT[step.name])
        if step.name == "1-7-topology":
            self._a_packet_is_tried(step.page.url.removeprefix(self.stage.url))
        if step.name == "3-7-copy":
            self._the_service_is_killed()
        if step.name == "3-8-increment":
            assert "is ready to switch over" in self.surfers["b"].get("/console/").text
            self._without_scripts()
        if step.name == "3-12-result":
            self._the_evidence_is_downloaded(step.page)

    def _a_packet_is_tried(self, topology: str) -> None:
        """To the other account's instance, by its address alone."""
        source, asked = self.stage.source, f"{topology}?from={self.stage.destination.instance}"
        text = self.surfers["b"].get(f"{asked}&to=other&other={source.address}").text
        assert f"hitelist of {source.address} lacks" in text and source.instance not in text
        nobody = self.surfers["b"].get(f"{asked}&to=other&other=10.10.9.9").text
        assert 'id="field-other-error">There is no 10.10.9.9.' in nobody

    def _see_home(self, whose: str, following: str | None) -> None:
        text = self.surfers[whose].get("/console/").text
        found = re.search(
            r'<li aria-current="step"><a href="[^"]*">([^<]*)', text.split("<details")[0]
        )
        assert (found and found[1]) == following, text
        assert following is not None or "All of it is done." in text

    def _the_service_is_killed(self) -> None:
        """Two tabs say so, and both go on by themselves."""
        page = self.people["b"].page
        tabs = [page, page.context.new_page()]
        tabs[1].goto(page.url)
        assert self.stage._service is not None
        with self.stage._service as process:
            process.kill()
        for tab in tabs:
            tab.locator("body.away").wait_for(timeout=60_000)
            said = tab.evaluate(
                "getComputedStyle(document.querySelector('.bar'), '::after').content"
            )
            assert "Connection lost, trying again" in said
        self.stage.start_service(self.stage.url.partition("//")[2])
        for tab in tabs:
            expect(tab.locator("body.away")).to_have_count(0, timeout=60_000)
            tab.get_by_text("Ready to switch").first.wait_for(timeout=90_000)
        tabs[1].reload()
        tabs[1].get_by_text("Ready to switch").first.wait_for()
        tabs[1].close()
        for person in self.people.values():
            person.troubles[:] = [t for t in person.troubles if "net::ERR_" not in t]

    def _without_scripts(self) -> None:
        """Pages are read and a form is sent."""
        browser = self.people["a"].page.context.browser
        assert browser is not None
        kept = self.people["b"].page.context.storage_state()
        bob = browser.new_context(java_script_enabled=False, storage_state=kept).new_page()
        bob.goto(self.people["b"].page.url)
        expect(bob.get_by_text("The destination replays the source")).to_be_visible()
        bob.get_by_role("link", name="Switchover").click()
        expect(bob.get_by_text("predicted write outage")).to_be_visible()
        bob.get_by_role("button", name="Switch Now").click()
        expect(bob.get_by_text("Select this check box to go on.")).to_have_count(
            bob.locator("input[type=checkbox][required]").count()
        )
        bob.context.close()
        kept = self.people["a"].page.context.storage_state()
        ann = browser.new_context(java_script_enabled=False, storage_state=kept).new_page()
        ann.goto(f"{self.stage.url}/console/rds/{self.stage.source.instance}")
        ann.get_by_role("link", name="Edit name").click()
        ann.fill("#field-DBInstanceDescription", "shop, the source")
        ann.get_by_role("button", name="OK").click()
        expect(ann.get_by_role("heading", name="shop, the source")).to_be_visible()
        ann.context.close()

    def _the_evidence_is_downloaded(self, page: Page) -> None:
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the evidence").click()
        evidence = json.loads(Path(download.value.path()).read_text())
        assert evidence["diverged"] == [] and evidence["switchover"]["write_outage_ms"] > 0
        assert re.search("Point of no return, passed at", page.locator("#switchover").inner_text())
        moved = evidence["switchover"]
        told = page.locator("#switchover tr", has_text="Promote: the").locator("td").last
        took = between(moved["undo_possible_until"], moved["promoted"]) or 0
        # The API tells tenths.
        assert told.inner_text() == milliseconds(round(took * 1000, 1))


def _keep(step: Shown) -> None:
    """The picture of a step for the documentation; not all colours, which makes it small."""
    if folder := os.environ.get("LANDBRIDGE_PICTURES"):
        from PIL import Image

        taken = Image.open(BytesIO(step.page.screenshot())).convert("RGB")
        small = taken.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(Path(folder) / f"{step.name}.png", optimize=True)


def _party(chromium: Browser, stage: Stage) -> Party:
    people, surfers = {}, {}
    for name, site in stage.sites.items():
        surfer = surfers[name] = Surfer(stage.url.partition("//")[2])
        who = {"account": site.account, "user": site.user, "password": site.password.reveal()}
        assert surfer.send("/console/sign-in", who).status == 303
        tenant = Tenant(surfer.endpoint, site.uid, site.key.key_id, "")
        people[name] = with_browser(chromium, surfer, Member(tenant, site.account, site.user))
    return Party(stage, people, surfers)


def _by_keyboard(page: Page, url: str) -> None:
    """A dialog is opened, filled in, refused and left; the focus is where one looks."""
    page.goto(f"{url}/console/cen")
    focused = "document.activeElement.textContent.trim()"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "Create CEN Instance":
            break
    page.keyboard.press("Enter")
    page.locator("dialog[open] #field-Name:focus").wait_for()
    page.keyboard.type("1")
    page.keyboard.press("Tab")
    page.locator("dialog[open] #field-Description:focus").wait_for()
    page.keyboard.press("Enter" if page.evaluate(
        "document.activeElement.tagName === 'INPUT'") else "Tab")  # fmt: skip
    if not page.locator("#field-Name-error:visible").count():
        page.locator("dialog[open] button[type=submit]").press("Enter")
    page.locator("dialog[open] #field-Name[aria-invalid=true]:focus").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert page.evaluate(focused) == "Create CEN Instance"


@pytest.mark.parametrize("network", _NETWORKS)
def test_two_people_move_a_cluster_by_clicks(
    network: str, chromium: Browser, without_proxy: None
) -> None:
    with _staged(network) as stage:
        party = _party(chromium, stage)
        a, b = (person.page for person in party.people.values())
        _by_keyboard(b, stage.url)
        try:
            for step in Guide(stage, a, b).steps():
                party.after(step)
        except Exception:
            for name, page in (("a", a), ("b", b)):
                page.screenshot(path=PICTURES / f"failed-{name}.png", full_page=True)
            raise
        assert wait_until(lambda: stage.has_moved, 90)
        proof = stage.prove()
        assert proof.is_clean and proof.acknowledged > 1000
        for person in party.people.values():
            person.page.context.close()
            assert person.troubles == []
