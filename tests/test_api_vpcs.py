"""VPCs and vSwitches as calls: rules, owners, repeated calls, dry runs, pages, the trail."""

from __future__ import annotations

from typing import Any

import pytest

from fix_api import Running, Tenant
from landbridge.api.action import Product
from landbridge.api.client import CallRefused

VPC = Product.VPC


def create(tenant: Tenant, cidr: str = "10.1.0.0/16", **more: str) -> str:
    given = {"RegionId": "cn-hangzhou", "CidrBlock": cidr} | more
    return str(tenant.call(VPC, "CreateVpc", **given)["VpcId"])


def vswitch(tenant: Tenant, vpc: str, cidr: str, zone: str = "cn-hangzhou-h") -> str:
    made = tenant.call(VPC, "CreateVSwitch", VpcId=vpc, ZoneId=zone, CidrBlock=cidr)
    return str(made["VSwitchId"])


def listed(tenant: Tenant, **more: str) -> list[str]:
    found = tenant.call(VPC, "DescribeVpcs", **{"RegionId": "cn-hangzhou"} | more)
    return [row["VpcId"] for row in found["Vpcs"]["Vpc"]]


def code(call: Any, *arguments: Any, **parameters: str) -> str:
    with pytest.raises(CallRefused) as refused:
        call(*arguments, **parameters)
    return refused.value.id


@pytest.mark.parametrize(
    "cidr",
    ["10.1.0.0/15", "10.0.0.0/8", "10.1.0.0/29", "10.1.0.1/16", "10.1.0.0", "x", "fd00::/64",
     "100.64.0.0/16", "127.1.0.0/16", "169.254.0.0/16", "224.1.0.0/16"],
)  # fmt: skip
def test_blocks_that_no_vpc_may_have_are_refused(tenant: Tenant, cidr: str) -> None:
    assert code(create, tenant, cidr) == "InvalidCidrBlock.Malformed"


def test_names_and_regions_are_checked(tenant: Tenant) -> None:
    assert code(create, tenant, VpcName="http://x") == "InvalidVpcName.Malformed"
    assert code(create, tenant, VpcName="x" * 129) == "InvalidVpcName.Malformed"
    assert code(create, tenant, Description="x" * 257) == "InvalidVpcDiscription.Malformed"
    assert code(create, tenant, RegionId="nowhere") == "InvalidRegionId.NotFound"
    assert code(listed, tenant, RegionId="nowhere") == "InvalidRegionId.NotFound"
    assert listed(tenant) == []


def test_vswitches_lie_within_their_vpc_and_beside_each_other(tenant: Tenant) -> None:
    vpc = create(tenant)
    vswitch(tenant, vpc, "10.1.0.0/24")
    assert code(vswitch, tenant, vpc, "10.1.0.128/25") == "InvalidCidrBlock.Overlapped"
    assert code(vswitch, tenant, vpc, "10.2.0.0/24") == "InvalidCidrBlock.Malformed"
    assert code(vswitch, tenant, vpc, "10.1.1.0/30") == "InvalidCidrBlock.Malformed"
    assert code(vswitch, tenant, vpc, "10.1.1.0/24", "cn-beijing-a") == "InvalidZoneId.NotFound"
    assert code(tenant.call, VPC, "DeleteVpc", VpcId=vpc) == "DependencyViolation"


def test_an_account_has_ten_vpcs_a_region(tenant: Tenant) -> None:
    for number in range(10):
        create(tenant, f"10.{number}.0.0/16")
    assert code(create, tenant, "10.99.0.0/16") == "QuotaExceeded.Vpc"
    create(tenant, RegionId="cn-beijing")


def test_lists_come_in_pages_and_can_be_narrowed(tenant: Tenant) -> None:
    made = [create(tenant, f"10.{n}.0.0/16", VpcName=f"n{n % 2}") for n in range(5)]
    pages = [listed(tenant, PageSize="2", PageNumber=str(n)) for n in (1, 2, 3, 4)]
    assert pages == [made[:2], made[2:4], made[4:], []]
    assert listed(tenant, VpcName="n1") == [made[1], made[3]]
    assert listed(tenant, VpcId=f"{made[4]}, {made[0]}") == [made[0], made[4]]
    assert listed(tenant, IsDefault="true") == []
    assert listed(tenant, VpcOwnerId="1") == []
    assert listed(tenant, VpcOwnerId=str(tenant.uid)) == made
    assert code(listed, tenant, PageSize="51") == "InvalidParameter"
    assert code(listed, tenant, VpcId=",".join("x" * 21)) == "InvalidParameter"


def test_a_repeated_call_is_answered_again_not_done_again(tenant: Tenant) -> None:
    once = create(tenant, ClientToken="t-1")
    assert create(tenant, ClientToken="t-1") == once
    assert listed(tenant) == [once]
    assert code(create, tenant, "10.2.0.0/16", ClientToken="t-1") == "IdempotentParameterMismatch"
    assert code(create, tenant, ClientToken="ü") == "InvalidParameter"
    assert create(tenant, "10.2.0.0/16", ClientToken="t-2") != once


def test_a_dry_run_checks_and_keeps_nothing(tenant: Tenant) -> None:
    assert code(create, tenant, DryRun="true") == "DryRunOperation"
    assert code(create, tenant, DryRun="True", ClientToken="t") == "DryRunOperation"
    assert code(create, tenant, "10.0.0.0/8", DryRun="true") == "InvalidCidrBlock.Malformed"
    assert code(create, tenant, DryRun="perhaps") == "InvalidParameter"
    assert listed(tenant) == []
    create(tenant, DryRun="false", ClientToken="t")


def test_what_changes_something_is_in_the_trail_with_its_result(
    tenant: Tenant, service: Running
) -> None:
    vpc = create(tenant)
    assert code(create, tenant, "x") == "InvalidCidrBlock.Malformed"
    tenant.call(VPC, "DeleteVpc", VpcId=vpc)
    listed(tenant)
    entries = service.trail(tenant)
    assert [(e["action"], e["resource"], e["outcome"]) for e in entries] == [
        ("vpc.DeleteVpc", vpc, "Success"),
        ("vpc.CreateVpc", None, "InvalidCidrBlock.Malformed"),
        ("vpc.CreateVpc", vpc, "Success"),
    ]
    assert {(e["access_key"], e["source"]) for e in entries} == {(tenant.key_id, "127.0.0.1")}
