"""The whole procedure in the console by the keyboard alone: no mouse, no focus set by a script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from landbridge.cli.demo.console.guide import Guide, Hand, Shown
from landbridge.postgres.process import wait_until
from test_console_procedure import _party, _staged

#: Presses of Tab within which everything on a page is found.
_MOST = 200
_IS_FOCUSED = "each => each === document.activeElement"
_INSIDE = """() => document.activeElement === document.body
    || document.getElementById('dialog').contains(document.activeElement)"""


class Keyboard(Hand):
    """Goes to things with Tab, and acts with Enter, Space, arrows and letters."""

    def reach(self, thing: Any, focused: str = _IS_FOCUSED) -> None:
        """Press Tab until the thing has the focus; in a dialog the focus stays in it."""
        thing.wait_for()
        page: Page = thing.page
        in_dialog = thing.evaluate("each => each.closest('dialog') !== null")
        for _ in range(_MOST):
            if thing.evaluate(focused):
                return
            page.keyboard.press("Tab")
            assert not in_dialog or page.evaluate(_INSIDE), "the focus has left the dialog"
        raise AssertionError(f"Tab does not lead to {thing}")

    def click(self, thing: Any) -> None:
        self.reach(thing)
        thing.page.keyboard.press("Enter")

    def type(self, field: Any, text: str) -> None:
        self.reach(field)
        field.page.keyboard.press("Control+a")
        field.page.keyboard.type(text)

    def check(self, box: Any) -> None:
        if box.get_attribute("type") == "checkbox":
            self.reach(box)
            box.page.keyboard.press("Space")
        else:  # of several Tab leads to the one that is selected
            self.reach(box, "each => each.name === document.activeElement.name")
            for _ in range(4):
                if not box.is_checked():
                    box.page.keyboard.press("ArrowDown")
        expect(box).to_be_checked()

    def select(self, field: Any, value: str) -> None:
        self.reach(field)
        label = field.locator(f"option[value='{value}']").inner_text()
        field.page.keyboard.type(label)
        expect(field).to_have_value(value)


def _leave(page: Page, hand: Keyboard, name: str) -> None:
    """Open a dialog, leave it with Escape: the focus is where it was."""
    hand.press(page, name)
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert page.evaluate("document.activeElement.textContent.trim()") == name


def _after(step: Shown, hand: Keyboard) -> None:
    if step.name == "3-8-increment":
        for name in ("Cancel", "Switchover"):
            _leave(step.page, hand, name)


@pytest.mark.slow
def test_the_procedure_needs_no_mouse(chromium: Browser, without_proxy: None) -> None:
    with _staged("auto") as stage:
        party = _party(chromium, stage)
        a, b = (person.page for person in party.people.values())
        hand = Keyboard()
        for step in Guide(stage, a, b, hand=hand).steps():
            _after(step, hand)
        assert wait_until(lambda: stage.has_moved, 90)
        assert stage.prove().is_clean
        for person in party.people.values():
            person.page.context.close()
            assert person.troubles == []
