"""A source that cannot be made read-only: the switchover is forced from the console.

Meanwhile every page that links lead to is looked at, of both accounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from fix_console import Person
from landbridge.cli.demo.console.guide import Guide
from landbridge.console.nav import ROOT
from landbridge.console.table import PAGES
from test_console_procedure import Party, _party, _staged

#: What no link leads to here: somebody else who may sign in, findings that can be fixed, and what
#: the page of a dialog asks for.
_ELSEWHERE = {
    "/account/users/{user}/disable",
    "/rds/{id}/migration/assessments/{task}/fix",
    "/rds/{id}/migration/assessments/{task}/findings/{finding}/fix",
    "/rds/{id}/migration/tasks/{task}/evidence",
    "/rds/{id}/migration/tasks/{task}/switchover/readiness",
}
_ROUTES = [
    (re.compile(re.sub(r"\{\w+\}", "[^/]+", f"{ROOT}{page.path}")), page.path)
    for page in PAGES
    if page.show
]


def _route(address: str) -> str:
    """The path of the page that answers at an address; empty where none does."""
    path = address.partition("?")[0].partition("#")[0]
    return next((route for found, route in _ROUTES if found.fullmatch(path)), "")


def _look_around(person: Person, name: str) -> Iterator[str]:
    """Look at one page of each kind that can be come to by links; their routes."""
    links = f'a[href^="{ROOT}/"]:not([download])'
    seen, ahead = set(), [f"{ROOT}/"]
    while ahead:
        address = ahead.pop(0)
        route = _route(address)
        if route in seen:
            continue
        assert route, f"no page answers at {address}"
        person.page.goto(f"{person.url}{address}")
        person.look(f"every-{name}{route.replace('/', '-').replace('{', '').replace('}', '')}")
        seen.add(route)
        yield route
        ahead += person.page.locator(links).evaluate_all(
            "all => all.map((each) => each.getAttribute('href'))"
        )


def _force(page: Page, name: str) -> None:
    """Select all of it, and give the name to force it."""
    dialog = page.locator("dialog[open]")
    dialog.locator("#readiness .figures").wait_for(timeout=90_000)
    for box in dialog.locator("input[type=checkbox][required]").all():
        box.check()
    forced = dialog.locator("details#forced")
    if forced.get_attribute("open") is None:
        forced.locator("summary").click()
    forced.locator("#field-Force").check()
    forced.locator("#field-confirm").fill(name)
    dialog.get_by_role("button", name="Switch Now").click()


def _ready(party: Party) -> Guide:
    """The procedure until the destination follows."""
    a, b = (person.page for person in party.people.values())
    guide = Guide(party.stage, a, b)
    for step in guide.steps():
        if step.name == "3-8-increment":
            break
    return guide


@pytest.mark.slow
def test_a_switchover_is_forced_once_nobody_writes(chromium: Browser, without_proxy: None) -> None:
    with _staged("auto") as stage:
        party = _party(chromium, stage)
        _ready(party)
        bob = party.people["b"]
        task, name = bob.page.url, bob.page.locator("h1").inner_text()
        reached = {
            route for who, person in party.people.items() for route in _look_around(person, who)
        }
        assert {route for _, route in _ROUTES} - reached <= _ELSEWHERE

        bob.page.goto(task)
        bob.press("Switchover")
        _force(bob.page, "another name")
        bob.sees(f"Type {name} to force it; nothing was changed.")
        _force(bob.page, name)  # the application is there
        bob.sees("The latest switchover came to nothing", 90)
        expect(bob.page.locator("#switchover")).to_contain_text("Point of no return, not reached")
        assert "ForceSwitch" not in bob.page.locator("main").inner_text()

        stage.stop_application()
        bob.press("Switchover")
        _force(bob.page, name)
        bob.sees("Migrated.", 90)
        proofs = bob.page.locator("#proof li", has_text="The source refused writes")
        expect(proofs).to_contain_text("Not shown")
        bob.sees("Alarm: ")
        told = bob.page.locator("main").inner_text()
        assert "See that nobody writes: the source need not refuse it" in told
        assert "fence.unverified" not in told and "See that the source refuses writes" not in told
        bob.look("forced-result")
        proof = stage.prove()
        assert proof.is_clean and proof.acknowledged > 1000
        for person in party.people.values():
            person.page.context.close()
            assert person.troubles == []
