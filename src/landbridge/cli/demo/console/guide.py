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
        _press(b, "Create CEN Instance")
        _fill(b, Name="migration", Description="From account A to account B")
        yield Shown("1-1-create-cen", "B: Create CEN Instance", b)
        _press(b, "OK")
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
        _press(a, "Authorize Cross Account Attach CEN")
        _fill(a, CenId=self.cen, CenOwnerId=str(self.stage.destination.uid))
        yield Shown("1-2-grant", "A: grants its VPC to B's CEN", a)
        _press(a, "OK")
        a.locator("tbody").get_by_text(self.cen).wait_for()

    def _connect(self, site: Site, ownership: str) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "connect")
        _choose(b, "RegionId", site.region)
        _choose(b, "PrimaryZone", site.zones[0])
        _choose(b, "SecondaryZone", site.zones[1])
        if ownership == "Cross":
            b.locator("input[name=Ownership][value=cross]").check()
            b.locator("#field-VpcOwnerId").wait_for()
            _fill(b, VpcOwnerId=str(site.uid))
            b.locator("#field-VpcOwnerId").press("Tab")
        _choose(b, "VpcId", site.vpc)
        b.locator("#field-SecondaryVSwitch").wait_for()
        _fill(b, TransitRouterAttachmentName=f"to-{site.account}")
        name = "1-3-connect-source" if ownership == "Cross" else "1-4-connect-destination"
        yield Shown(name, f"B: Connect Network Instance, the VPC of {site.account}", b)
        _press(b, "Create")
        b.locator("tr", has_text=site.vpc).get_by_text("Attached", exact=True).wait_for(
            timeout=_PATIENCE
        )

    def _buy(self) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "bandwidth-plans")
        _press(b, "Purchase Bandwidth Plan (Subscription)")
        _fill(b, Bandwidth=_BANDWIDTH, Name="plan")
        yield Shown("1-5-purchase-plan", "B: purchases a bandwidth plan", b)
        _press(b, "Buy Now")
        b.locator("tr", has_text="plan").first.wait_for(timeout=_PATIENCE)

    def _allocate(self) -> Iterator[Shown]:
        b = self.b
        self._open(b, "cen", self.cen, "bandwidth-plans")
        _press(b, "Allocate Bandwidth for Inter-region Communication")
        _choose(b, "RegionId", self.stage.source.region)
        _choose(b, "PeerRegionId", self.stage.destination.region)
        b.locator("#field-CenBandwidthPackageId").wait_for()
        plan = b.locator("#field-CenBandwidthPackageId option:not([disabled])").nth(1)
        if not b.locator("#field-CenBandwidthPackageId").input_value():
            _choose(b, "CenBandwidthPackageId", plan.get_attribute("value"))
        _fill(b, Bandwidth=_BANDWIDTH)
        yield Shown("1-6-allocate", "B: allocates bandwidth between the two regions", b)
        _press(b, "OK")
        b.get_by_text("Attached", exact=True).first.wait_for(timeout=_PATIENCE)
        self._open(b, "cen", self.cen, "topology")
        yield Shown("1-7-topology", "B: the two networks are joined", b)

    # Step 2: in account A, the source.

    def _prepare_source(self) -> Iterator[Shown]:
        a, source = self.a, self.stage.source.instance
        self._open(a, "rds", source, "whitelist")
        _press(a, "Create Whitelist")
        _fill(a, DBInstanceIPArrayName="migration", SecurityIps=self.stage.destination.cidr)
        yield Shown("2-1-whitelist", "A: the whitelist of the source admits B's VPC", a)
        _press(a, "OK")
        _see(a, self.stage.destination.cidr)
        self._open(a, "rds", source, "accounts")
        _press(a, "Create Account")
        _fill(a, AccountName=MIGRATOR, AccountPassword=self.password.reveal(),
              again=self.password.reveal())  # fmt: skip
        yield Shown("2-2-account", "A: creates a privileged account", a)
        _press(a, "Create")
        a.locator("tr", has_text=MIGRATOR).get_by_text("Active").wait_for(timeout=_PATIENCE)

    # Step 3: in account B, the destination.

    def _assess(self) -> Iterator[Shown]:
        b, destination = self.b, self.stage.destination.instance
        self._open(b, "rds", destination, "migration")
        _press(b, "Create Feasibility Assessment Task")
        yield Shown("3-1-scenario", "B: Configure Scenario and Source Type", b)
        _press(b, "Next")
        yield Shown("3-2-destination", "B: Configure Destination Instance", b)
        _press(b, "Next")
        for box in b.locator("main input[type=checkbox]").all():
            box.check()
        yield Shown("3-3-source", "B: Configure Source Instance", b)
        _press(b, "Next")
        self._type_source()
        _press(b, "Test connection")
        b.locator("#tested li").first.wait_for(timeout=_PATIENCE)
        self._type_source()
        yield Shown("3-4-start", "B: Start Feasibility Assessment", b)
        _press(b, "Create Feasibility Assessment Task")
        b.locator("tbody").get_by_text("Successful").wait_for(timeout=_PATIENCE)
        b.get_by_role("link", name=re.compile("View Report")).first.click()
        _see(b, "The migration can begin.")
        yield Shown("3-5-report", "B: the assessment's report", b)

    def _type_source(self) -> None:
        _fill(self.b, SourceIpAddress=self.stage.source.address, SourceAccount=MIGRATOR,
              SourcePassword=self.password.reveal())  # fmt: skip

    def _migrate(self) -> Iterator[Shown]:
        b = self.b
        _press(b, "Create Cloud Migration Task")
        _fill(b, SourcePassword=self.password.reveal())
        yield Shown("3-6-create-task", "B: Create Cloud Migration Task", b)
        _press(b, "Initiate Migration to Cloud")
        b.wait_for_url(re.compile(r"/migration/tasks/\d+$"))
        self.pause()
        yield Shown("3-7-copy", "B: the full copy", b)
        _see(b, "Ready to switch")
        yield Shown("3-8-increment", "B: incremental synchronization", b)

    def _switch_over(self) -> Iterator[Shown]:
        a, b, source = self.a, self.b, self.stage.source.instance
        self._open(a, "rds", source, "parameters", "rds_force_trans_ro_non_sup")
        a.locator("input[name=value][value=on]").check()
        yield Shown("3-9-read-only", "A: the source processes only read requests", a)
        _press(a, "Submit")
        a.locator("tr", has_text="rds_force_trans_ro_non_sup").get_by_text(
            "on", exact=True
        ).wait_for()
        self._open(a, "rds", source, "sessions")
        yield Shown("3-10-sessions", "A: terminates all sessions", a)
        _press(a, "Terminate All Sessions")
        a.locator("dialog[open]").get_by_role("button", name="Terminate").click()
        _see(a, "ended.")
        _press(b, "Switchover")
        b.locator("dialog[open] #readiness .figures").wait_for(timeout=_PATIENCE)
        for box in b.locator("dialog[open] input[type=checkbox][required]").all():
            box.check()
        yield Shown("3-11-switchover", "B: the Switchover dialog", b)
        _press(b, "Switch Now")
        _see(b, "Migrated.")
        yield Shown("3-12-result", "B: the result, with its proof", b)

    def _open(self, page: Any, *parts: str) -> None:
        self.pause()
        page.goto("/".join((f"{self.stage.url}/console", *parts)))


