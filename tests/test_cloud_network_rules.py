"""What the network services of the cloud allow and refuse, on rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from landbridge.cloud import (
    Cloud,
    CloudError,
    accounts,
    attachments,
    bandwidth,
    cens,
    fabric,
    grants,
    limits,
    lines,
    metering,
    prices,
    quotas,
    routers,
    vpcs,
)
from landbridge.cloud.allocation import Allocation, Order
from landbridge.cloud.attachments import ZoneMapping
from landbridge.cloud.bandwidth import Cycle
from landbridge.cloud.grants import Payer
from landbridge.cloud.made import State
from landbridge.cloud.metering import Item, Usage
from landbridge.network.fabric import Meter
from landbridge.network.things import LineType
from landbridge.store import utcnow

HZ, BJ, FRA = "cn-hangzhou", "cn-beijing", "eu-central-1"
ZONE = {HZ: "cn-hangzhou-h", BJ: "cn-beijing-h", FRA: "eu-central-1a"}


class World:
    """Ann owns CENs, Bob owns the other VPCs; whatever is asked for stands at once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ann, self.bob = (accounts.create(session, name) for name in ("ann", "bob"))
        self.cen = self.new_cen("one")

    def new_cen(self, name: str, owner: Any = None) -> cens.Cen:
        return self.stand(cens.create(self.session, owner or self.ann, name))

    def stand(self, row: Any) -> Any:
        row.standing = row.version
        return row

    def all_stand(self) -> None:
        for kind in fabric.MADE:
            for row in self.session.scalars(select(kind)):
                self.stand(row)

    def vpc(self, owner: Any, region: str, cidr: str) -> tuple[vpcs.Vpc, list[ZoneMapping]]:
        """A VPC with one vSwitch, its first 256 addresses."""
        vpc = vpcs.create_vpc(self.session, owner, region, cidr=cidr)
        block = cidr.rpartition("/")[0] + "/24"
        vswitch = vpcs.create_vswitch(self.session, vpc, ZONE[region], block)
        return vpc, [ZoneMapping(ZONE[region], vswitch.id)]

    def attach(
        self, vpc: tuple[vpcs.Vpc, list[ZoneMapping]], cen: cens.Cen | None = None, **more: Any
    ) -> attachments.Attachment:
        given = {
            "vpc_id": vpc[0].id,
            "zones": vpc[1],
            "cen_id": (cen or self.cen).id,
            "region": vpc[0].region_id,
            **more,
        }
        made = attachments.create(self.session, self.ann, **given)
        self.all_stand()
        return made

    def joined(self, *regions: str) -> list[str]:
        """Ids of transit routers of the CEN in these regions."""
        made = [routers.create(self.session, self.cen, region) for region in regions]
        self.all_stand()
        return [router.id for router in made]

    def plan(self, mbits: int = 100, **more: Any) -> bandwidth.BandwidthPlan:
        """A plan of the CEN."""
        given: Any = {"area_a": "China", "area_b": "China", "bandwidth": mbits, **more}
        plan = bandwidth.buy(self.session, self.ann, **given)
        bandwidth.associate(self.session, self.ann, plan.id, self.cen.id)
        return plan

    def line(self, a: str, b: str, **order: Any) -> lines.Connection:
        return lines.create(self.session, self.ann, Order(**order), router_id=a, peer_router_id=b)


@pytest.fixture
def world(cloud: Cloud) -> Iterator[World]:
    with cloud.database.write() as session:
        yield World(session)


@contextmanager
def _refused(code: str) -> Iterator[None]:
    with pytest.raises(CloudError) as refusal:
        yield
    assert refusal.value.code == code


refused: Callable[[str], AbstractContextManager[None]] = _refused


def test_a_cen_has_the_names_of_the_procedure_and_goes_only_when_empty(world: World) -> None:
    session, ann = world.session, world.ann
    for bad in ("1a", "a", "a b", "http://x"):
        with refused("InvalidName"):
            cens.create(session, ann, bad)
    with refused("InvalidDescription"):
        cens.modify(session, ann, world.cen.id, description="http://x")
    assert cens.modify(session, ann, world.cen.id, name="two").name == "two"
    with refused("InvalidCenId.NotFound"):
        cens.modify(session, world.bob, world.cen.id, name="mine")
    world.attach(world.vpc(ann, HZ, "10.1.0.0/16"))
    with refused("DependencyViolation"):
        cens.delete(session, ann, world.cen.id)
    empty = world.new_cen("empty")
    routers.create(session, empty, HZ)
    cens.delete(session, ann, empty.id)
    assert {row.state for row in (empty, *empty.routers)} == {State.REMOVING}
    with refused("InvalidOperation.CenInstanceStatus"):
        cens.standing(session, ann, empty.id)
    for n in range(quotas.CENS.most - 2):
        cens.create(session, ann, f"c{n}")
    with refused("QuotaExceeded.Cen"):
        cens.create(session, ann)


