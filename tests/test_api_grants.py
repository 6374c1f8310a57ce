"""What a grant that is refused tells of other accounts' CENs: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fix_api import Running, Tenant
from landbridge.api.action import Product
from landbridge.api.client import CallRefused

HZ = "cn-hangzhou"
NOBODY = 1_000_000_000_000_000
GIVE = [
    (Product.VPC, "GrantInstanceToCen", "RevokeInstanceFromCen"),
    (Product.CBN, "GrantInstanceToTransitRouter", "RevokeInstanceFromTransitRouter"),
]


def cen(owner: Tenant) -> str:
    return str(owner.call(Product.CBN, "CreateCen")["CenId"])


@pytest.mark.parametrize(("product", "give", "revoke"), GIVE)
def test_a_wrong_pair_of_cen_and_owner_is_answered_alike(
    tenant: Tenant, service: Running, product: Product, give: str, revoke: str
) -> None:
    """Whether the CEN is nowhere, another account's, or going; whether the account is one."""
    bob, carl = (service.tenant(f"{name}{give}{tenant.uid}") for name in ("bob", "carl"))
    vpc = tenant.call(Product.VPC, "CreateVpc", RegionId=HZ)["VpcId"]
    bobs, carls, going = cen(bob), cen(carl), cen(bob)
    bob.call(Product.CBN, "DeleteCen", CenId=going)

    def answer(action: str, id: str, owner: int) -> Any:
        given = {"RegionId": HZ, "InstanceId": vpc, "InstanceType": "VPC"}
        try:
            tenant.call(product, action, CenId=id, CenOwnerId=str(owner), **given)
        except CallRefused as refused:
            said = refused.message.partition(" (request ")[0]
            return refused.id, said.replace(id, "CEN").replace(str(owner), "UID"), refused.remedy
        return "Success"

    wrong = [
        ("cen-nothing", bob.uid), ("cen-nothing", NOBODY), (bobs, carl.uid), (bobs, NOBODY),
        (carls, bob.uid), (going, bob.uid),
    ]  # fmt: skip
    for action in (give, revoke):
        said = {answer(action, *pair) for pair in wrong}
        assert len(said) == 1 and "Success" not in said, said
    assert answer(revoke, bobs, bob.uid) == answer(revoke, *wrong[0])  # not granted yet
    assert answer(give, bobs, bob.uid) == answer(give, bobs, bob.uid) == "Success"
    assert answer(revoke, bobs, carl.uid) == answer(revoke, *wrong[0])
    assert answer(revoke, bobs, bob.uid) == "Success"


@pytest.mark.parametrize(("product", "give", "revoke"), GIVE)
def test_the_vpc_of_a_grant_lies_in_the_region_that_is_named(
    tenant: Tenant, service: Running, product: Product, give: str, revoke: str
) -> None:
    bob = service.tenant(f"bob{give}{tenant.uid}")
    vpc = tenant.call(Product.VPC, "CreateVpc", RegionId=HZ)["VpcId"]
    given = {
        "CenId": cen(bob), "CenOwnerId": str(bob.uid), "InstanceId": vpc, "InstanceType": "VPC",
    }  # fmt: skip
    for action in (give, revoke):
        with pytest.raises(CallRefused) as refused:
            tenant.call(product, action, RegionId="cn-beijing", **given)
        assert refused.value.id == "InvalidVpcId.NotFound"
