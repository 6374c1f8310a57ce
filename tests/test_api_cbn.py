"""CEN through the vendor's SDK, by two accounts; the service makes what they order."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_cbn20170912 import models as m
from alibabacloud_vpc20160428 import models as v

from fix_api import Running
from fix_party import BJ, HZ, SOON, Party, code, party
from landbridge.api.action import Product
from landbridge.api.client import CallRefused
from landbridge.postgres.process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def ann(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "ann")


@pytest.fixture
def bob(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "bob")


def test_a_cen_from_first_to_last(ann: Party, bob: Party) -> None:
    assert code(lambda: ann.cbn.create_cen(m.CreateCenRequest(name="1x"))) == "InvalidName"
    id = ann.cen()
    ann.cbn.modify_cen_attribute(
        m.ModifyCenAttributeRequest(cen_id=id, name="renamed", description="what for")
    )
    seen = ann.described(id)
    assert (seen.name, seen.description, seen.protection_level) == (
        "renamed", "what for", "REDUCED",
    )  # fmt: skip
    assert seen.creation_time.endswith("Z") and seen.cen_bandwidth_package_ids is not None
    assert bob.cbn.describe_cens(m.DescribeCensRequest()).body.cens.cen == []
    for call in (
        lambda: bob.cbn.delete_cen(m.DeleteCenRequest(cen_id=id)),
        lambda: bob.cbn.modify_cen_attribute(m.ModifyCenAttributeRequest(cen_id=id, name="ab")),
    ):
        assert code(call) == "InvalidCenId.NotFound"
    ann.cbn.delete_cen(m.DeleteCenRequest(cen_id=id))
    gone = m.DescribeCensRequest()
    assert wait_until(lambda: ann.cbn.describe_cens(gone).body.total_count == 0, SOON)


def test_the_procedures_network_across_two_accounts_and_regions(ann: Party, bob: Party) -> None:
    """Ann has the source, Bob the destination and the CEN."""
    source, target = ann.network(BJ, "10.1"), bob.network(HZ, "10.2")
    cen = bob.cen()
    attach = m.CreateTransitRouterVpcAttachmentRequest(
        cen_id=cen, region_id=BJ, vpc_id=source[0], vpc_owner_id=ann.uid, zone_mappings=source[1]
    )
    refused = code(lambda: bob.cbn.create_transit_router_vpc_attachment(attach))
    assert refused == "Forbbiden.AttachChildInstanceAcrossUid"

    grant: dict[str, Any] = {
        "cen_id": cen, "cen_owner_id": bob.uid, "instance_id": source[0], "instance_type": "VPC",
    }  # fmt: skip
    ann.cbn.grant_instance_to_transit_router(m.GrantInstanceToTransitRouterRequest(**grant))
    (rule,) = bob.cbn.describe_grant_rules_to_cen(
        m.DescribeGrantRulesToCenRequest(cen_id=cen, product_type="VPC")
    ).body.grant_rules.grant_rule
    assert (rule.child_instance_id, rule.child_instance_owner_id) == (source[0], ann.uid)
    assert (rule.child_instance_region_id, rule.order_type) == (BJ, "PayByCenOwner")
    (mine,) = ann.cbn.describe_grant_rules_to_resource(
        m.DescribeGrantRulesToResourceRequest(resource_id=source[0], product_type="VPC")
    ).body.grant_rules
    assert (mine.cen_id, mine.cen_owner_id) == (cen, bob.uid)
    (vswitch,) = bob.cbn.list_grant_vswitches_to_cen(
        m.ListGrantVSwitchesToCenRequest(cen_id=cen, region_id=BJ, vpc_id=source[0])
    ).body.v_switches
    assert vswitch.v_switch_id == source[1][0].v_switch_id

    older = v.DescribeGrantRulesToCenRequest(
        region_id=BJ, instance_id=source[0], instance_type="VPC"
    )
    (same,) = ann.vpc.describe_grant_rules_to_cen(older).body.cen_grant_rules.cbn_grant_rule
    assert (same.cen_instance_id, same.cen_owner_id) == (cen, bob.uid)

    far = bob.attach(cen, BJ, source, vpc_owner_id=ann.uid)
    attribute = v.DescribeVpcAttributeRequest(region_id=BJ, vpc_id=source[0])
    (joined,) = ann.vpc.describe_vpc_attribute(attribute).body.associated_cens.associated_cen
    assert (joined.cen_id, joined.cen_owner_id) == (cen, bob.uid)
    bob.attach(cen, HZ, target)
    (seen,) = ann.attachments()  # the VPC's owner sees its own
    assert (seen.transit_router_attachment_id, seen.vpc_owner_id) == (far, ann.uid)
    assert (seen.vpc_region_id, seen.resource_type) == (BJ, "VPC")
    assert seen.zone_mappings[0].zone_id == f"{BJ}-h"
    routers = bob.routers(cen)
    assert {r.status for r in routers.values()} == {"Active"} and set(routers) == {HZ, BJ}

    plan = bob.plan(cen)
    join = m.CreateTransitRouterPeerAttachmentRequest(
        cen_id=cen, region_id=BJ, peer_transit_router_id=routers[HZ].transit_router_id,
        peer_transit_router_region_id=HZ, bandwidth_type="BandwidthPackage", bandwidth=40,
        cen_bandwidth_package_id=plan, default_link_type="Gold",
    )  # fmt: skip
    bob.cbn.create_transit_router_peer_attachment(join)
    assert wait_until(lambda: bob.peers()[0].status == "Attached", SOON)
    (peer,) = bob.peers()
    assert (peer.bandwidth, peer.geographic_span_id) == (40, "china_china")
    assert (peer.default_link_type, peer.cen_bandwidth_package_id) == ("Gold", plan)
    assert code(
        lambda: ann.cbn.revoke_instance_from_transit_router(
            m.RevokeInstanceFromTransitRouterRequest(**grant)
        )
    ) == "DependencyViolation"  # fmt: skip
    remove_attachment(ann, far)
    assert wait_until(lambda: ann.attachments() == [], SOON)
    ann.cbn.revoke_instance_from_transit_router(m.RevokeInstanceFromTransitRouterRequest(**grant))
    assert (
        code(lambda: bob.cbn.create_transit_router_vpc_attachment(attach))
        == "Forbbiden.AttachChildInstanceAcrossUid"
    )


def remove_attachment(party: Party, id: str) -> None:
    party.cbn.delete_transit_router_vpc_attachment(
        m.DeleteTransitRouterVpcAttachmentRequest(transit_router_attachment_id=id)
    )


def test_what_the_procedure_forbids_about_bandwidth(ann: Party) -> None:
    cen = ann.cen()
    for region in (HZ, BJ):
        ann.cbn.create_transit_router(m.CreateTransitRouterRequest(cen_id=cen, region_id=region))
    assert wait_until(lambda: [r.status for r in ann.routers(cen).values()] == ["Active"] * 2, SOON)
    plan = ann.plan(cen, 50)
    routers = {region: r.transit_router_id for region, r in ann.routers(cen).items()}
    given: dict[str, Any] = {
        "transit_router_id": routers[HZ],
        "peer_transit_router_id": routers[BJ],
        "cen_bandwidth_package_id": plan,
        "bandwidth": 10,
    }

    def join(**more: Any) -> Any:
        request = m.CreateTransitRouterPeerAttachmentRequest(**{**given, **more})
        return ann.cbn.create_transit_router_peer_attachment(request).body

    gold = "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold"
    assert code(lambda: join(default_link_type="Platinum")) == gold
    assert code(lambda: join(bandwidth=51)) == "InvalidOperation.BwpBandwidthExceeded"
    assert code(lambda: join(bandwidth=None)) == "MissingParam.Bandwidth"
    assert code(lambda: join(bandwidth_type="Other")) == "IllegalParam.BandwidthType"
    assert code(lambda: join(dry_run=True)) == "DryRunOperation"
    assert ann.peers() == []
    line = join().transit_router_attachment_id

    def update(**more: Any) -> None:
        ann.cbn.update_transit_router_peer_attachment_attribute(
            m.UpdateTransitRouterPeerAttachmentAttributeRequest(
                transit_router_attachment_id=line, **more
            )
        )

    assert code(lambda: update(bandwidth=51)) == "InvalidOperation.BwpBandwidthExceeded"
    update(bandwidth=50)

    def resize(mbits: int) -> None:
        ann.cbn.modify_cen_bandwidth_package_spec(
            m.ModifyCenBandwidthPackageSpecRequest(cen_bandwidth_package_id=plan, bandwidth=mbits)
        )

    assert code(lambda: resize(49)) == "InvalidOperation.BwpBandwidthExceeded"
    resize(60)
    left = m.DescribeCenGeographicSpanRemainingBandwidthRequest(
        cen_id=cen, geographic_region_aid="China", geographic_region_bid="China"
    )
    answer = ann.cbn.describe_cen_geographic_span_remaining_bandwidth(left).body
    assert answer.remaining_bandwidth == 10
    area = {"CenBandwidthPackageId": plan, "GeographicRegionBId": "Europe"}
    with pytest.raises(CallRefused, match="cannot be changed"):
        ann.tenant.call(Product.CBN, "ModifyCenBandwidthPackageAttribute", **area)
    update(bandwidth_type="DataTransfer", default_link_type="Platinum")
    assert wait_until(lambda: ann.peers()[0].status == "Attached", SOON)
    (peer,) = ann.peers()
    assert (peer.bandwidth_type, peer.default_link_type) == ("DataTransfer", "Platinum")


def test_a_plan_as_it_is_described_and_given_back(ann: Party) -> None:
    cen = ann.cen()
    id = ann.plan(cen)
    (plan,) = ann.plans(CenId=cen, Status="InUse")
    assert (plan.bandwidth, plan.business_status) == (100, "Normal")
    assert (plan.geographic_region_aid, plan.geographic_span_id) == ("China", "china_china")
    assert plan.cen_ids.cen_id == [cen] and plan.expired_time > plan.creation_time
    assert plan.is_cross_border is False
    assert plan.orgin_inter_region_bandwidth_limits.orgin_inter_region_bandwidth_limit == []
    assert ann.described(cen).cen_bandwidth_package_ids.cen_bandwidth_package_id == [id]
    assert ann.plans(Status="Idle") == []
    both = m.UnassociateCenBandwidthPackageRequest(cen_id=cen, cen_bandwidth_package_id=id)
    delete = m.DeleteCenBandwidthPackageRequest(cen_bandwidth_package_id=id)
    assert code(lambda: ann.cbn.delete_cen(m.DeleteCenRequest(cen_id=cen))) == (
        "DependencyViolation"
    )
    refused = code(lambda: ann.cbn.delete_cen_bandwidth_package(delete))
    assert refused == "IncorrectStatus.BandwidthPackage"
    ann.cbn.unassociate_cen_bandwidth_package(both)
    refused = code(lambda: ann.cbn.unassociate_cen_bandwidth_package(both))
    assert refused == "InvalidOperation.BwpNotAssociated"
    ann.cbn.delete_cen_bandwidth_package(delete)
    assert ann.plans() == []


def test_the_older_way_to_give_regions_bandwidth(ann: Party) -> None:
    cen = ann.cen()
    for region in (HZ, BJ):
        ann.cbn.create_transit_router(m.CreateTransitRouterRequest(cen_id=cen, region_id=region))
    assert wait_until(lambda: [r.status for r in ann.routers(cen).values()] == ["Active"] * 2, SOON)
    ann.plan(cen)

    def limit(mbits: int) -> None:
        ann.cbn.set_cen_inter_region_bandwidth_limit(
            m.SetCenInterRegionBandwidthLimitRequest(
                cen_id=cen, local_region_id=HZ, opposite_region_id=BJ, bandwidth_limit=mbits
            )
        )

    def limits() -> list[Any]:
        request = m.DescribeCenInterRegionBandwidthLimitsRequest(cen_id=cen)
        body = ann.cbn.describe_cen_inter_region_bandwidth_limits(request).body
        found: list[Any] = body.cen_inter_region_bandwidth_limits.cen_inter_region_bandwidth_limit
        return found

    limit(30)
    assert wait_until(lambda: limits()[0].status == "Active", SOON)
    (row,) = limits()
    assert (row.local_region_id, row.opposite_region_id, row.bandwidth_limit) == (HZ, BJ, 30)
    limit(0)
    assert wait_until(lambda: limits() == [], SOON)


def test_attachments_come_in_pages_and_overlap_is_refused(ann: Party) -> None:
    cen = ann.cen()
    ids = [ann.attach(cen, HZ, ann.network(HZ, f"10.{n}")) for n in (1, 2, 3)]
    request = m.ListTransitRouterVpcAttachmentsRequest(cen_id=cen, max_results=2)
    first = ann.cbn.list_transit_router_vpc_attachments(request).body
    request.next_token = first.next_token
    second = ann.cbn.list_transit_router_vpc_attachments(request).body
    pages = [*first.transit_router_attachments, *second.transit_router_attachments]
    assert [row.transit_router_attachment_id for row in pages] == ids
    assert (first.total_count, second.next_token) == (3, None)
    again = ann.network(HZ, "10.2")
    refused = code(lambda: ann.attach(cen, HZ, again))
    assert refused == "InvalidOperation.CidrBlockOverlapped"
    dry = {"dry_run": True}
    assert code(lambda: ann.attach(cen, HZ, ann.network(HZ, "10.9"), **dry)) == "DryRunOperation"
    assert code(lambda: ann.attach(cen, BJ, ann.network(HZ, "10.8"))) == "IllegalParam.RegionId"
    (router,) = ann.routers(cen).values()
    busy = m.DeleteTransitRouterRequest(transit_router_id=router.transit_router_id)
    assert code(lambda: ann.cbn.delete_transit_router(busy)) == "DependencyViolation"
