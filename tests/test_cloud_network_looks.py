"""What an account sees of its networks: the picture, what passes and why not, what is carried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alibabacloud_cbn20170912 import models as m

from fix_api import Running, Tenant
from fix_instances import best_mode
from fix_network import Net, a_network
from fix_party import BJ, HZ, SOON, Party, party
from landbridge.api.action import Product
from landbridge.cloud import Cloud, CloudError, accounts, attachments, cens, fabric, grants, reach
from landbridge.cloud.accounts import Account
from landbridge.cloud.allocation import Allocation, Order
from landbridge.cloud.fabric import Reconciler
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.lines import create
from landbridge.cloud.routers import find
from landbridge.cloud.traffic import APART, POINTS, Recent
from landbridge.errors import LandbridgeError
from landbridge.network.fabric import Meter, Outcome
from landbridge.network.verdict import Hop
from landbridge.postgres.process import wait_until
from test_cloud_network_packets import place, zones


@pytest.fixture
def net() -> Iterator[Net]:
    with a_network(best_mode()) as made:
        yield made


def test_what_decides_and_what_a_packet_met_at_every_step_of_the_procedure(
    cloud: Cloud, net: Net
) -> None:
    """Bob has pgm-1 and the CEN, Ann pgm-2."""
    reconciler = Reconciler(cloud, lambda: net.fabric)

    def ask(uid: int, source: str = "pgm-1", to: str = "pgm-2", port: int | None = None) -> Any:
        with cloud.database.read() as session:
            account = session.get_one(Account, uid)
            try:
                return reach.ask(session, net.fabric, account, source, to, port)
            except CloudError as refusal:
                return refusal.code

    with cloud.database.write() as session:
        ann, bob = accounts.create(session, "ann"), accounts.create(session, "bob")
        eve = accounts.create(session, "eve").uid
        near = place(session, bob, HZ, "10.1", 1)
        far = place(session, ann, BJ, "10.2", 2)
        cen = cens.create(session, bob, "cen").id
    assert reconciler.once() == {}
    with cloud.database.read() as session:
        net.identify(fabric.wanted(session).topology, "pgm-1", "pgm-2")
    assert ask(bob.uid) == "InvalidDBInstanceId.NotFound"
    assert ask(bob.uid, to=far) == "InvalidVpcId.NotFound"
    assert ask(bob.uid, to="pgm-9") == "InvalidDBInstanceId.NotFound"

    with cloud.database.write() as session:
        grants.give(session, ann, far, cen, bob.uid)
    first = ask(bob.uid)
    assert (first.verdict.hop, first.verdict.reason) == (
        Hop.ATTACHMENT, f"{near} has no attachment",
    )  # fmt: skip
    assert first.probe.outcome is not Outcome.OK
    with cloud.database.write() as session:
        for vpc, region, owner in ((near, HZ, None), (far, BJ, ann.uid)):
            attachments.create(
                session, bob, vpc_id=vpc, zones=zones(session, vpc), cen_id=cen, region=region,
                vpc_owner_uid=owner,
            )  # fmt: skip
    assert ask(ann.uid, source=far, to="pgm-1").verdict.hop is Hop.LINE
    assert reconciler.once() == {}
    with cloud.database.write() as session:
        a, b = (find(session, cen, region) for region in (HZ, BJ))
        assert a is not None and b is not None
        create(session, bob, Order(50, Allocation.TRANSFER), router_id=a.id, peer_router_id=b.id)
    assert reconciler.once() == {}

    passes = ask(bob.uid)
    assert (passes.verdict.hop, passes.probe.outcome, passes.port) == (Hop.NONE, Outcome.OK, 5432)
    other = ask(bob.uid, port=5433)
    assert (other.verdict.hop, other.probe.outcome) == (Hop.PORT, Outcome.REFUSED)
    assert ask(ann.uid).probe is None, "no packet is sent from another account's place"
    assert ask(bob.uid, source=near, to=far).verdict.hop is Hop.NONE
    assert ask(bob.uid, source=near).probe is None
    for source, to in (("pgm-1", "pgm-2"), (near, far)):
        assert ask(eve, source, to).endswith(".NotFound")
    with cloud.database.write() as session:
        (group,) = session.get_one(DBInstance, "pgm-2").groups
        group.entries = ["10.9.0.0/16"]
    assert ask(bob.uid).verdict.hop is Hop.WHITELIST
    assert ask(bob.uid, source=near).verdict.reason == "whitelist of pgm-2 lacks 10.1.0.0/16"


def test_a_curve_is_made_of_what_the_counters_grew_by() -> None:
    now = 100.0
    recent = Recent(lambda: now)
    assert recent.rates("l") == []
    for seconds, out, back in ((0, 0, 500), (APART / 2, 7, 500), (2, 1000, 500), (4, 1000, 750)):
        now = 100.0 + seconds
        recent.add("l", Meter(out, back))
    assert [(r.out, r.back) for r in recent.rates("l")] == [(4000, 0), (0, 1000)]
    assert recent.rates("l")[-1].at.timestamp() == 104
    now += 5
    recent.add("l", Meter(10, 0))  # made anew
    assert recent.rates("l") == []
    for _ in range(2 * POINTS):
        now += APART
        recent.add("l", Meter(10, 0))
    assert len(recent.rates("l")) == POINTS - 1


@pytest.fixture
def ann(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "ann")


@pytest.fixture
def bob(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "bob")


def _ours(tenant: Tenant, action: str, **parameters: str) -> dict[str, Any]:
    return tenant.call(Product.LANDBRIDGE, action, **parameters)


def test_both_accounts_see_one_picture_and_no_more_than_they_may(ann: Party, bob: Party) -> None:
    theirs, own, loose = ann.network(HZ, "10.1"), bob.network(HZ, "10.2"), ann.network(BJ, "10.3")
    cen = bob.cen()
    empty = _ours(ann.tenant, "DescribeTopology")
    assert empty["Cens"] == [] and len(empty["Vpcs"]) == 2
    ann.grant(theirs[0], cen, bob)
    (drawn,) = _ours(bob.tenant, "DescribeTopology")["Cens"]
    assert [vpc["VpcId"] for vpc in drawn["GrantedVpcs"]] == [theirs[0]]
    near = bob.attach(cen, HZ, own)
    far = bob.attach(cen, HZ, theirs, vpc_owner_id=ann.uid)

    seen = _ours(bob.tenant, "DescribeTopology", CenId=cen)
    (drawn,) = seen["Cens"]
    assert {a["TransitRouterAttachmentId"]: a["IsOwn"] for a in drawn["Attachments"]} == {
        near: True, far: False,
    }  # fmt: skip
    assert (drawn["IsOwn"], drawn["GrantedVpcs"], drawn["Lines"]) == (True, [], [])
    assert [vpc["VpcId"] for vpc in seen["Vpcs"]] == [own[0]]
    whole = _ours(ann.tenant, "DescribeTopology")
    (drawn,) = whole["Cens"]
    assert (drawn["IsOwn"], drawn["Name"], drawn["CenOwnerId"]) == (False, "", bob.uid)
    assert [a["TransitRouterAttachmentId"] for a in drawn["Attachments"]] == [far]
    assert {vpc["VpcId"]: (vpc["CenId"], vpc["IsGranted"]) for vpc in whole["Vpcs"]} == {
        theirs[0]: (cen, True), loose[0]: ("", False),
    }  # fmt: skip
    assert own[0] not in str(whole) and loose[0] not in str(seen)
    passes = _ours(ann.tenant, "DescribeReachability", SourceId=theirs[0], DestinationId=own[0])
    assert (passes["Passes"], passes["Hop"], passes["Probe"]) == (True, "none", None)
    for id in (cen + "x", loose[0]):
        with pytest.raises(LandbridgeError) as refused:
            _ours(bob.tenant, "DescribeTopology", CenId=id)
        assert refused.value.id == "InvalidCenId.NotFound"


def test_what_a_line_carries_is_measured(bob: Party, ann: Party) -> None:
    cen = bob.cen()
    for region in (HZ, BJ):
        bob.cbn.create_transit_router(m.CreateTransitRouterRequest(cen_id=cen, region_id=region))
    assert wait_until(lambda: {r.status for r in bob.routers(cen).values()} == {"Active"}, SOON)
    routers = bob.routers(cen)
    bob.cbn.create_transit_router_peer_attachment(
        m.CreateTransitRouterPeerAttachmentRequest(
            cen_id=cen, region_id=BJ, peer_transit_router_id=routers[HZ].transit_router_id,
            bandwidth_type="DataTransfer", bandwidth=40,
        )
    )  # fmt: skip
    assert wait_until(lambda: bob.peers()[0].status == "Attached", SOON)

    def line() -> dict[str, Any]:
        (found,) = _ours(bob.tenant, "DescribeLineTraffic", CenId=cen)["Lines"]
        return dict(found)

    assert wait_until(lambda: line()["BitsPerSecondToPeer"] is not None, SOON)
    found = line()
    assert (found["Bandwidth"], found["RegionId"], found["PeerRegionId"]) == (40, BJ, HZ)
    assert found["BitsPerSecondToPeer"] == 0
    assert all(len(point) == 3 for point in found["Series"])
    assert _ours(ann.tenant, "DescribeLineTraffic")["Lines"] == []
    with pytest.raises(LandbridgeError) as refused:
        id = found["TransitRouterAttachmentId"]
        _ours(ann.tenant, "DescribeLineTraffic", TransitRouterAttachmentId=id)
    assert refused.value.id == "InvalidTransitRouterAttachmentId.NotFound"
