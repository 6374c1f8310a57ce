"""Route tables through the vendor's SDK: what they say is what the network has."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_cbn20170912 import models as m
from alibabacloud_vpc20160428 import models as v

from fix_api import Running
from fix_party import BJ, HZ, SOON, Party, code, party
from landbridge.network.choose import Wanted
from landbridge.network.daemon.layout import Layout
from landbridge.network.netns.links import links_inside
from landbridge.network.netns.names import Kind, Names
from landbridge.postgres.process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def ann(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "ann")


@pytest.fixture
def bob(service: Running, request: pytest.FixtureRequest) -> Party:
    return party(service, request, "bob")


def entries(party: Party, table: str, **only: str) -> set[tuple[str, str, str]]:
    """Block, next hop and status of every route of a transit router."""
    request = m.ListTransitRouterRouteEntriesRequest(transit_router_route_table_id=table, **only)
    rows = party.cbn.list_transit_router_route_entries(request).body.transit_router_route_entries
    assert {row.transit_router_route_entry_type for row in rows} <= {"Propagated"}
    return {
        (
            row.transit_router_route_entry_destination_cidr_block,
            row.transit_router_route_entry_next_hop_id,
            row.transit_router_route_entry_status,
        )
        for row in rows
    }


def table_of(party: Party, router: str) -> str:
    request = m.ListTransitRouterRouteTablesRequest(transit_router_id=router)
    (row,) = party.cbn.list_transit_router_route_tables(request).body.transit_router_route_tables
    assert (row.transit_router_route_table_type, row.transit_router_id) == ("System", router)
    assert row.transit_router_route_table_status == "Active"
    return str(row.transit_router_route_table_id)


def routes_of_vpc(party: Party, region: str, vpc: str) -> dict[str, tuple[str, str, str]]:
    """Block -> type, next hop and status; all three ways of asking must agree."""
    listed = party.vpc.describe_route_table_list(
        v.DescribeRouteTableListRequest(region_id=region, vpc_id=vpc)
    ).body.router_table_list.router_table_list_type
    (table,) = listed
    assert (table.route_table_type, table.status, table.vpc_id) == ("System", "Available", vpc)
    assert len(table.v_switch_ids.v_switch_id) == 1
    request = v.DescribeRouteEntryListRequest(region_id=region, route_table_id=table.route_table_id)
    found = {
        row.destination_cidr_block: (row.type, row.next_hops.next_hop[0].next_hop_id, row.status)
        for row in party.vpc.describe_route_entry_list(request).body.route_entrys.route_entry
    }
    (older,) = party.vpc.describe_route_tables(
        v.DescribeRouteTablesRequest(region_id=region, vrouter_id=table.router_id)
    ).body.route_tables.route_table
    assert found == {
        row.destination_cidr_block: (row.type, row.instance_id, row.status)
        for row in older.route_entrys.route_entry
    }
    return found


def ties(party: Party, table: str, which: str) -> dict[str, str]:
    """Attachment -> status, of one kind of tie to a table."""
    request = getattr(m, f"ListTransitRouterRouteTable{which}sRequest")
    call = getattr(party.cbn, f"list_transit_router_route_table_{which.lower()}s")
    body = call(request(transit_router_route_table_id=table)).body
    rows = getattr(body, f"transit_router_{which.lower()}s")
    return {row.transit_router_attachment_id: row.status for row in rows}


def tie(party: Party, name: str, attachment: str, table: str) -> None:
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    request = getattr(m, f"{name}Request")(
        transit_router_attachment_id=attachment, transit_router_route_table_id=table
    )
    getattr(party.cbn, snake)(request)


def assert_in_network(service: Running, router: str, *blocks: str) -> None:
    """The kernel's own table of a transit router leads to these blocks and no other."""
    layout = Layout(service.state / "network")
    choice = layout.remembered(Wanted.AUTO)
    if choice is None or choice.driver is not Wanted.NETNS or os.geteuid() != 0:
        return
    file = layout.run / Names(layout.installation()).file(Kind.TRANSIT_ROUTER, router)
    routes = links_inside(file, lambda links: links.routes())
    assert {str(route.to) for route in routes if route.via is not None} == set(blocks)


def until(condition: Callable[[], bool]) -> None:
    assert wait_until(condition, SOON)