def sign_in(page: Any, url: str, site: Site) -> None:
    """Come in at the console as the user of an account."""
    page.goto(f"{url}/console/sign-in")
    _fill(page, account=site.account, user=site.user, password=site.password.reveal())
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Home").wait_for()


def _place(page: Any) -> Any:
    dialog = page.locator("dialog[open]")
    return dialog if dialog.count() else page.locator("main")


def _press(page: Any, name: str) -> None:
    """Press the button, or follow the link, of this name; in the dialog if one is open."""
    place = _place(page)
    button = place.get_by_role("button", name=name, exact=True)
    button.or_(place.get_by_role("link", name=name, exact=True)).first.click()


def _fill(page: Any, **fields: str) -> None:
    for name, text in fields.items():
        page.locator(f"#field-{name}").last.fill(text)


def _choose(page: Any, name: str, value: str) -> None:
    """Choose in a list; the form may be asked for again, and has it chosen then."""
    field = page.locator(f"#field-{name}").last
    field.locator(f"option[value='{value}']").wait_for(state="attached", timeout=_PATIENCE)
    field.select_option(value)
    page.wait_for_timeout(300)
    page.locator(f"#field-{name}").last.wait_for()


def _see(page: Any, text: str) -> None:
    page.get_by_text(text).first.wait_for(timeout=_PATIENCE)
