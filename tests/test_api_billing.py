"""Bandwidth plans renewed through the API, and what the networks would cost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from fix_api import Running, Tenant
from fix_cli import Cli
from landbridge.api.action import Product
from landbridge.api.client import CallRefused
from landbridge.cloud import Cloud
from landbridge.cloud.bandwidth import BandwidthPlan
from landbridge.postgres.process import wait_until
from landbridge.store import utcnow

OURS = Product.LANDBRIDGE
AREAS = {"GeographicRegionAId": "China", "GeographicRegionBId": "China"}


def buy(tenant: Tenant, **more: str) -> str:
    """100 Mbit/s for two months."""
    given = {"Bandwidth": "100", "Period": "2", **AREAS, **more}
    return str(
        tenant.call(Product.CBN, "CreateCenBandwidthPackage", **given)["CenBandwidthPackageId"]
    )


def described(tenant: Tenant, plan: str) -> Any:
    """A plan in the vendor's typed model."""
    from alibabacloud_cbn20170912 import models

    only = models.DescribeCenBandwidthPackagesRequestFilter(
        key="CenBandwidthPackageId", value=[plan]
    )
    request = models.DescribeCenBandwidthPackagesRequest(filter=[only])
    body = tenant.cbn().describe_cen_bandwidth_packages(request).body
    (found,) = body.cen_bandwidth_packages.cen_bandwidth_package
    return found


def end(service: Running, plan: str) -> None:
    """Let a plan have expired a day ago."""
    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        session.get_one(BandwidthPlan, plan).expires_at = utcnow() - timedelta(days=1)
    cloud.close()


def joined(tenant: Tenant, plan: str) -> None:
    """Two regions of a CEN on that plan."""
    cen = tenant.call(Product.CBN, "CreateCen")["CenId"]

    def all_are(action: str, key: str, status: str) -> bool:
        rows = tenant.call(Product.CBN, action, CenId=cen)[key]
        return bool(rows) and all(row["Status"] == status for row in rows)

    def is_there() -> bool:
        (found,) = tenant.call(Product.CBN, "DescribeCens")["Cens"]["Cen"]
        return bool(found["Status"] == "Active")

    assert wait_until(is_there, 30)
    routers = [
        tenant.call(Product.CBN, "CreateTransitRouter", CenId=cen, RegionId=region)[
            "TransitRouterId"
        ]
        for region in ("cn-hangzhou", "cn-beijing")
    ]
    assert wait_until(lambda: all_are("ListTransitRouters", "TransitRouters", "Active"), 30)
    both = {"CenId": cen, "CenBandwidthPackageId": plan}
    tenant.call(Product.CBN, "AssociateCenBandwidthPackage", **both)
    tenant.call(
        Product.CBN, "CreateTransitRouterPeerAttachment", TransitRouterId=routers[0],
        PeerTransitRouterId=routers[1], CenBandwidthPackageId=plan, Bandwidth="50",
    )  # fmt: skip
    action = "ListTransitRouterPeerAttachments", "TransitRouterAttachments", "Attached"
    assert wait_until(lambda: all_are(*action), 30)


@pytest.mark.filterwarnings("ignore")
def test_a_plan_that_has_expired_is_renewed_by_order_or_by_itself(
    tenant: Tenant, service: Running
) -> None:
    plan, other = buy(tenant), service.tenant(f"other{tenant.uid}")
    joined(tenant, plan)
    given = {"CenBandwidthPackageId": plan}

    def bytes_may_flow() -> bool:
        left = {"CenId": described(tenant, plan).cen_ids.cen_id[0], **AREAS}
        action = "DescribeCenGeographicSpanRemainingBandwidth"
        return bool(tenant.call(Product.CBN, action, **left)["RemainingBandwidth"] == 50)

    end(service, plan)
    assert described(tenant, plan).business_status == "FinancialLocked"
    assert not bytes_may_flow()
    with pytest.raises(CallRefused) as expired:
        tenant.call(Product.CBN, "ModifyCenBandwidthPackageSpec", Bandwidth="200", **given)
    assert expired.value.id == "InvalidOperation.BwpBusinessStatus"
    assert "RenewBandwidthPlan" in str(expired.value.remedy)

    answer = tenant.call(OURS, "RenewBandwidthPlan", Period="1", PricingCycle="Year", **given)
    seen = described(tenant, plan)
    assert (seen.business_status, seen.expired_time[:16]) == ("Normal", answer["ExpiredTime"][:16])
    assert bytes_may_flow() and answer["AutoRenewDuration"] == 0

    end(service, plan)
    automatic = {"AutoRenew": "true", "AutoRenewDuration": "3", **given}
    assert tenant.call(OURS, "SetBandwidthPlanAutoRenewal", **automatic)["AutoRenewDuration"] == 3
    assert described(tenant, plan).business_status == "Normal"
    tenant.call(OURS, "SetBandwidthPlanAutoRenewal", AutoRenew="false", **given)
    for who, period, code in (
        (other, "1", "InvalidCenBandwidthPackageId.NotFound"),
        (tenant, "37", "InvalidParameter"),
    ):
        with pytest.raises(CallRefused) as refused:
            who.call(OURS, "RenewBandwidthPlan", Period=period, **given)
        assert refused.value.id == code