def test_the_first_attachment_makes_the_router_with_its_zones(world: World) -> None:
    vpc, zones = world.vpc(world.ann, HZ, "10.1.0.0/16")
    other = vpcs.create_vswitch(world.session, vpc, "cn-hangzhou-i", "10.1.9.0/24")
    first = world.attach((vpc, [*zones, ZoneMapping(other.zone_id, other.id)]))
    second = world.attach(world.vpc(world.ann, HZ, "10.2.0.0/16"))
    assert first.router_id == second.router_id
    (router,) = routers.every(world.session, world.ann)
    assert (router.region_id, router.primary_zone) == (HZ, "cn-hangzhou-h")
    assert router.secondary_zone == "cn-hangzhou-i"
    with refused("EntityAlreadyExists.TransitRouter"):
        routers.create(world.session, world.cen, HZ)
    with refused("DependencyViolation"):
        routers.delete(world.session, world.ann, router.id)


def test_a_foreign_vpc_is_attached_only_with_its_owners_grant_to_that_cen(world: World) -> None:
    session, ann, bob = world.session, world.ann, world.bob
    vpc = world.vpc(bob, HZ, "10.1.0.0/16")
    two = world.new_cen("two")
    with refused("InvalidVpcId.NotFound"):  # as if it were one's own
        world.attach(vpc)
    for id in (vpc[0].id, "vpc-nothing"):  # existence cannot be told
        with refused("Forbbiden.AttachChildInstanceAcrossUid"):
            world.attach((vpc[0], vpc[1]), vpc_id=id, vpc_owner_uid=bob.uid)
    with refused("InvalidVpcId.NotFound"):  # only the owner grants
        grants.give(session, ann, vpc[0].id, world.cen.id, ann.uid)
    for cen_id, owner in ((world.cen.id, bob.uid + 1), ("cen-nothing", ann.uid)):
        with refused("InvalidCenId.NotFound"):
            grants.give(session, bob, vpc[0].id, cen_id, owner)
    grants.give(session, bob, vpc[0].id, two.id, ann.uid)
    with refused("Forbbiden.AttachChildInstanceAcrossUid"):  # the other CEN's grant
        world.attach(vpc, vpc_owner_uid=bob.uid)
    grants.give(session, bob, vpc[0].id, world.cen.id, ann.uid, Payer.RESOURCE_OWNER)
    with refused("Forbbiden.AttachChildInstanceAcrossUid"):  # a wrong UID
        world.attach(vpc, vpc_owner_uid=bob.uid + 1)
    lone = vpcs.create_vpc(session, bob, HZ, cidr="10.9.0.0/16")
    grants.give(session, bob, lone.id, two.id, ann.uid)
    with pytest.raises(CloudError, match=f"{lone.id} is granted to {two.id}") as told:
        vpcs.delete_vpc(session, lone)
    assert told.value.remedy == f"Revoke the grant to {two.id} first."
    grants.revoke(session, bob, lone.id, two.id, ann.uid)
    vpcs.delete_vpc(session, lone)
    attachment = world.attach(vpc, vpc_owner_uid=bob.uid)
    assert attachment.payer_uid == bob.uid
    assert attachments.visible(session, bob) == attachments.visible(session, ann) == [attachment]
    assert [g.cen_id for g in grants.of_vpc(session, bob, vpc[0].id)] == [two.id, world.cen.id]
    assert [g.vpc_id for g in grants.of_cen(session, ann, two.id)] == [vpc[0].id]
    with refused("DependencyViolation"):
        grants.revoke(session, bob, vpc[0].id, world.cen.id, ann.uid)
    attachments.delete(session, bob, attachment.id)  # the VPC's owner may, too
    assert attachment.state is State.REMOVING
    session.delete(attachment)
    session.flush()
    session.expire_all()
    grants.revoke(session, bob, vpc[0].id, world.cen.id, ann.uid)
    with refused("GrantNotExist"):
        grants.revoke(session, bob, vpc[0].id, world.cen.id, ann.uid)
    with refused("Forbbiden.AttachChildInstanceAcrossUid"):
        world.attach(vpc, vpc_owner_uid=bob.uid)


