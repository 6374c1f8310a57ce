"""Bandwidth plans, which the API calls bandwidth packages."""

from __future__ import annotations

from typing import Any

from ...cloud import bandwidth, quotas
from ...cloud.bandwidth import BandwidthPlan, ChargeType, Cycle
from ...cloud.paging import numbered_list
from ..action import Action, Call, Kind, Param, Product
from ..moments import minute
from ..paging import PAGING, paged
from .lists import FILTER, filtered

_ID = Param("CenBandwidthPackageId", required=True)
_CEN = Param("CenId", required=True)
_BANDWIDTH = Param("Bandwidth", Kind.INTEGER, required=True, code="IllegalParam.Bandwidth")
_NAMED = (Param("Name"), Param("Description"))
_AREAS = ("GeographicRegionAId", "GeographicRegionBId")
_MISSING = "InvalidCenBandwidthPackageId.NotFound"
_NAME_ERRORS = ("InvalidName", "InvalidDescription")


def _create(call: Call) -> dict[str, Any]:
    plan = bandwidth.buy(
        call.session,
        call.account,
        area_a=call["GeographicRegionAId"],
        area_b=call["GeographicRegionBId"],
        bandwidth=call["Bandwidth"],
        period=call["Period"],
        cycle=Cycle(call["PricingCycle"]),
        auto_renew_months=call["AutoRenewDuration"] if call["AutoRenew"] else 0,
        name=call["Name"] or "",
        description=call["Description"] or "",
    )
    return {"CenBandwidthPackageId": plan.id, "CenBandwidthPackageOrderId": plan.order_id}


def _associate(call: Call) -> dict[str, Any]:
    bandwidth.associate(call.session, call.account, call["CenBandwidthPackageId"], call["CenId"])
    return {}


def _unassociate(call: Call) -> dict[str, Any]:
    bandwidth.unassociate(call.session, call.account, call["CenBandwidthPackageId"], call["CenId"])
    return {}


def _describe(call: Call) -> dict[str, Any]:
    facts = {
        "CenId": lambda plan: plan.cen_id,
        "Status": _status,
        "CenBandwidthPackageId": lambda plan: plan.id,
        "Name": lambda plan: plan.name,
    }
    every = bandwidth.every(call.session, call.account)
    rows = filtered(call, every, facts, either=bool(call["IsOrKey"]))
    found = numbered_list(rows, call["PageNumber"], call["PageSize"])
    told = [_facts(plan) for plan in found.rows]
    return {"CenBandwidthPackages": {"CenBandwidthPackage": told}, **paged(found)}


def _status(plan: BandwidthPlan) -> str:
    return "InUse" if plan.cen_id else "Idle"


def _facts(plan: BandwidthPlan) -> dict[str, Any]:
    limits = [
        {
            "LocalRegionId": line.router.region_id,
            "OppositeRegionId": line.peer_router.region_id,
            "GeographicSpanId": line.span,
            "BandwidthLimit": line.bandwidth,
        }
        for line in plan.connections
        if line.is_wanted
    ]
    return {
        "CenBandwidthPackageId": plan.id,
        "Name": plan.name,
        "Description": plan.description,
        "Bandwidth": plan.bandwidth,
        "BandwidthPackageChargeType": plan.charge_type.value,
        "GeographicRegionAId": plan.area_a,
        "GeographicRegionBId": plan.area_b,
        "GeographicSpanId": plan.span,
        "Status": _status(plan),
        "BusinessStatus": "FinancialLocked" if plan.is_expired() else "Normal",
        "CreationTime": minute(plan.created_at),
        "ExpiredTime": minute(plan.expires_at),
        "AutoRenewDuration": plan.auto_renew_months,
        "IsCrossBorder": plan.area_a != plan.area_b and "China" in (plan.area_a, plan.area_b),
        "HasReservationData": "false",
        "CenIds": {"CenId": [plan.cen_id] if plan.cen_id else []},
        "OrginInterRegionBandwidthLimits": {"OrginInterRegionBandwidthLimit": limits},
        "Tags": {"Tag": []},
    }


def _modify(call: Call) -> dict[str, Any]:
    bandwidth.modify(
        call.session,
        call.account,
        call["CenBandwidthPackageId"],
        name=call["Name"],
        description=call["Description"],
        area_a=call["GeographicRegionAId"],
        area_b=call["GeographicRegionBId"],
    )
    return {}