def test_tables_say_the_routes_that_the_network_has(
    service: Running, ann: Party, bob: Party
) -> None:
    """Ann's VPC in Bob's CEN: both see what their own packets meet, and no more."""
    source, target = ann.network(BJ, "10.1"), bob.network(HZ, "10.2")
    local = {"10.1.1.0/24": ("System", "", "Available")}
    assert routes_of_vpc(ann, BJ, source[0]) == local
    cen = bob.cen()
    ann.grant(source[0], cen, bob)
    far = bob.attach(cen, BJ, source, vpc_owner_id=ann.uid)
    near = bob.attach(cen, HZ, target)
    routers = {region: row.transit_router_id for region, row in bob.routers(cen).items()}
    table = table_of(bob, routers[HZ])
    assert entries(bob, table) == {("10.2.0.0/16", near, "Active")}
    line = bob.cbn.create_transit_router_peer_attachment(
        m.CreateTransitRouterPeerAttachmentRequest(
            transit_router_id=routers[HZ], peer_transit_router_id=routers[BJ], bandwidth=10,
            bandwidth_type="DataTransfer", auto_publish_route_enabled=True,
        )
    ).body.transit_router_attachment_id  # fmt: skip
    here, beyond = ("10.2.0.0/16", near, "Active"), ("10.1.0.0/16", line, "Active")
    until(lambda: entries(bob, table) == {here, beyond})
    assert entries(bob, table, transit_router_route_entry_next_hop_resource_type="TR") == {beyond}
    for near_end, far_end in ((HZ, BJ), (BJ, HZ)):
        there = {"transit_router_route_entry_next_hop_resource_id": routers[far_end]}
        assert {hop for _, hop, _ in entries(bob, table_of(bob, routers[near_end]), **there)} == {
            line
        }
    assert ties(bob, table, "Association") == {near: "Active", line: "Active"}
    assert routes_of_vpc(ann, BJ, source[0]) == local | {"10.2.0.0/16": ("CEN", far, "Available")}
    assert_in_network(service, routers[HZ], "10.1.0.0/16", "10.2.0.0/16")

    tie(bob, "DisableTransitRouterRouteTablePropagation", far, table_of(bob, routers[BJ]))
    until(lambda: bob.attachments(far)[0].status == "Attached")
    assert entries(bob, table) == {here}
    assert routes_of_vpc(ann, BJ, source[0]) == local
    assert_in_network(service, routers[HZ], "10.2.0.0/16")


@pytest.mark.slow
def test_ties_and_publishing_of_an_attachment_are_switched(ann: Party) -> None:
    cen = ann.cen()
    first = ann.attach(cen, HZ, ann.network(HZ, "10.1"), auto_publish_route_enabled=False)
    second = ann.attach(
        cen, HZ, ann.network(HZ, "10.2"),
        transit_router_vpcattachment_options={"ApplianceModeSupport": "disable"},
    )  # fmt: skip
    assert [ann.attachments(id)[0].auto_publish_route_enabled for id in (first, second)] == [
        False, True,
    ]  # fmt: skip
    (router,) = (row.transit_router_id for row in ann.routers(cen).values())
    table = table_of(ann, router)
    assert entries(ann, table) == {("10.2.0.0/16", second, "Active")}

    def update(**more: Any) -> None:
        ann.cbn.update_transit_router_vpc_attachment_attribute(
            m.UpdateTransitRouterVpcAttachmentAttributeRequest(
                transit_router_attachment_id=first, **more
            )
        )

    update(auto_publish_route_enabled=True, transit_router_attachment_name="first")
    until(lambda: ann.attachments(first)[0].status == "Attached")
    assert ann.attachments(first)[0].transit_router_attachment_name == "first"
    assert len(entries(ann, table)) == 2
    for name in ("Association", "Propagation"):
        assert ties(ann, table, name) == {first: "Active", second: "Active"}
    # What scripts for the vendor do after an attachment is so already: nothing happens.
    tie(ann, "AssociateTransitRouterAttachmentWithRouteTable", first, table)
    tie(ann, "EnableTransitRouterRouteTablePropagation", first, table)
    assert ann.attachments(first)[0].status == "Attached"
    tie(ann, "DissociateTransitRouterAttachmentFromRouteTable", second, table)
    assert ties(ann, table, "Association").keys() == {first}
    until(lambda: ann.attachments(second)[0].status == "Attached")
    assert entries(ann, table) == {("10.1.0.0/16", first, "Active")}
    tie(ann, "AssociateTransitRouterAttachmentWithRouteTable", second, table)
    until(lambda: len(entries(ann, table)) == 2)

    refused = code(lambda: update(transit_router_vpcattachment_options={"Ipv6Support": "enable"}))
    assert refused == "InvalidParameter"
    enable = "EnableTransitRouterRouteTablePropagation"
    assert code(lambda: tie(ann, enable, first, "vtb-none")) == (
        "InvalidTransitRouterRouteTableId.NotFound"
    )
    assert code(lambda: tie(ann, enable, "tr-attach-none", table)) == (
        "InvalidTransitRouterAttachmentId.NotFound"
    )


