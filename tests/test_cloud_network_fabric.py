"""The reconciler: rows become a network, whatever fails, stops or changes meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fix_memory import Memory
from landbridge.cloud import Cloud, accounts, attachments, bandwidth, cens, fabric, lines, vpcs
from landbridge.cloud.accounts import Account
from landbridge.cloud.allocation import Allocation, Order
from landbridge.cloud.attachments import ZoneMapping
from landbridge.cloud.fabric import Reconciler
from landbridge.cloud.made import State
from landbridge.cloud.metering import Item, Usage
from landbridge.cloud.routers import find
from landbridge.errors import NetworkFailed
from landbridge.network.fabric import Meter
from landbridge.postgres.process import wait_until
from landbridge.store import utcnow

PLACES = {"cn-hangzhou": ("10.1", "cn-hangzhou-h"), "cn-beijing": ("10.2", "cn-beijing-h")}


class Joined:
    """One account with a VPC in each of two regions, attached to its CEN."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.memory = Memory()
        self.reconciler = Reconciler(cloud, lambda: self.memory)  # type: ignore[arg-type,return-value]
        with cloud.database.write() as session:
            self.ann: Account = accounts.create(session, "ann")
            self.cen = cens.create(session, self.ann, "cen").id
            self.vpcs = []
            for region, (block, zone) in PLACES.items():
                vpc = vpcs.create_vpc(session, self.ann, region, cidr=f"{block}.0.0/16")
                vswitch = vpcs.create_vswitch(session, vpc, zone, f"{block}.0.0/24")
                self.vpcs.append((vpc.id, [ZoneMapping(zone, vswitch.id)]))
        self.reconciler.once()

    def attach(self) -> list[str]:
        with self.cloud.database.write() as session:
            return [
                attachments.create(
                    session, self.ann, vpc_id=vpc, zones=zones, cen_id=self.cen, region=region
                ).id
                for region, (vpc, zones) in zip(PLACES, self.vpcs, strict=True)
            ]

    def line(self, mbits: int = 10) -> tuple[str, str]:
        """A plan and a connection on it."""
        with self.cloud.database.write() as session:
            plan = bandwidth.buy(session, self.ann, area_a="China", area_b="China", bandwidth=100)
            bandwidth.associate(session, self.ann, plan.id, self.cen)
            a, b = (find(session, self.cen, region) for region in PLACES)
            assert a is not None and b is not None
            order = Order(mbits, plan_id=plan.id)
            line = lines.create(session, self.ann, order, router_id=a.id, peer_router_id=b.id)
            return plan.id, line.id

    def states(self, *ids: str) -> list[State]:
        with self.cloud.database.read() as session:
            rows = {r.id: r for kind in fabric.MADE for r in session.scalars(select(kind))}
            return [rows[id].state for id in ids]


@pytest.fixture
def joined(cloud: Cloud) -> Iterator[Joined]:
    yield Joined(cloud)


def test_rows_stand_when_the_network_does_and_a_second_round_makes_nothing(
    joined: Joined,
) -> None:
    ids = joined.attach()
    assert joined.states(*ids) == [State.MAKING] * 2
    assert joined.reconciler.once() == {}
    _, line = joined.line()
    joined.reconciler.once()
    assert joined.states(joined.cen, *ids, line) == [State.STANDING] * 4
    assert {*ids, line} <= set(joined.memory.things)
    assert joined.memory.things[line].rate == 10_000_000
    joined.memory.made.clear()
    Reconciler(joined.cloud, lambda: joined.memory).once()  # type: ignore[arg-type,return-value]
    assert joined.memory.made == []


def test_a_bandwidth_is_changing_until_the_line_has_it(joined: Joined) -> None:
    joined.attach()
    joined.reconciler.once()
    _, line = joined.line()
    joined.reconciler.once()
    with joined.cloud.database.write() as session:
        lines.update(session, joined.ann, line, Order(bandwidth=20))
    assert joined.states(line) == [State.CHANGING]
    joined.reconciler.once()
    assert joined.states(line) == [State.STANDING]
    assert joined.memory.things[line].rate == 20_000_000