def test_blocks_of_one_cen_have_no_address_in_common(world: World) -> None:
    world.attach(world.vpc(world.ann, HZ, "10.1.0.0/16"))
    inner = world.vpc(world.ann, BJ, "10.1.128.0/17")
    with refused("InvalidOperation.CidrBlockOverlapped"):
        world.attach(inner)
    assert routers.find(world.session, world.cen.id, BJ) is None
    world.attach(inner, world.new_cen("two"))
    with refused("InvalidOperation.ChildInstanceAlreadyAttached"):
        world.attach(inner, world.new_cen("three"))


def test_an_attachment_needs_a_place_and_vswitches_of_its_vpc(world: World) -> None:
    vpc, zones = world.vpc(world.ann, HZ, "10.1.0.0/16")
    _, foreign = world.vpc(world.bob, HZ, "10.2.0.0/16")
    beijing = ZoneMapping("cn-beijing-h", zones[0].vswitch_id)
    other_zone = ZoneMapping("cn-hangzhou-i", zones[0].vswitch_id)
    for code, given in (
        ("MissingParam.CenIdOrRegionId", {"region": ""}),
        ("IllegalParam.RegionId", {"region": "cn-nowhere"}),
        ("IllegalParam.RegionId", {"region": BJ}),
        ("InvalidCenId.NotFound", {"cen_id": "cen-nothing"}),
        ("InvalidTransitRouterId.NotFound", {"router_id": "tr-nothing"}),
        ("IllegalParam.ZoneMappings", {"zones": []}),
        ("Duplicated.ZoneMapping", {"zones": [*zones, *zones]}),
        ("IllegalParam.ZoneId", {"zones": [beijing]}),
        ("IllegalParam.VSwitchId", {"zones": [other_zone]}),
        ("InvalidVSwitchId.NotFound", {"zones": foreign}),
        ("InvalidName", {"name": "http://x"}),
    ):
        with refused(code):
            world.attach((vpc, zones), **given)
    assert not attachments.visible(world.session, world.ann)
    attachment = world.attach((vpc, zones))
    with pytest.raises(CloudError, match=f"is used by attachment {attachment.id}") as told:
        vpcs.delete_vswitch(world.session, world.ann, zones[0].vswitch_id)
    assert told.value.code == "DependencyViolation"
    assert told.value.remedy == f"Delete attachment {attachment.id} first."
    assert attachment.zones[0].vswitch_id == zones[0].vswitch_id


def test_what_is_allocated_never_exceeds_the_plan_from_either_side(world: World) -> None:
    session, ann = world.session, world.ann
    a, b, c = world.joined(HZ, BJ, "cn-shanghai")
    plan = world.plan(100)
    more: Any = {"allocation": Allocation.PLAN, "plan_id": plan.id}
    line = world.line(a, b, bandwidth=60, **more)
    with refused("InvalidOperation.BwpBandwidthExceeded"):
        world.line(b, c, bandwidth=41, **more)
    other = world.line(b, c, bandwidth=40, **more)
    with refused("InvalidOperation.BwpBandwidthExceeded"):
        lines.update(session, ann, line.id, Order(bandwidth=61))
    with refused("InvalidOperation.BwpBandwidthExceeded"):
        bandwidth.resize(session, ann, plan.id, 99)
    bandwidth.resize(session, ann, plan.id, 110)
    world.all_stand()
    lines.update(session, ann, line.id, Order(bandwidth=70))
    assert (line.state, line.bandwidth, plan.allocated()) == (State.CHANGING, 70, 110)
    lines.update(session, ann, line.id, Order(bandwidth=70))
    assert line.version == 2  # the same once more is no change
    lines.delete(session, ann, other.id)
    assert plan.allocated() == 70
    with refused("DependencyViolation"):
        bandwidth.unassociate(session, ann, plan.id, world.cen.id)
    with refused("IncorrectStatus.BandwidthPackage"):
        bandwidth.delete(session, ann, plan.id)


