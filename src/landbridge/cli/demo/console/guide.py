"""The cross-account procedure, carried out by clicks in the console by account A and account B.

The steps are those of the vendor's page, in its order and its words. `Guide` drives two browser
pages (Playwright); whoever calls it may look at every step and take pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ....cloud import Secret, users
from ....postgres.process import wait_until
from .stage import Site, Stage

MIGRATOR = "migrator"
_BANDWIDTH = "200"
#: Milliseconds that a step of the service may take.
_PATIENCE = 90_000


@dataclass(frozen=True)
class Shown:
    """One step that was carried out."""

    name: str
    """Of its picture, like `1-1-create-cen`."""
    words: str
    page: Any
    """The browser page to look at."""


class Hand:
    """How the guide acts on a page: with a mouse."""

    def press(self, page: Any, name: str) -> None:
        """Press the button, or follow the link, of this name; in the dialog if one is open."""
        dialog = page.locator("dialog[open]")
        place = dialog if dialog.count() else page.locator("main")
        button = place.get_by_role("button", name=name, exact=True)
        self.click(button.or_(place.get_by_role("link", name=name, exact=True)).first)

    def click(self, thing: Any) -> None:
        """Press what was found."""
        thing.click()

    def fill(self, page: Any, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, text in fields.items():
            self.type(page.locator(f"#field-{name}").last, text)

    def type(self, field: Any, text: str) -> None:
        """Replace what stands in a field."""
        field.fill(text)

    def check(self, box: Any) -> None:
        """Select a check box, or one of several."""
        box.check()

    def choose(self, page: Any, name: str, value: str) -> None:
        """Choose in a list; the form may be asked for again, and has it chosen then."""
        field = page.locator(f"#field-{name}").last
        field.locator(f"option[value='{value}']").wait_for(state="attached", timeout=_PATIENCE)
        self.select(field, value)
        page.wait_for_timeout(300)
        page.locator(f"#field-{name}").last.wait_for()

    def select(self, field: Any, value: str) -> None:
        """Choose this value of a list."""
        field.select_option(value)


@dataclass
class Guide:
    """Carries the procedure out; `steps` yields after each step, the page as it then is."""

    stage: Stage
    a: Any
    """The browser page of account A; already signed in, like that of B."""
    b: Any
    password: Secret = field(default_factory=lambda: Secret(users.new_password().reveal() + "+Aa1"))
    cen: str = ""
    pause: Callable[[], None] = lambda: None
    """Called before what a viewer should see."""
    hand: Hand = field(default_factory=Hand)

    def steps(self) -> Iterator[Shown]:
        """The whole procedure."""
        yield from self._join()
        yield from self._prepare_source()
        yield from self._assess()
        yield from self._migrate()
        yield from self._switch_over()

    # Step 1: in account B, a CEN.

    def _join(self) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen")
        self.hand.press(b, "Create CEN Instance")
        self.hand.fill(b, Name="migration", Description="From account A to account B")
        yield Shown("1-1-create-cen", "B: Create CEN Instance", b)
        self.hand.press(b, "OK")
        b.wait_for_url(re.compile(r"/cen/cen-\w+$"))
        self.cen = b.url.rpartition("/")[2]
        _see(b, "Active")
        yield from self._grant()
        for site, ownership in ((self.stage.source, "Cross"), (self.stage.destination, "Same")):
            yield from self._connect(site, ownership)
        yield from self._buy()
        yield from self._allocate()

    def _grant(self) -> Iterator[Shown]:
        a = self.a
        self._open(a, "vpc", self.stage.source.vpc, "authorization")
        self.hand.press(a, "Authorize Cross Account Attach CEN")
        self.hand.fill(a, CenId=self.cen, CenOwnerId=str(self.stage.destination.uid))
        yield Shown("1-2-grant", "A: grants its VPC to B's CEN", a)
        self.hand.press(a, "OK")
        a.locator("tbody").get_by_text(self.cen).wait_for()

    def _connect(self, site: Site, ownership: str) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "connect")
        self.hand.choose(b, "RegionId", site.region)
        self.hand.choose(b, "PrimaryZone", site.zones[0])
        self.hand.choose(b, "SecondaryZone", site.zones[1])
        if ownership == "Cross":
            self.hand.check(b.locator("input[name=Ownership][value=cross]"))
            b.locator("#field-VpcOwnerId").wait_for()
            self.hand.fill(b, VpcOwnerId=str(site.uid))
            b.locator("#field-VpcOwnerId").press("Tab")
        self.hand.choose(b, "VpcId", site.vpc)
        b.locator("#field-SecondaryVSwitch").wait_for()
        self.hand.fill(b, TransitRouterAttachmentName=f"to-{site.account}")
        name = "1-3-connect-source" if ownership == "Cross" else "1-4-connect-destination"
        yield Shown(name, f"B: Connect Network Instance, the VPC of {site.account}", b)
        self.hand.press(b, "Create")
        b.locator("tr", has_text=site.vpc).get_by_text("Attached", exact=True).wait_for(
            timeout=_PATIENCE
        )

    def _buy(self) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "bandwidth-plans")
        self.hand.press(b, "Purchase Bandwidth Plan (Subscription)")
        self.hand.fill(b, Bandwidth=_BANDWIDTH, Name="plan")
        b.wait_for_url(f"**Bandwidth={_BANDWIDTH}*")  # the price is of what was entered
        self.hand.check(b.get_by_label("Buy it for"))
        yield Shown("1-5-purchase-plan", "B: purchases a bandwidth plan", b)
        self.hand.press(b, "Buy Now")
        b.locator("tr", has_text="plan").first.wait_for(timeout=_PATIENCE)

    def _allocate(self) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "bandwidth-plans")
        self.hand.press(b, "Allocate Bandwidth for Inter-region Communication")
        self.hand.choose(b, "RegionId", self.stage.source.region)
        self.hand.choose(b, "PeerRegionId", self.stage.destination.region)
        b.locator("#field-CenBandwidthPackageId").wait_for()
        plan = b.locator("#field-CenBandwidthPackageId option:not([disabled])").nth(1)
        if not b.locator("#field-CenBandwidthPackageId").input_value():
            self.hand.choose(b, "CenBandwidthPackageId", plan.get_attribute("value"))
        self.hand.fill(b, Bandwidth=_BANDWIDTH)
        yield Shown("1-6-allocate", "B: allocates bandwidth between the two regions", b)
        self.hand.press(b, "OK")
        b.get_by_text("Attached", exact=True).first.wait_for(timeout=_PATIENCE)
        self._open(b, "cen", self.cen, "topology")
        yield Shown("1-7-topology", "B: the two networks are joined", b)

    # Step 2: in account A, the source.

    def _prepare_source(self) -> Iterator[Shown]:
        a, source = self.a, self.stage.source.instance
        self._open(a, "rds", source, "whitelist")
        self.hand.press(a, "Create Whitelist")
        self.hand.fill(
            a, DBInstanceIPArrayName="migration", SecurityIps=self.stage.destination.cidr
        )
        yield Shown("2-1-whitelist", "A: the whitelist of the source admits B's VPC", a)
        self.hand.press(a, "OK")
        _see(a, self.stage.destination.cidr)
        self._open(a, "rds", source, "accounts")
        self.hand.press(a, "Create Account")
        self.hand.fill(a, AccountName=MIGRATOR, AccountPassword=self.password.reveal(),
              again=self.password.reveal())  # fmt: skip
        yield Shown("2-2-account", "A: creates a privileged account", a)
        self.hand.press(a, "Create")
        a.locator("tr", has_text=MIGRATOR).get_by_text("Active").wait_for(timeout=_PATIENCE)

    # Step 3: in account B, the destination.

    def _assess(self) -> Iterator[Shown]:
        b, destination = self.b, self.stage.destination.instance
        self._open(b, "rds", destination, "migration")
        self.hand.press(b, "Create Feasibility Assessment Task")
        yield Shown("3-1-scenario", "B: Configure Scenario and Source Type", b)
        self.hand.press(b, "Next")
        _reached(b, 2)
        yield Shown("3-2-destination", "B: Configure Destination Instance", b)
        self.hand.press(b, "Next")
        _reached(b, 3)
        for box in b.locator("main input[type=checkbox]").all():
            self.hand.check(box)
        yield Shown("3-3-source", "B: Configure Source Instance", b)
        self.hand.press(b, "Next")
        _reached(b, 4)
        self._type_source()
        self.hand.press(b, "Test connection")
        b.locator("#tested li").first.wait_for(timeout=_PATIENCE)
        self._type_source()
        yield Shown("3-4-start", "B: Start Feasibility Assessment", b)
        self.hand.press(b, "Create Feasibility Assessment Task")
        b.locator("tbody").get_by_text("Successful").wait_for(timeout=_PATIENCE)
        self.hand.click(b.get_by_role("link", name=re.compile("View Report")).first)
        _see(b, "The migration can begin.")
        yield Shown("3-5-report", "B: the assessment's report", b)

    def _type_source(self) -> None:
        self.hand.fill(self.b, SourceIpAddress=self.stage.source.address, SourceAccount=MIGRATOR,
              SourcePassword=self.password.reveal())  # fmt: skip

    def _migrate(self) -> Iterator[Shown]:
        b = self.b
        self.hand.press(b, "Create Cloud Migration Task")
        self.hand.fill(b, SourcePassword=self.password.reveal())
        yield Shown("3-6-create-task", "B: Create Cloud Migration Task", b)
        self.hand.press(b, "Initiate Migration to Cloud")
        b.wait_for_url(re.compile(r"/migration/tasks/\d+$"))
        self.pause()
        yield Shown("3-7-copy", "B: the full copy", b)
        _see(b, "Ready to switch")
        yield Shown("3-8-increment", "B: incremental synchronization", b)

    def _switch_over(self) -> Iterator[Shown]:
        a, b, source = self.a, self.b, self.stage.source.instance
        self._open(a, "rds", source, "parameters", "rds_force_trans_ro_non_sup")
        self.hand.check(a.locator("input[name=value][value=on]"))
        yield Shown("3-9-read-only", "A: the source processes only read requests", a)
        self.hand.press(a, "Submit")
        a.locator("tr", has_text="rds_force_trans_ro_non_sup").get_by_text(
            "on", exact=True
        ).wait_for()
        self._open(a, "rds", source, "sessions")
        yield Shown("3-10-sessions", "A: terminates all sessions", a)
        self.hand.press(a, "Terminate All Sessions")
        self.hand.fill(a, confirm=source)
        self.hand.click(a.locator("dialog[open]").get_by_role("button", name="Terminate"))
        _see(a, "ended.")
        self._open_dialog(b, "Switchover")
        # On a machine with much to do nobody may answer in time, which is said, and no obstacle.
        b.locator("dialog[open] #readiness :is(.figures, .note)").first.wait_for(timeout=_PATIENCE)
        for box in b.locator("dialog[open] input[type=checkbox][required]").all():
            self.hand.check(box)
        yield Shown("3-11-switchover", "B: the Switchover dialog", b)
        self.hand.press(b, "Switch Now")
        _see(b, "Migrated.")
        yield Shown("3-12-result", "B: the result, with its proof", b)

    def _open_dialog(self, page: Any, name: str) -> None:
        """By a link on a page that moves; what moved away under the hand is pressed again."""
        for _ in range(3):
            self.hand.press(page, name)
            if wait_until(lambda: page.locator("dialog[open]").count() > 0, 20, 0.1):
                return

    def _open(self, page: Any, *parts: str) -> None:
        self.pause()
        page.goto("/".join((f"{self.stage.url}/console", *parts)))


def sign_in(page: Any, url: str, site: Site) -> None:
    """Come in at the console as the user of an account."""
    page.goto(f"{url}/console/sign-in")
    Hand().fill(page, account=site.account, user=site.user, password=site.password.reveal())
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Home").wait_for()


def _see(page: Any, text: str) -> None:
    page.get_by_text(text).first.wait_for(timeout=_PATIENCE)


def _reached(page: Any, step: int) -> None:
    """Wait until the wizard is at this step."""
    page.locator(f".steps li:nth-child({step})[aria-current=step]").wait_for()