def test_what_an_inter_region_connection_cannot_be_is_refused(ann: Party) -> None:
    cen = ann.cen()
    opened = ann.cbn.open_transit_router_service(m.OpenTransitRouterServiceRequest())
    assert opened.body.order_id == ""
    checked = ann.cbn.check_transit_router_service(m.CheckTransitRouterServiceRequest())
    assert checked.body.enabled == "true"
    for region in (HZ, BJ):
        ann.cbn.create_transit_router(m.CreateTransitRouterRequest(cen_id=cen, region_id=region))
    until(lambda: [r.status for r in ann.routers(cen).values()] == ["Active"] * 2)
    routers = {region: row.transit_router_id for region, row in ann.routers(cen).items()}
    given: dict[str, Any] = {
        "transit_router_id": routers[HZ], "peer_transit_router_id": routers[BJ], "bandwidth": 5,
        "bandwidth_type": "DataTransfer",
    }  # fmt: skip

    def join(**more: Any) -> str:
        request = m.CreateTransitRouterPeerAttachmentRequest(**given, **more)
        made = ann.cbn.create_transit_router_peer_attachment(request).body
        return str(made.transit_router_attachment_id)

    assert code(lambda: join(auto_publish_route_enabled=False)) == "InvalidParameter"
    line, table = join(), table_of(ann, routers[BJ])
    tie(ann, "EnableTransitRouterRouteTablePropagation", line, table)
    refused = code(lambda: tie(ann, "DisableTransitRouterRouteTablePropagation", line, table))
    assert refused == "OperationUnsupported.PeerAttachment"
    ann.cbn.update_transit_router(
        m.UpdateTransitRouterRequest(transit_router_id=routers[BJ], transit_router_name="north")
    )
    assert ann.routers(cen)[BJ].transit_router_name == "north"


def test_the_older_actions_attach_what_the_newer_ones_see(ann: Party, bob: Party) -> None:
    """The whole of "Connect Network Instance" and of the bandwidth, as the older actions say it."""
    source, target = ann.network(BJ, "10.1"), bob.network(HZ, "10.2")
    cen = bob.cen()

    def child(vpc: str, region: str, **more: Any) -> dict[str, Any]:
        return {
            "cen_id": cen, "child_instance_id": vpc, "child_instance_region_id": region,
            "child_instance_type": "VPC", **more,
        }  # fmt: skip

    def attach(**given: Any) -> None:
        bob.cbn.attach_cen_child_instance(m.AttachCenChildInstanceRequest(**given))

    theirs = child(source[0], BJ, child_instance_owner_id=ann.uid)
    assert code(lambda: attach(**theirs)) == "Forbbiden.AttachChildInstanceAcrossUid"
    ann.vpc.grant_instance_to_cen(
        v.GrantInstanceToCenRequest(
            region_id=BJ, cen_id=cen, cen_owner_id=bob.uid, instance_id=source[0],
            instance_type="VPC",
        )
    )  # fmt: skip
    assert code(lambda: attach(**child(target[0], BJ))) == "IllegalParam.RegionId"
    vbr = child(target[0], HZ) | {"child_instance_type": "VBR"}
    assert code(lambda: attach(**vbr)) == "InvalidParameter"
    attach(**theirs)
    attach(**child(target[0], HZ))
    again = code(lambda: attach(**child(target[0], HZ)))
    assert again == "InvalidOperation.ChildInstanceAlreadyAttached"

    def children(**more: Any) -> list[Any]:
        request = m.DescribeCenAttachedChildInstancesRequest(cen_id=cen, **more)
        body = bob.cbn.describe_cen_attached_child_instances(request).body
        return list(body.child_instances.child_instance)

    until(lambda: {row.status for row in children()} == {"Attached"})
    (far,) = children(child_instance_region_id=BJ)
    assert (far.child_instance_id, far.child_instance_owner_id) == (source[0], ann.uid)
    assert far.child_instance_type == "VPC" and far.child_instance_attach_time.endswith("Z")
    shown = bob.cbn.describe_cen_attached_child_instance_attribute(
        m.DescribeCenAttachedChildInstanceAttributeRequest(**child(source[0], BJ))
    ).body
    assert (shown.status, shown.child_instance_attributes.cidr_block) == ("Attached", "10.1.0.0/16")
    newer = {row.vpc_id: row for row in bob.attachments()}
    assert newer.keys() == {source[0], target[0]}
    assert newer[source[0]].zone_mappings[0].v_switch_id == source[1][0].v_switch_id

    limit = m.SetCenInterRegionBandwidthLimitRequest(
        cen_id=cen, local_region_id=HZ, opposite_region_id=BJ, bandwidth_limit=20,
        bandwidth_type="DataTransfer",
    )  # fmt: skip
    bob.cbn.set_cen_inter_region_bandwidth_limit(limit)
    until(lambda: "10.2.0.0/16" in routes_of_vpc(ann, BJ, source[0]))

    def detach(party: Party, **given: Any) -> None:
        party.cbn.detach_cen_child_instance(m.DetachCenChildInstanceRequest(**given))

    wrong = theirs | {"child_instance_owner_id": bob.uid}
    assert code(lambda: detach(bob, **wrong)) == "ParameterIllegal.ChildInstanceId"
    detach(ann, **theirs, cen_owner_id=bob.uid)  # the VPC's owner, too
    until(lambda: [row.child_instance_id for row in children()] == [target[0]])
    assert code(lambda: detach(bob, **theirs)) == "ParameterIllegal.ChildInstanceId"