def test_what_was_ordered_is_priced_for_its_account_and_time(
    tenant: Tenant, service: Running
) -> None:
    plan = buy(tenant)
    answer = tenant.call(OURS, "DescribeCostEstimate")
    assert answer["Costs"] == [
        {
            "Item": "bandwidth-plan", "ResourceId": plan, "Quantity": 200.0, "Unit": "Mbit/s month",
            "Price": 10.0, "Amount": 2000.0,
        }
    ]  # fmt: skip
    assert (answer["TotalAmount"], answer["Currency"], answer["TotalCount"]) == (2000.0, "USD", 1)
    assert "estimate" in answer["Meaning"] and "example" in answer["PriceList"]
    assert answer["StartTime"][8:] == "01T00:00:00Z"
    before = {"StartTime": "2020-01-01T00:00:00Z", "EndTime": "2020-02-01T00:00Z"}
    assert tenant.call(OURS, "DescribeCostEstimate", **before)["Costs"] == []
    assert service.tenant(f"other{tenant.uid}").call(OURS, "DescribeCostEstimate")["Costs"] == []
    for wrong in (
        {"StartTime": "yesterday"},
        {"EndTime": "2020-01-01T00:00:00Z", "StartTime": "2020-01-01T00:00:00Z"},
        {"StartTime": "2019-01-01T00:00:00Z", "EndTime": "2020-01-03T00:00:00Z"},
    ):
        with pytest.raises(CallRefused) as refused:
            tenant.call(OURS, "DescribeCostEstimate", **wrong)
        assert refused.value.id == "InvalidParameter"


def test_the_operator_sees_the_cost_by_prices_of_its_own(
    tenant: Tenant, service: Running, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = buy(tenant)
    monkeypatch.setenv("LANDBRIDGE_STATE", str(service.state))
    told = cli("account", "cost", tenant.uid).out
    assert plan in told and "2000.00" in told
    found = cli("account", "cost", tenant.uid, "--json").object
    assert (found["total"], found["costs"][0]["resource"]) == (2000.0, plan)
    early = cli("account", "cost", tenant.uid, "--until", "2020-02-01", "--json").object
    assert (early["costs"], early["since"][:10]) == ([], "2020-01-01")
    file = service.state / "cloud/prices.json"
    try:
        file.write_text(
            json.dumps({
                "note": "ours", "currency": "EUR", "vpc_attachment_hour": 1,
                "bandwidth_plan_mbps_month": {"default": 3}, "data_transfer_gb": {"default": 1},
            })
        )  # fmt: skip
        assert tenant.call(OURS, "DescribeCostEstimate")["TotalAmount"] == 600.0
        assert cli("account", "cost", tenant.uid, "--json").object["currency"] == "EUR"
        file.write_text('{"note": "broken"}')
        assert cli("account", "cost", tenant.uid, "--json").object["error"]["id"] == (
            "prices.unreadable"
        )
    finally:
        file.unlink()


def test_the_plain_verbs_renew_a_plan(
    tenant: Tenant, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_ID", tenant.key_id)
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_SECRET", tenant.secret)
    plan, here = buy(tenant), ("--endpoint", tenant.endpoint)
    before = cli("cen", "plan", "renew", plan, *here, "--json").object["ExpiredTime"]
    after = cli("cen", "plan", "renew", plan, "--months", "2", *here, "--json").object
    assert after["ExpiredTime"] > before and after["AutoRenewDuration"] == 0
    assert (
        "renews itself by 3 months"
        in cli("cen", "plan", "auto-renew", plan, "--months", "3", *here).out
    )
    none = cli("cen", "plan", "auto-renew", plan, "--months", "0", *here, "--json").object
    assert none["AutoRenewDuration"] == 0
    missing = cli("instance", "resize", "pgm-nothing", "--storage", "40", *here, "--json").object
    assert missing["error"]["id"] == "InvalidDBInstanceId.NotFound"


def test_what_a_plan_would_cost_is_said_before_it_is_bought(tenant: Tenant) -> None:
    order = {"Bandwidth": "10", "GeographicRegionAId": "China", "GeographicRegionBId": "China"}
    said = tenant.call(OURS, "DescribeBandwidthPlanPrice", **order, Period="3")
    assert (said["Amount"], said["Currency"]) == (300.0, "USD")
    year = tenant.call(OURS, "DescribeBandwidthPlanPrice", **order, PricingCycle="Year")
    assert year["Amount"] == 4 * said["Amount"]
    far = {**order, "GeographicRegionBId": "Europe"}
    assert tenant.call(OURS, "DescribeBandwidthPlanPrice", **far)["Amount"] > 300
    for wrong in ({"Bandwidth": "1"}, {"GeographicRegionAId": "Moon"}, {"Period": "0"}):
        with pytest.raises(CallRefused):
            tenant.call(OURS, "DescribeBandwidthPlanPrice", **{**order, **wrong})
