"""The console's demonstration from beginning to end."""

from __future__ import annotations

import os
import signal
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.text import Text

from ....errors import LandbridgeError
from ...interrupt import Interrupted
from ...output import Output
from ..check import outage, read_acknowledgements
from ..stages import stage as stage_of
from .guide import Guide, Shown, sign_in
from .stage import Stage

#: Where Debian's and others' packages have the browser.
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: Milliseconds between two actions of the guide, as a person makes them.
_PACE = 350
#: Seconds that a step stays on the screen.
_LOOK = 1.5


@dataclass(frozen=True)
class Wishes:
    """The options of the command."""

    guided: bool
    listen: str
    major: int | None
    output: Path


def run(wishes: Wishes, out: Output) -> int:
    """Build it, let somebody (or the guide) do the procedure, prove; the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if wishes.guided:
        _require_browser()  # before anything is built
    stage = Stage(major=wishes.major)
    try:
        _build(stage, wishes, out)
        if wishes.guided:
            _guide(stage, wishes, out)
        else:
            _leave_to_person(stage, out)
        return _prove(stage, out)
    except KeyboardInterrupt:
        raise Interrupted("interrupted", remedy="Everything of it is removed.") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # cleaning up is not interrupted
        with stage_of(out, "everything of it removed"):
            stage.remove()


def _build(stage: Stage, wishes: Wishes, out: Output) -> None:
    with stage_of(out, "a service with its console"):
        stage.start_service(wishes.listen)
        stage.add_accounts()
    with stage_of(out, "two accounts, two regions, an instance in each"):
        for name in stage.sites:
            stage.build(name)
        stage.await_instances()
    with stage_of(out, "data at the source, and an application that writes"):
        stage.start_application()
    out.show("", *_door(stage))


def _door(stage: Stage) -> Iterator[Text]:
    door = (f"{stage.url}/console/", "bold")
    yield Text.assemble("  ", door, "   sign in twice, in two profiles or browsers:")
    for site in stage.sites.values():
        yield Text.assemble(
            "    account ", (site.account, "bold"), "  user ", (site.user, "bold"),
            "  password ", (site.password.reveal(), "bold"), f"   UID {site.uid}",
        )  # fmt: skip
    source, destination = stage.source, stage.destination
    yield Text(
        f"  {source.account} owns the source {source.instance} at {source.address},"
        f" {destination.account} the empty {destination.instance}."
    )
    yield Text(f"  Next: as {destination.account}, open CEN and create a CEN instance.\n")


def _leave_to_person(stage: Stage, out: Output) -> None:
    """Until the application has moved, and the person has seen enough; Ctrl-C ends it."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(f"{stage.url}/console/")
    out.show("  Ctrl-C ends the demonstration and removes everything of it.", "")
    seen = False
    try:
        with _counting(stage, out) as count:
            while True:
                count()
                if stage.has_moved and not seen:
                    seen = True
                    out.show("  The application writes to the destination. Ctrl-C: the proof.")
                time.sleep(0.5)
    except KeyboardInterrupt:
        if not stage.has_moved:
            raise


@contextmanager
def _counting(stage: Stage, out: Output) -> Iterator[Callable[[], None]]:
    """A line that says what the application experiences, where a terminal can redraw it."""
    if not out.is_live:
        yield lambda: None
        return
    with out.console.status("") as line:

        def count() -> None:
            last = stage.acknowledged()
            where = stage.destination.account if stage.has_moved else stage.source.account
            line.update(
                f"application: {last.number:,} rows acknowledged, the last by {where}"
                if last
                else "application: starting"
            )

        yield count


def _require_browser() -> None:
    """LandbridgeError (demo.playwright, demo.chromium) where the guide has none to click in."""
    if find_spec("playwright") is None:
        raise LandbridgeError(
            "the guide needs the Python package playwright", id="demo.playwright",
            remedy="pip install playwright; it drives the system's own chromium.",
        )  # fmt: skip
    chromium()


def _guide(stage: Stage, wishes: Wishes, out: Output) -> None:
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), slow_mo=_PACE, headless=not os.environ.get("DISPLAY"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            env={**os.environ, "TMPDIR": str(stage.folder)},  # what it leaves goes with that
        )  # fmt: skip
        pages = []
        for site in stage.sites.values():
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(30_000)
            sign_in(page, stage.url, site)
            pages.append(page)
        a, b = pages
        try:
            for step in Guide(stage, a, b).steps():
                _show(step, wishes, out)
        except Error as problem:
            for name, page in (("a", a), ("b", b)):
                page.screenshot(path=wishes.output / f"failed-{name}.png", full_page=True)
            said = problem.message.partition("\n")[0]
            raise LandbridgeError(
                f"a page did not do what the guide expects: {said}",
                id="demo.guide", remedy=f"Pictures of both pages are in {wishes.output}.",
            ) from None  # fmt: skip
        browser.close()


def _show(step: Shown, wishes: Wishes, out: Output) -> None:
    wishes.output.mkdir(parents=True, exist_ok=True)
    step.page.bring_to_front()
    step.page.screenshot(path=wishes.output / f"{step.name}.png")
    out.show(f"  {step.words}")
    time.sleep(_LOOK)


def chromium() -> str:
    """The system's browser. LandbridgeError (demo.chromium) if there is none."""
    from shutil import which

    for name in _CHROMIUM:
        if found := which(name):
            return found
    raise LandbridgeError(
        "there is no chromium on this machine", id="demo.chromium",
        remedy="As root: apt-get install chromium fonts-dejavu-core",
    )  # fmt: skip


def _prove(stage: Stage, out: Output) -> int:
    """Every acknowledged row is looked for at the destination."""
    with stage_of(out, "looking for every acknowledged row"):
        found = stage.prove()
    gap = outage(read_acknowledgements(stage.acknowledged_file))
    result: dict[str, Any] = {
        "passed": found.is_clean,
        "acknowledged": found.acknowledged,
        "missing": len(found.missing),
        "duplicated": len(found.duplicated),
        "damaged": len(found.damaged),
        "outage_ms": None if gap is None else round(gap * 1000, 1),
    }
    style, words = (
        ("green", "Nothing was lost.") if found.is_clean else ("red", "Rows are missing.")
    )
    out.result(
        result,
        Text.assemble(
            "  ", (words, f"bold {style}"), f" {found.acknowledged:,} rows were acknowledged,"
            f" {len(found.missing)} of them are missing at the destination;"
            f" the application could not write for {result['outage_ms']} ms.",
        ),
    )  # fmt: skip
    return 0 if found.is_clean else 1