def test_the_line_type_and_where_bandwidth_comes_from(world: World) -> None:
    session, ann = world.session, world.ann
    a, b, far = world.joined(HZ, BJ, FRA)
    plan = world.plan()
    with refused("ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold"):
        world.line(a, b, bandwidth=1, plan_id=plan.id, line_type=LineType.PLATINUM)
    with refused("MissingParam.Bandwidth"):
        world.line(a, b, plan_id=plan.id)
    with refused("IllegalParam.Bandwidth"):
        world.line(a, b, bandwidth=0, plan_id=plan.id)
    with refused("QuotaExceeded.Bandwidth"):
        world.line(a, b, bandwidth=10_001, allocation=Allocation.TRANSFER)
    for id in (None, "cenbwp-nothing"):
        with refused("IllegalParam.CenBandwidthPackageId"):
            world.line(a, b, bandwidth=1, plan_id=id)
    with refused("IllegalParam.CenBandwidthPackageId"):  # sold for other areas
        world.line(a, far, bandwidth=1, plan_id=plan.id)
    idle = bandwidth.buy(session, ann, area_a="China", area_b="China", bandwidth=5)
    with refused("InvalidOperation.BwpNotAssociated"):
        world.line(a, b, bandwidth=1, plan_id=idle.id)
    line = world.line(
        a, b, bandwidth=5, allocation=Allocation.TRANSFER, line_type=LineType.PLATINUM
    )
    with refused("EntityAlreadyExists.PeerAttachment"):
        world.line(b, a, bandwidth=1, plan_id=plan.id)
    lines.update(session, ann, line.id, Order(allocation=Allocation.PLAN, plan_id=plan.id))
    assert (line.line_type, line.plan, plan.allocated()) == (LineType.GOLD, plan, 5)
    lines.update(session, ann, line.id, Order(allocation=Allocation.TRANSFER))
    assert (line.plan, plan.allocated()) == (None, 0)


def test_a_line_joins_two_regions_of_one_cen(world: World) -> None:
    session, ann = world.session, world.ann
    a, b = world.joined(HZ, BJ)
    (elsewhere,) = [routers.create(session, world.new_cen("two"), BJ).id]
    world.all_stand()
    by = Order(1, Allocation.TRANSFER)
    for code, given in (
        ("InvalidPeerTransitRouterId.NotFound", {"peer_router_id": "tr-nothing"}),
        ("IllegalParam.PeerTransitRouterId", {"peer_router_id": elsewhere}),
        ("IllegalParam.PeerRegionId", {"peer_router_id": a}),
        ("IllegalParam.PeerRegionId", {"peer_region": HZ}),
        ("MissingParam.CenIdOrRegionId", {"router_id": ""}),
        ("InvalidTransitRouterId.NotFound", {"router_id": "tr-nothing"}),
    ):
        with refused(code):
            ends = {"router_id": a, "peer_router_id": b, **given}
            lines.create(session, ann, by, **ends)
    with refused("InvalidTransitRouterId.NotFound"):
        lines.create(session, world.bob, by, router_id=a, peer_router_id=b)


def test_the_older_way_to_give_two_regions_bandwidth(world: World) -> None:
    session, ann, cen = world.session, world.ann, world.cen.id
    a, b = world.joined(HZ, BJ)
    with refused("InvalidTransitRouterId.NotFound"):
        limits.set_limit(session, ann, cen, HZ, "cn-shanghai", Order(5))
    with refused("InvalidOperation.BwpNotAssociated"):
        limits.set_limit(session, ann, cen, HZ, BJ, Order(5))
    plan = world.plan()
    limits.set_limit(session, ann, cen, HZ, BJ, Order(5))
    limits.set_limit(session, ann, cen, BJ, HZ, Order(7))  # either way round
    (line,) = lines.every(session, ann)
    assert ({line.router_id, line.peer_router_id}, line.bandwidth) == ({a, b}, 7)
    assert line.plan is plan
    limits.set_limit(session, ann, cen, HZ, BJ, Order(0))
    assert line.state is State.REMOVING


