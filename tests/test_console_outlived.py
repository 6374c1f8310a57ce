"""The service is killed while pages are open: each says so, keeps what was typed, and goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from fix_console import Person
from landbridge.cli.demo.console.guide import Guide, Shown
from landbridge.cli.demo.console.stage import Stage
from landbridge.migration.task import Tasks
from landbridge.postgres.process import wait_until
from test_console_procedure import Party, _party, _staged

#: Pages that are open while the service is killed: step of the procedure -> paths. A browser has
#: six connections, and each of these may take one.
_OPEN = {
    "1-7-topology": ("", "cen", "cen/{cen}", "rds"),
    "3-5-report": ("rds/{id}/migration", "rds/{id}/whitelist", "cen/{cen}/connections"),
    "3-7-copy": ("rds/{id}/migration/tasks", "rds/{id}"),
    "3-8-increment": ("", "vpc"),
    "3-12-result": ("rds/{id}/migration/tasks", "account/trail"),
}
#: Pages on which time goes on; of others the content is as it was.
_MOVING = ("topology", "connections", "tasks", "trail")


@dataclass
class Killer:
    """Kills the service of a stage in the middle of it all, and starts it again."""

    stage: Stage
    party: Party
    guide: Guide
    killed: list[str] = field(default_factory=list)

    @property
    def people(self) -> list[Person]:
        return list(self.party.people.values())

    @contextmanager
    def away(self, *pages: Page) -> Iterator[None]:
        """All the while it is away; every page has said so at the beginning, and is back after."""
        self.kill()
        for page in pages:
            page.bring_to_front()
            page.locator("body.away").wait_for(timeout=60_000)
        yield
        self.start()
        for page in pages:
            page.bring_to_front()
            expect(page.locator("body.away")).to_have_count(0, timeout=60_000)

    def kill(self) -> None:
        assert self.stage._service is not None
        with self.stage._service as process:
            process.kill()

    def start(self) -> None:
        self.stage.start_service(self.stage.url.partition("//")[2])

    def after(self, step: Shown) -> None:
        self.killed.append(step.name)
        if step.name in _OPEN:
            self._pages_come_back(step.page, _OPEN[step.name])
        elif step.name == "1-1-create-cen":
            self._a_dialog_keeps_what_was_typed(step.page)
        elif step.name == "3-4-start":
            self._the_wizard_keeps_what_was_typed(step.page)
        elif step.name == "3-11-switchover":
            threading.Thread(target=self._kill_within_the_switchover, daemon=True).start()
        else:
            self.killed.pop()

    def _pages_come_back(self, own: Page, paths: tuple[str, ...]) -> None:
        known = {"cen": self.guide.cen, "id": self.stage.destination.instance}
        tabs = [own]
        for path in paths:
            tabs.append(own.context.new_page())
            tabs[-1].goto(f"{self.stage.url}/console/{path.format(**known)}")
        still = [t for t in tabs if not t.url.endswith(_MOVING) and "/tasks/" not in t.url]
        before = [_text(tab) for tab in still]
        with self.away(*tabs):
            assert [_text(tab) for tab in still] == before
            assert all(_text(tab) for tab in tabs)
        assert [_text(tab) for tab in still] == before
        for tab in still:
            tab.reload()
        assert [_text(tab) for tab in still] == before
        for tab in tabs[1:]:
            tab.close()
        own.bring_to_front()

    def _a_dialog_keeps_what_was_typed(self, page: Page) -> None:
        name = page.locator("dialog[open] #field-Name")
        with self.away(page):
            page.locator("dialog[open]").get_by_role("button", name="OK").click()
            expect(page.locator("#said")).to_have_text(
                "The service does not answer; nothing was sent."
            )
        expect(name).to_have_value("migration")

    def _the_wizard_keeps_what_was_typed(self, page: Page) -> None:
        fields = page.locator("main form :is(input, select):not([type=hidden])")
        typed = fields.evaluate_all("all => all.map((each) => each.value)")
        assert self.guide.password.reveal() in typed
        with self.away(page):
            page.get_by_role("button", name="Create Feasibility Assessment Task").click()
            expect(page.locator("#said")).to_have_text(
                "The service does not answer; nothing was sent."
            )
        assert fields.evaluate_all("all => all.map((each) => each.value)") == typed

    def _kill_within_the_switchover(self) -> None:
        """As soon as the source is seen to refuse writes; the switchover goes on by itself."""
        (task,) = Tasks(self.stage.state / "cloud").all()
        wait_until(lambda: any(e.get("name") == "fenced" for e in task.journal.entries()), 90, 0.01)
        self.kill()
        time.sleep(1)
        self.start()


def _text(page: Page) -> str:
    return page.locator("main").inner_text()


@pytest.mark.slow
def test_every_page_outlives_its_service(chromium: Browser, without_proxy: None) -> None:
    """And what was begun goes on while it is away, also a switchover."""
    with _staged("auto") as stage:
        party = _party(chromium, stage)
        a, b = (person.page for person in party.people.values())
        guide = Guide(stage, a, b)
        killer = Killer(stage, party, guide)
        for step in guide.steps():
            killer.after(step)
        assert killer.killed == [
            "1-1-create-cen", "1-7-topology", "3-4-start", "3-5-report", "3-7-copy",
            "3-8-increment", "3-11-switchover", "3-12-result",
        ]  # fmt: skip
        assert wait_until(lambda: stage.has_moved, 90)
        assert stage.prove().is_clean
        for person in killer.people:
            person.page.context.close()
            assert [t for t in person.troubles if "net::ERR_" not in t] == []
