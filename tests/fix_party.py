"""Two accounts of the shared service with clients of CEN and VPC, and what they order with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from alibabacloud_cbn20170912 import models as m
from alibabacloud_vpc20160428 import models as v
from darabonba.exceptions import DaraException

from fix_api import Running, Tenant
from landbridge.postgres.process import wait_until

HZ, BJ = "cn-hangzhou", "cn-beijing"
#: Seconds in which the network is made, on a busy machine.
SOON = 90


@dataclass
class Party:
    """An account with its clients."""

    tenant: Tenant
    cbn: Any = field(init=False)
    vpc: Any = field(init=False)

    def __post_init__(self) -> None:
        self.cbn, self.vpc = self.tenant.cbn(), self.tenant.vpc()

    @property
    def uid(self) -> int:
        return self.tenant.uid

    def network(self, region: str, block: str) -> tuple[str, list[m.Any]]:
        """A VPC with one vSwitch, and the zone mapping of it."""
        zone = f"{region}-h"
        vpc = self.vpc.create_vpc(
            v.CreateVpcRequest(region_id=region, cidr_block=f"{block}.0.0/16")
        ).body.vpc_id
        vswitch = self.vpc.create_vswitch(
            v.CreateVSwitchRequest(vpc_id=vpc, zone_id=zone, cidr_block=f"{block}.1.0/24")
        ).body.v_switch_id
        mapping = m.CreateTransitRouterVpcAttachmentRequestZoneMappings
        return vpc, [mapping(zone_id=zone, v_switch_id=vswitch)]

    def cen(self) -> str:
        """An active CEN."""
        id: str = self.cbn.create_cen(m.CreateCenRequest(name="joined")).body.cen_id
        assert wait_until(lambda: self.described(id).status == "Active", SOON)
        return id

    def described(self, cen: str) -> Any:
        only = [m.DescribeCensRequestFilter(key="CenId", value=[cen])]
        (found,) = self.cbn.describe_cens(m.DescribeCensRequest(filter=only)).body.cens.cen
        return found

    def grant(self, vpc: str, cen: str, owner: Party) -> None:
        """Let a CEN of another party attach a VPC of this one."""
        self.cbn.grant_instance_to_transit_router(
            m.GrantInstanceToTransitRouterRequest(
                cen_id=cen, cen_owner_id=owner.uid, instance_id=vpc, instance_type="VPC"
            )
        )

    def attach(self, cen: str, region: str, network: Any, **more: Any) -> str:
        """An attachment that is attached."""
        id: str = self.cbn.create_transit_router_vpc_attachment(
            m.CreateTransitRouterVpcAttachmentRequest(
                cen_id=cen, region_id=region, vpc_id=network[0], zone_mappings=network[1], **more
            )
        ).body.transit_router_attachment_id
        assert wait_until(lambda: self.attachments(id)[0].status == "Attached", SOON)
        return id

    def attachments(self, id: str | None = None) -> list[Any]:
        request = m.ListTransitRouterVpcAttachmentsRequest(transit_router_attachment_id=id)
        body = self.cbn.list_transit_router_vpc_attachments(request).body
        found: list[Any] = body.transit_router_attachments
        return found

    def routers(self, cen: str) -> dict[str, Any]:
        request = m.ListTransitRoutersRequest(cen_id=cen)
        rows = self.cbn.list_transit_routers(request).body.transit_routers
        return {row.region_id: row for row in rows}

    def plan(self, cen: str, mbits: int = 100) -> str:
        """A plan inside China, of the CEN."""
        bought = self.cbn.create_cen_bandwidth_package(
            m.CreateCenBandwidthPackageRequest(
                bandwidth=mbits, geographic_region_aid="China", geographic_region_bid="China",
                name="plan", period=2, pricing_cycle="Month", auto_renew=True,
            )
        ).body  # fmt: skip
        assert bought.cen_bandwidth_package_order_id
        id: str = bought.cen_bandwidth_package_id
        self.cbn.associate_cen_bandwidth_package(
            m.AssociateCenBandwidthPackageRequest(cen_id=cen, cen_bandwidth_package_id=id)
        )
        return id

    def plans(self, **only: str) -> list[Any]:
        wanted = [
            m.DescribeCenBandwidthPackagesRequestFilter(key=key, value=[value])
            for key, value in only.items()
        ]
        request = m.DescribeCenBandwidthPackagesRequest(filter=wanted)
        body = self.cbn.describe_cen_bandwidth_packages(request).body
        found: list[Any] = body.cen_bandwidth_packages.cen_bandwidth_package
        return found

    def peers(self) -> list[Any]:
        request = m.ListTransitRouterPeerAttachmentsRequest()
        body = self.cbn.list_transit_router_peer_attachments(request).body
        found: list[Any] = body.transit_router_attachments
        return found


def party(service: Running, request: pytest.FixtureRequest, name: str) -> Party:
    """A new account for the test that asks."""
    return Party(service.tenant(f"{name}{abs(hash(request.node.nodeid))}"))


def code(ask: Callable[[], Any]) -> str:
    with pytest.raises(DaraException) as refused:
        ask()
    return str(refused.value.code)
