"""CENs."""

from __future__ import annotations

from typing import Any

from ...cloud import bandwidth, cens
from ...cloud.paging import numbered_list
from ..action import Action, Call, Param, Product
from ..moments import minute
from ..paging import PAGING, paged
from .lists import ACTIVE, FILTER, filtered, status

_ID = Param("CenId", required=True)
_NAMED = (Param("Name"), Param("Description"))
_LEVEL = Param("ProtectionLevel", choices=(cens.PROTECTION,))
_NAME_RULE = "Names follow the older rule: 2 to 128 characters, a letter first."


def _create(call: Call) -> dict[str, Any]:
    cen = cens.create(call.session, call.account, call["Name"] or "", call["Description"] or "")
    return {"CenId": cen.id}


def _describe(call: Call) -> dict[str, Any]:
    facts = {"CenId": lambda cen: cen.id, "Name": lambda cen: cen.name}
    rows = filtered(call, cens.every(call.session, call.account), facts)
    plans = bandwidth.every(call.session, call.account)
    found = numbered_list(rows, call["PageNumber"], call["PageSize"])
    told = [_facts(cen, [p.id for p in plans if p.cen_id == cen.id]) for cen in found.rows]
    return {"Cens": {"Cen": told}, **paged(found)}


def _facts(cen: cens.Cen, plans: list[str]) -> dict[str, Any]:
    return {
        "CenId": cen.id,
        "Name": cen.name,
        "Description": cen.description,
        "ProtectionLevel": cens.PROTECTION,
        "CreationTime": minute(cen.created_at),
        "Ipv6Level": "DISABLED",
        "CenBandwidthPackageIds": {"CenBandwidthPackageId": plans},
        "Tags": {"Tag": []},
        **status(cen, ACTIVE),
    }


def _modify(call: Call) -> dict[str, Any]:
    cens.modify(
        call.session,
        call.account,
        call["CenId"],
        name=call["Name"],
        description=call["Description"],
    )
    return {}


def _delete(call: Call) -> dict[str, Any]:
    cens.delete(call.session, call.account, call["CenId"])
    return {}


ACTIONS = (
    Action(
        Product.CBN,
        "CreateCen",
        "Create a CEN.",
        _create,
        (*_NAMED, _LEVEL),
        writes=True,
        resource="CenId",
        errors=("InvalidName", "InvalidDescription", "QuotaExceeded.Cen"),
        differences=f"{_NAME_RULE} Tags are ignored.",
    ),
    Action(
        Product.CBN,
        "DescribeCens",
        "List the account's CENs.",
        _describe,
        (FILTER, *PAGING),
        differences="StatusReason, an addition, says why a CEN waits.",
    ),
    Action(
        Product.CBN,
        "ModifyCenAttribute",
        "Rename a CEN or describe it anew.",
        _modify,
        (_ID, *_NAMED, _LEVEL),
        writes=True,
        resource="CenId",
        errors=("InvalidCenId.NotFound", "InvalidName", "InvalidDescription"),
        differences=_NAME_RULE,
    ),
    Action(
        Product.CBN,
        "DeleteCen",
        "Delete a CEN that has no attachment, connection or bandwidth plan.",
        _delete,
        (_ID,),
        writes=True,
        resource="CenId",
        errors=("InvalidCenId.NotFound", "DependencyViolation"),
    ),
)
