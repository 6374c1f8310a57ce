"""What an account sees and changes of itself: its trail, its keys, its users."""

from __future__ import annotations

from typing import Any

import pytest

from fix_api import Running, Tenant
from landbridge.api.action import Product
from landbridge.cloud.quotas import ACCESS_KEYS
from landbridge.errors import LandbridgeError


def ours(tenant: Tenant, action: str, **parameters: str) -> dict[str, Any]:
    return tenant.call(Product.LANDBRIDGE, action, **parameters)


def refused(tenant: Tenant, code: str, action: str, **parameters: str) -> None:
    with pytest.raises(LandbridgeError) as refusal:
        ours(tenant, action, **parameters)
    assert refusal.value.id == code


def test_a_key_is_made_used_and_disabled_and_the_last_one_stays(tenant: Tenant) -> None:
    refused(tenant, "OperationDenied.LastWayIn", "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    made = ours(tenant, "CreateAccessKey", ClientToken="t")
    other = Tenant(tenant.endpoint, tenant.uid, made["UserAccessKeyId"], made["AccessKeySecret"])
    ours(other, "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    refused(tenant, "InvalidAccessKeyId.Inactive", "ListAccessKeys")
    listed = ours(other, "ListAccessKeys")["AccessKeys"]
    assert [(k["UserAccessKeyId"], k["Status"]) for k in listed] == [
        (other.key_id, "Active"), (tenant.key_id, "Inactive"),
    ]  # fmt: skip
    assert "AccessKeySecret" not in listed[0]
    assert ours(other, "CreateAccessKey", ClientToken="t")["UserAccessKeyId"] != other.key_id
    for _ in range(ACCESS_KEYS.most - 2):
        ours(other, "CreateAccessKey")
    refused(other, "LimitExceeded.User.AccessKey", "CreateAccessKey")


def test_another_accounts_key_is_not_found(tenant: Tenant, service: Running) -> None:
    stranger = service.tenant(f"s{tenant.uid}")
    code = "InvalidAccessKeyId.NotFound"
    refused(stranger, code, "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    assert ours(stranger, "ListAccessKeys")["TotalCount"] == 1
    assert all(tenant.key_id not in str(e) for e in ours(tenant, "DescribeAuditTrail")["Entries"])


def test_the_trail_is_filtered_and_paged(tenant: Tenant) -> None:
    for name in ("one", "two", "three"):
        tenant.call(Product.VPC, "CreateVpc", RegionId="cn-hangzhou", VpcName=name)
    bad = {"RegionId": "cn-hangzhou", "CidrBlock": "1"}
    with pytest.raises(LandbridgeError):
        tenant.call(Product.VPC, "CreateVpc", **bad)
    ours(tenant, "CreateAccessKey")

    first = ours(tenant, "DescribeAuditTrail", PageSize="2")
    assert [e["Action"] for e in first["Entries"]] == [
        "landbridge.CreateAccessKey",
        "vpc.CreateVpc",
    ]
    assert (first["TotalCount"], first["Entries"][1]["Outcome"]) == (
        5,
        "InvalidCidrBlock.Malformed",
    )
    made = ours(tenant, "DescribeAuditTrail", ActionName="vpc.CreateVpc", Outcome="Success")
    assert made["TotalCount"] == 3
    entry = made["Entries"][0]
    assert entry["Resource"].startswith("vpc-")
    assert (entry["Source"], entry["UserAccessKeyId"]) == ("127.0.0.1", tenant.key_id)
    later = ours(tenant, "DescribeAuditTrail", StartTime=entry["Time"], EndTime="2999-01-01T00:00Z")
    assert 1 <= later["TotalCount"] <= 5
    assert ours(tenant, "DescribeAuditTrail", EndTime="2020-01-01T00:00Z")["Entries"] == []
    refused(tenant, "InvalidParameter", "DescribeAuditTrail", StartTime="yesterday")


def test_console_users_are_managed_and_keep_a_way_in(tenant: Tenant, service: Running) -> None:
    good = "correct horse battery"
    made = ours(tenant, "CreateConsoleUser", UserName="anna", Password=good)
    assert (made["UserName"], made["Status"]) == ("anna", "Active")
    code = "EntityAlreadyExists.User"
    refused(tenant, code, "CreateConsoleUser", UserName="anna", Password=good)
    code = "InvalidPassword.Malformed"
    refused(tenant, code, "SetConsoleUserPassword", UserName="anna", Password="short")
    ours(tenant, "SetConsoleUserPassword", UserName="anna", Password=good + "2")
    stranger = service.tenant(f"t{tenant.uid}")
    for action, more in (
        ("SetConsoleUserPassword", {"Password": good}),
        ("ModifyConsoleUser", {"Disabled": "true"}),
        ("DeleteConsoleUser", {}),
    ):
        refused(stranger, "EntityNotExist.User", action, UserName="anna", **more)
    assert ours(stranger, "ListConsoleUsers")["Users"] == []
    assert (
        ours(tenant, "ModifyConsoleUser", UserName="anna", Disabled="true")["Status"] == "Inactive"
    )
    refused(tenant, "OperationDenied.LastWayIn", "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    ours(tenant, "ModifyConsoleUser", UserName="anna", Disabled="false")
    assert [u["UserName"] for u in ours(tenant, "ListConsoleUsers")["Users"]] == ["anna"]
    other = ours(tenant, "CreateAccessKey")
    ours(tenant, "DisableAccessKey", UserAccessKeyId=other["UserAccessKeyId"])
    ours(tenant, "DeleteConsoleUser", UserName="anna")
    said = str(service.trail(tenant))
    assert "landbridge.SetConsoleUserPassword" in said
    assert "horse" not in said + service.log.read_text()


def test_the_last_key_may_go_while_a_user_can_sign_in(tenant: Tenant) -> None:
    ours(tenant, "CreateConsoleUser", UserName="anna", Password="correct horse battery")
    ours(tenant, "DisableAccessKey", UserAccessKeyId=tenant.key_id)
    refused(tenant, "InvalidAccessKeyId.Inactive", "ListConsoleUsers")