def _resize(call: Call) -> dict[str, Any]:
    bandwidth.resize(call.session, call.account, call["CenBandwidthPackageId"], call["Bandwidth"])
    return {}


def _delete(call: Call) -> dict[str, Any]:
    bandwidth.delete(call.session, call.account, call["CenBandwidthPackageId"])
    return {}


def _remaining(call: Call) -> dict[str, Any]:
    left = bandwidth.remaining(
        call.session, call.account, call["CenId"], *(call[area] for area in _AREAS)
    )
    return {"RemainingBandwidth": left}


ACTIONS = (
    Action(
        Product.CBN,
        "CreateCenBandwidthPackage",
        "Buy a bandwidth plan between two areas.",
        _create,
        (
            _BANDWIDTH,
            *(Param(area, required=True) for area in _AREAS),
            *_NAMED,
            Param(
                "BandwidthPackageChargeType",
                choices=(ChargeType.PREPAY.value,),
                code="IllegalParam.ChargeType",
            ),
            Param("PricingCycle", choices=tuple(c.value for c in Cycle), default="Month"),
            Param("Period", Kind.INTEGER, default=1, least=1, most=bandwidth.MOST_MONTHS),
            Param("AutoRenew", Kind.BOOLEAN),
            Param("AutoRenewDuration", Kind.INTEGER, default=1, least=1, most=12),
        ),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(
            "IllegalParam.Bandwidth",
            "IllegalParam.ChargeType",
            quotas.PLANS.code,
            *_NAME_ERRORS,
        ),
        differences="Paid at once, whatever AutoPay says; nobody is charged. Tags are ignored. To"
        " renew one: RenewBandwidthPlan and SetBandwidthPlanAutoRenewal of our own version.",
    ),
    Action(
        Product.CBN,
        "AssociateCenBandwidthPackage",
        "Give a bandwidth plan to a CEN.",
        _associate,
        (_CEN, _ID),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(
            _MISSING,
            "InvalidCenId.NotFound",
            "InvalidOperation.CenInstanceStatus",
            "InvalidOperation.BwpBusinessStatus",
            "IncorrectStatus.BandwidthPackage",
        ),
    ),
    Action(
        Product.CBN,
        "UnassociateCenBandwidthPackage",
        "Take a bandwidth plan from its CEN; no connection may use it.",
        _unassociate,
        (_CEN, _ID),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(
            _MISSING,
            "InvalidCenId.NotFound",
            "InvalidOperation.BwpNotAssociated",
            "DependencyViolation",
        ),
    ),
    Action(
        Product.CBN,
        "DescribeCenBandwidthPackages",
        "List the account's bandwidth plans.",
        _describe,
        (FILTER, Param("IsOrKey", Kind.BOOLEAN), *PAGING),
        differences="AutoRenewDuration, an addition, is in months; 0: it does not renew itself.",
    ),
    Action(
        Product.CBN,
        "ModifyCenBandwidthPackageAttribute",
        "Rename a bandwidth plan or describe it anew.",
        _modify,
        (_ID, *_NAMED, *(Param(area, ours=True) for area in _AREAS)),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(_MISSING, "OperationUnsupported.ModifyArea", *_NAME_ERRORS),
        differences="Other areas than those of the purchase are refused, not ignored.",
    ),
    Action(
        Product.CBN,
        "ModifyCenBandwidthPackageSpec",
        "Give a bandwidth plan another bandwidth, not less than is allocated.",
        _resize,
        (_ID, _BANDWIDTH),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(
            _MISSING,
            "IllegalParam.Bandwidth",
            "InvalidOperation.BwpBandwidthExceeded",
            "InvalidOperation.BwpBusinessStatus",
        ),
    ),
    Action(
        Product.CBN,
        "DeleteCenBandwidthPackage",
        "Give up a bandwidth plan that no CEN has.",
        _delete,
        (_ID,),
        writes=True,
        resource="CenBandwidthPackageId",
        errors=(_MISSING, "IncorrectStatus.BandwidthPackage"),
        differences="Also before the plan's end; what was paid stays paid.",
    ),
    Action(
        Product.CBN,
        "DescribeCenGeographicSpanRemainingBandwidth",
        "How much of a CEN's plans between two areas is not allocated.",
        _remaining,
        (_CEN, *(Param(area, required=True) for area in _AREAS)),
        errors=("InvalidCenId.NotFound",),
    ),
)
