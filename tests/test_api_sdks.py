"""Every action through the vendor's unmodified SDKs: typed models, all ways of signing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alibabacloud_cbn20170912 import models as cbn
from alibabacloud_rds20140815 import models as rds
from alibabacloud_tea_openapi import models as openapi
from alibabacloud_vpc20160428 import models as vpc
from darabonba.runtime import RuntimeOptions

from coverage_docs import SDKS, wire_names
from fix_api import Tenant
from landbridge.api.action import Action
from landbridge.api.table import ACTIONS

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_caller_learns_its_uid(tenant: Tenant) -> None:
    body = tenant.sts().get_caller_identity().body
    assert body.account_id == str(tenant.uid)
    assert body.arn == f"acs:ram::{tenant.uid}:root"
    assert body.identity_type == "Account"
    assert body.request_id == body.request_id.upper()


def test_regions_zones_and_areas_arrive_in_typed_models(tenant: Tenant) -> None:
    client = tenant.vpc()
    regions = client.describe_regions(vpc.DescribeRegionsRequest()).body.regions.region
    assert {"cn-hangzhou", "cn-beijing"} <= {region.region_id for region in regions}
    assert regions[0].region_endpoint == tenant.endpoint

    zones = client.describe_zones(vpc.DescribeZonesRequest(region_id="cn-beijing")).body.zones.zone
    rows = tenant.rds().describe_regions(rds.DescribeRegionsRequest()).body.regions.rdsregion
    assert {z.zone_id for z in zones} == {r.zone_id for r in rows if r.region_id == "cn-beijing"}

    network = tenant.cbn()
    joined = network.describe_child_instance_regions(
        cbn.DescribeChildInstanceRegionsRequest(product_type="VPC")
    ).body.regions.region
    assert [r.region_id for r in joined] == [r.region_id for r in regions]
    router = network.list_transit_router_available_resource(
        cbn.ListTransitRouterAvailableResourceRequest(region_id="cn-beijing")
    ).body
    assert router.master_zones == router.slave_zones == [z.zone_id for z in zones]
    assert router.support_multicast is False


def test_spans_and_areas_come_in_pages(tenant: Tenant) -> None:
    client, found, number = tenant.cbn(), [], 1
    while len(found) < number * 3:
        body = client.describe_cen_geographic_spans(
            cbn.DescribeCenGeographicSpansRequest(page_number=number, page_size=3)
        ).body
        assert (body.page_number, body.page_size) == (number, 3)
        found += body.geographic_span_models.geographic_span_model
        if len(found) == body.total_count:
            break
        number += 1
    assert len({span.geographic_span_id for span in found}) == body.total_count > 3

    china = client.describe_geographic_region_membership(
        cbn.DescribeGeographicRegionMembershipRequest(geographic_region_id="China", page_size=50)
    ).body
    ids = [region.region_id for region in china.region_ids.region_id]
    assert "cn-beijing" in ids
    assert "eu-central-1" not in ids


def test_a_vpc_and_a_vswitch_from_first_to_last(tenant: Tenant) -> None:
    client = tenant.vpc()
    made = client.create_vpc(
        vpc.CreateVpcRequest(
            region_id="cn-hangzhou", cidr_block="10.1.0.0/16", vpc_name="Quelle ü & 100 %",
            description="a+b/c?d=e",
        )
    ).body  # fmt: skip
    assert made.vpc_id.startswith("vpc-")
    assert made.vrouter_id.startswith("vrt-")
    subnet = client.create_vswitch(
        vpc.CreateVSwitchRequest(
            vpc_id=made.vpc_id, zone_id="cn-hangzhou-h", cidr_block="10.1.2.0/24", v_switch_name="s"
        )
    ).body.v_switch_id

    (row,) = client.describe_vpcs(
        vpc.DescribeVpcsRequest(region_id="cn-hangzhou", vpc_id=made.vpc_id)
    ).body.vpcs.vpc
    assert (row.vpc_name, row.description) == ("Quelle ü & 100 %", "a+b/c?d=e")
    assert (row.cidr_block, row.status, row.owner_id) == ("10.1.0.0/16", "Available", tenant.uid)
    assert row.is_default is False
    assert row.v_switch_ids.v_switch_id == [subnet]
    assert row.router_table_ids.router_table_ids == [made.route_table_id]
    assert row.creation_time.endswith("Z")
    wanted = vpc.DescribeVpcAttributeRequest(region_id="cn-hangzhou", vpc_id=made.vpc_id)
    attribute = client.describe_vpc_attribute(wanted).body
    assert attribute.associated_cens.associated_cen == []
    assert attribute.v_switch_ids.v_switch_id == [subnet]

    (part,) = client.describe_vswitches(
        vpc.DescribeVSwitchesRequest(vpc_id=made.vpc_id)
    ).body.v_switches.v_switch
    assert (part.v_switch_id, part.zone_id, part.cidr_block) == (
        subnet, "cn-hangzhou-h", "10.1.2.0/24",
    )  # fmt: skip
    assert part.available_ip_address_count == 252
    assert part.route_table.route_table_id == made.route_table_id

    client.delete_vswitch(vpc.DeleteVSwitchRequest(v_switch_id=subnet))
    client.delete_vpc(vpc.DeleteVpcRequest(vpc_id=made.vpc_id))
    left = client.describe_vpcs(vpc.DescribeVpcsRequest(region_id="cn-hangzhou")).body
    assert left.total_count == 0
    assert left.vpcs.vpc == []


@pytest.mark.parametrize(
    ("method", "place"), [("GET", "query"), ("POST", "query"), ("POST", "body")]
)
@pytest.mark.parametrize("algorithm", ["ACS3-HMAC-SHA256", "v2"])
def test_the_generic_client_signs_either_way(
    tenant: Tenant, method: str, place: str, algorithm: str
) -> None:
    client = tenant.vpc(signature_algorithm=algorithm)
    params = openapi.Params(
        action="DescribeZones", version="2016-04-28", protocol="HTTP", method=method,
        auth_type="AK", style="RPC", pathname="/", req_body_type="formData", body_type="json",
    )  # fmt: skip
    request = openapi.OpenApiRequest(**{place: {"RegionId": "cn-beijing", "Note": "a b~c*ü"}})
    answer = client.call_api(params, request, RuntimeOptions())
    assert len(answer["body"]["Zones"]["Zone"]) > 3


def test_the_older_signature_of_the_current_sdk_passes(tenant: Tenant) -> None:
    client = tenant.vpc(signature_algorithm="v2")
    made = client.create_vpc(vpc.CreateVpcRequest(region_id="cn-beijing", vpc_name="ä +*~")).body
    (row,) = client.describe_vpcs(
        vpc.DescribeVpcsRequest(region_id="cn-beijing", vpc_name="ä +*~")
    ).body.vpcs.vpc
    assert (row.vpc_id, row.cidr_block) == (made.vpc_id, "172.16.0.0/16")


def test_the_legacy_sdk_works_and_reads_our_refusals(tenant: Tenant) -> None:
    from aliyunsdkcbn.request.v20170912 import DescribeChildInstanceRegionsRequest as Regions
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkvpc.request.v20160428 import CreateVpcRequest, DeleteVpcRequest

    client = tenant.legacy()

    def ask(request: Any) -> dict[str, Any]:
        request.set_protocol_type("http")
        request.set_endpoint(tenant.endpoint)
        found = json.loads(client.do_action_with_exception(request))
        assert isinstance(found, dict)
        return found

    assert ask(Regions.DescribeChildInstanceRegionsRequest())["Regions"]["Region"]
    create = CreateVpcRequest.CreateVpcRequest()
    create.set_CidrBlock("10.2.0.0/16")
    create.set_VpcName("über ~*")
    id = ask(create)["VpcId"]
    delete = DeleteVpcRequest.DeleteVpcRequest()
    delete.set_VpcId(id)
    ask(delete)
    with pytest.raises(ServerException) as gone:
        ask(delete)
    assert gone.value.get_error_code() == "InvalidVpcId.NotFound"
    assert gone.value.get_http_status() == 404

    client.set_region_id("cn-hangzhou")
    client._signer._credential.access_key_secret = "wrong"
    with pytest.raises(ServerException) as wrong:
        ask(CreateVpcRequest.CreateVpcRequest())
    assert wrong.value.get_error_code() == "InvalidAccessKeySecret"  # our string is its own


def test_a_security_token_is_refused_as_none_is_given_out(tenant: Tenant) -> None:
    from darabonba.exceptions import DaraException

    for algorithm in ("ACS3-HMAC-SHA256", "v2"):
        client = tenant.sts(security_token="token", signature_algorithm=algorithm)
        with pytest.raises(DaraException) as refused:
            client.get_caller_identity()
        assert refused.value.code == "InvalidSecurityToken.MismatchWithAccessKey"


_VENDORS = [action for action in ACTIONS if action.product in SDKS]


@pytest.mark.parametrize("action", _VENDORS, ids=lambda action: action.label)
def test_parameters_bear_the_names_that_the_sdk_sends(action: Action) -> None:
    sent = wire_names(action)
    for param in action.parameters:
        assert (param.name not in sent) == param.ours, param.name