def test_a_plan_keeps_its_areas_and_ends_unless_it_renews_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, ann = world.session, world.ann
    a, b = world.joined(HZ, BJ)
    plan = world.plan(100, period=1, cycle=Cycle.YEAR)
    ours = world.plan(50, auto_renew_months=2)
    assert timedelta(364) < plan.expires_at - utcnow() <= timedelta(366)
    with refused("OperationUnsupported.ModifyArea"):
        bandwidth.modify(session, ann, plan.id, area_b="Europe")
    bandwidth.modify(session, ann, plan.id, name="ours", area_a="China")
    for wrong in ({"area_a": "Atlantis"}, {"period": 0}, {"period": 37}):
        with refused("InvalidParameter"):
            world.plan(**wrong)
    for mbits in (1, 10_001):
        with refused("IllegalParam.Bandwidth"):
            world.plan(mbits)
    line = world.line(a, b, bandwidth=100, plan_id=plan.id)
    assert fabric.wanted(session).topology.lines[line.id].rate == 100_000_000
    assert bandwidth.next_end(session, utcnow()) == ours.expires_at

    later = plan.expires_at
    monkeypatch.setattr(bandwidth, "utcnow", lambda: later)
    bandwidth.renew_due(session, later)
    assert plan.is_expired(later) and not ours.is_expired(later)
    assert fabric.wanted(session).topology.lines[line.id].bits_per_second is None
    for refuse in (
        lambda: lines.update(session, ann, line.id, Order(bandwidth=10)),
        lambda: bandwidth.resize(session, ann, plan.id, 200),
        lambda: bandwidth.associate(session, ann, plan.id, world.cen.id),
    ):
        with refused("InvalidOperation.BwpBusinessStatus"):
            refuse()
    before = line.version
    bandwidth.renew(session, ann, plan.id, 1)
    assert line.version == before + 1  # so the network is told
    end = plan.expires_at
    for months, code in ((0, "InvalidParameter"), (36, ""), (36, "InvalidParameter")):
        with refused(code) if code else nullcontext():
            bandwidth.renew(session, ann, plan.id, months)
    assert timedelta(365 * 3) <= plan.expires_at - end <= timedelta(366 * 3)
    bandwidth.renew_itself(session, ann, plan.id, 3)
    later = plan.expires_at
    bandwidth.renew_due(session, later)
    assert not plan.is_expired(later)
    bandwidth.renew_itself(session, ann, plan.id, 0)
    later = plan.expires_at
    bandwidth.renew_due(session, later)
    assert plan.is_expired(later)
    bandwidth.renew_itself(session, ann, plan.id, 1)  # at once
    assert not plan.is_expired(later)
    assert fabric.wanted(session).topology.lines[line.id].rate == 100_000_000


def test_what_is_used_is_counted_once_and_priced_for_who_pays(world: World) -> None:
    session, ann, bob = world.session, world.ann, world.bob
    vpc = world.vpc(bob, HZ, "10.1.0.0/16")
    grants.give(session, bob, vpc[0].id, world.cen.id, ann.uid, Payer.RESOURCE_OWNER)
    attachment = world.attach(vpc, vpc_owner_uid=bob.uid)
    (b,) = world.joined(BJ)
    world.plan(10, period=3)
    line = world.line(attachment.router_id, b, bandwidth=5, allocation=Allocation.TRANSFER)
    begin = utcnow().replace(minute=10, second=0, microsecond=0)
    for minutes, meter in ((0, Meter(2**30, 0)), (20, Meter(2**30, 2**30)), (50, Meter(5, 0))):
        now = begin + timedelta(minutes=minutes)  # the last counter began anew
        metering.record_attachment(session, attachment, now)
        metering.record_traffic(session, line, meter, now)
    assert (line.bytes_out, line.bytes_back) == (2**30 + 5, 2**30)
    window = (begin - timedelta(days=1), begin + timedelta(days=1))
    hours = prices.estimate(session, bob, *window, prices.PriceList())
    assert [(c.item, c.quantity, c.resource_id) for c in hours.costs] == [
        (Item.ATTACHMENT, 2.0, attachment.id)
    ]
    estimate = prices.estimate(session, ann, *window, prices.PriceList())
    told = {cost.item: cost for cost in estimate.costs}
    assert set(told) == {Item.PLAN, Item.TRANSFER}
    assert told[Item.PLAN].quantity == 30.0
    assert told[Item.TRANSFER].quantity == pytest.approx(2 + 5 / 2**30)
    session.delete(line)  # what was used outlives the line
    session.flush()
    assert session.scalars(select(Usage).where(Usage.item == Item.TRANSFER)).all()