def test_what_cannot_be_made_waits_says_so_and_holds_up_nothing(
    joined: Joined, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner learns that it waits; what is the matter with the machine is the operator's."""
    first, second = joined.attach()
    joined.memory.broken.add(first)
    assert set(joined.reconciler.once()) == {first}
    assert joined.states(first, second) == [State.MAKING, State.STANDING]
    with joined.cloud.database.read() as session:
        trouble = session.get_one(attachments.Attachment, first).trouble
    assert trouble.startswith("the network cannot be made so") and "no room" not in trouble
    joined.reconciler.once()
    (told,) = caplog.messages  # once, as long as it stays the same
    assert f"no room for {first}" in told
    joined.memory.broken.clear()
    joined.reconciler.once()
    with joined.cloud.database.read() as session:
        row = session.get_one(attachments.Attachment, first)
        assert (row.state, row.trouble) == (State.STANDING, "")


def test_what_somebody_waits_for_stands_before_all_else_is_looked_at(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    with joined.cloud.database.write() as session:
        others = accounts.create(session, "bob")
        other = vpcs.create_vpc(session, others, "cn-hangzhou", cidr="10.9.0.0/16").id
    joined.reconciler.once()
    ids, make = joined.attach(), joined.memory._ensure
    seen: dict[str, list[State]] = {}

    def ensure(thing: Any) -> None:
        seen[thing.id] = joined.states(*ids)
        make(thing)

    monkeypatch.setattr(joined.memory, "_ensure", ensure)
    anew = Reconciler(joined.cloud, lambda: joined.memory)  # type: ignore[arg-type,return-value]
    for reconciler, published in ((joined.reconciler, False), (anew, True)):
        reconciler.once()
        assert seen[other] == [State.STANDING] * 2
        assert {id for id, _ in joined.vpcs} <= set(seen), "each is looked at all the same"
        with joined.cloud.database.write() as session:
            for id in ids:
                attachments.update(session, joined.ann, id, is_published=published)
        seen.clear()


def test_a_round_that_is_killed_has_told_what_stood_by_then(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    first, second = sorted(joined.attach())
    make = joined.memory._ensure

    def ensure(thing: Any) -> None:
        if thing.id == second:
            raise Killed
        make(thing)

    monkeypatch.setattr(fabric, "_TOLD", 0.0)
    monkeypatch.setattr(joined.memory, "_ensure", ensure)
    with pytest.raises(Killed):
        Reconciler(joined.cloud, lambda: joined.memory).once()  # type: ignore[arg-type,return-value]
    assert joined.states(first, second) == [State.STANDING, State.MAKING]


def test_without_a_network_everything_waits_and_says_why(joined: Joined) -> None:
    def absent() -> Any:
        raise NetworkFailed("nothing answers", id="network.daemon_absent")

    ids = joined.attach()
    alone = Reconciler(joined.cloud, absent)
    assert set(ids) <= set(alone.once())
    assert joined.states(*ids) == [State.MAKING] * 2
    with joined.cloud.database.write() as session:
        assert "it is tried again" in session.get_one(attachments.Attachment, ids[0]).trouble
        attachments.delete(session, joined.ann, ids[0])
    alone.once()
    assert joined.states(ids[0]) == [State.REMOVING]  # the row stays as long as the thing may
    joined.reconciler.once()
    with joined.cloud.database.read() as session:
        assert session.get(attachments.Attachment, ids[0]) is None


def test_a_deleted_cen_goes_with_its_routers_and_nothing_of_it_is_left(joined: Joined) -> None:
    ids = joined.attach()
    joined.reconciler.once()
    with joined.cloud.database.write() as session:
        for id in ids:
            attachments.delete(session, joined.ann, id)
    joined.reconciler.once()
    with joined.cloud.database.write() as session:
        cens.delete(session, joined.ann, joined.cen)
    joined.reconciler.once()
    with joined.cloud.database.read() as session:
        assert session.get(cens.Cen, joined.cen) is None
    assert {id.split("-")[0] for id in joined.memory.things} == {"vpc", "vsw"}


def test_a_plan_that_ends_takes_the_bandwidth_away_and_renewed_gives_it_back(
    joined: Joined,
) -> None:
    joined.attach()
    joined.reconciler.once()
    plan, line = joined.line()
    with joined.cloud.database.write() as session:
        given: Any = {"area_a": "China", "area_b": "China", "bandwidth": 2, "period": 12}
        bandwidth.buy(session, joined.ann, **given)  # another ends later
        end = utcnow() + timedelta(seconds=2)
        session.get_one(bandwidth.BandwidthPlan, plan).expires_at = end
    joined.reconciler.turn()
    assert joined.memory.things[line].bits_per_second == 10_000_000
    assert wait_until(lambda: utcnow() >= end, 20)
    joined.reconciler.turn()  # nothing was written: the end itself calls for it
    assert joined.memory.things[line].bits_per_second is None
    with joined.cloud.database.write() as session:
        bandwidth.renew(session, joined.ann, plan, 1)
    joined.reconciler.turn()
    assert joined.memory.things[line].bits_per_second == 10_000_000


def test_a_plan_that_renews_itself_keeps_the_bandwidth(joined: Joined) -> None:
    joined.attach()
    joined.reconciler.once()
    plan, line = joined.line()
    with joined.cloud.database.write() as session:
        row = session.get_one(bandwidth.BandwidthPlan, plan)
        row.auto_renew_months, row.expires_at = 1, utcnow()
    joined.reconciler.once()
    assert joined.memory.things[line].bits_per_second == 10_000_000


def test_a_lines_last_bytes_are_counted_before_it_goes(joined: Joined) -> None:
    joined.attach()
    joined.reconciler.once()
    _, line = joined.line()
    with joined.cloud.database.write() as session:
        by_transfer = Order(allocation=Allocation.TRANSFER)
        lines.update(session, joined.ann, line, by_transfer)
    joined.reconciler.once()
    joined.memory.meters[line] = Meter(700, 77)
    with joined.cloud.database.write() as session:
        lines.delete(session, joined.ann, line)
    joined.reconciler.once()
    assert line not in joined.memory.things
    with joined.cloud.database.read() as session:
        used = session.scalars(select(Usage).where(Usage.item == Item.TRANSFER)).one()
        hours = session.scalars(select(Usage).where(Usage.item == Item.ATTACHMENT)).all()
    assert (used.resource_id, used.quantity) == (line, 777)
    assert len(hours) >= 2


def test_a_reconciler_at_work_sees_every_change_by_itself(joined: Joined) -> None:
    with fabric.running(joined.cloud, lambda: joined.memory):  # type: ignore[arg-type,return-value]
        ids = joined.attach()
        assert wait_until(lambda: joined.states(*ids) == [State.STANDING] * 2, 10)
        with joined.cloud.database.write() as session:
            for id in ids:
                attachments.delete(session, joined.ann, id)
        assert wait_until(lambda: not set(ids) & set(joined.memory.things), 10)
        assert wait_until(lambda: _gone(joined, ids), 10)
        vpc, zones = joined.vpcs[0]
        with joined.cloud.database.write() as session:
            vpcs.delete_vswitch(session, joined.ann, zones[0].vswitch_id)
            vpcs.delete_vpc(session, vpcs.find_vpc(session, joined.ann, vpc))
        assert wait_until(lambda: vpc not in joined.memory.things, 10)
    assert "network" not in {thread.name for thread in threading.enumerate()}


def _gone(joined: Joined, ids: list[str]) -> bool:
    with joined.cloud.database.read() as session:
        return all(session.get(attachments.Attachment, id) is None for id in ids)
