"""Transit routers."""

from __future__ import annotations

from typing import Any

from ...cloud import cens, routers
from ...cloud.paging import numbered_list
from ..action import Action, Call, Param, Product
from ..moments import minute
from ..paging import PAGING, chosen, paged
from .lists import ACTIVE, status

_TYPE = "Enterprise"


def _create(call: Call) -> dict[str, Any]:
    router = routers.create(
        call.session,
        cens.standing(call.session, call.account, call["CenId"]),
        call["RegionId"],
        call["TransitRouterName"] or "",
        call["TransitRouterDescription"] or "",
    )
    return {"TransitRouterId": router.id}


def _list(call: Call) -> dict[str, Any]:
    facts = {
        "CenId": lambda router: router.cen_id,
        "RegionId": lambda router: router.region_id,
        "TransitRouterId": lambda router: router.id,
        "TransitRouterName": lambda router: router.name,
        "Status": lambda router: ACTIVE[router.state],
        "Type": lambda router: _TYPE,
    }
    rows = chosen(call, routers.every(call.session, call.account), facts)
    found = numbered_list(rows, call["PageNumber"], call["PageSize"])
    return {"TransitRouters": [_facts(router) for router in found.rows], **paged(found)}


def _facts(router: routers.TransitRouter) -> dict[str, Any]:
    return {
        "TransitRouterId": router.id,
        "TransitRouterName": router.name,
        "TransitRouterDescription": router.description,
        "CenId": router.cen_id,
        "AliUid": router.owner_uid,
        "RegionId": router.region_id,
        "Type": _TYPE,
        "CreationTime": minute(router.created_at),
        "SupportMulticast": False,
        "TransitRouterCidrList": [],
        "Tags": [],
        "MasterZone": router.primary_zone,
        "SlaveZone": router.secondary_zone,
        **status(router, ACTIVE),
    }


def _delete(call: Call) -> dict[str, Any]:
    routers.delete(call.session, call.account, call["TransitRouterId"])
    return {}


def _update(call: Call) -> dict[str, Any]:
    routers.modify(
        call.session,
        call.account,
        call["TransitRouterId"],
        name=call["TransitRouterName"],
        description=call["TransitRouterDescription"],
    )
    return {}


def _check_service(_: Call) -> dict[str, Any]:
    return {"Enabled": "true"}


def _open_service(_: Call) -> dict[str, Any]:
    return {"OrderId": ""}


ACTIONS = (
    Action(
        Product.CBN,
        "CheckTransitRouterService",
        "Whether transit routers can be used.",
        _check_service,
        differences="Always: there is nothing to be opened first.",
    ),
    Action(
        Product.CBN,
        "OpenTransitRouterService",
        "Open the service of transit routers.",
        _open_service,
        writes=True,
        differences="It is open for everybody, at no cost: no order is made, OrderId is empty.",
    ),
    Action(
        Product.CBN,
        "CreateTransitRouter",
        "Create a CEN's transit router in a region before its first attachment.",
        _create,
        (
            Param("CenId", required=True),
            Param("RegionId", required=True),
            Param("TransitRouterName"),
            Param("TransitRouterDescription"),
        ),
        writes=True,
        resource="TransitRouterId",
        dry_run=True,
        errors=(
            "InvalidCenId.NotFound",
            "InvalidRegionId.NotFound",
            "InvalidOperation.CenInstanceStatus",
            "EntityAlreadyExists.TransitRouter",
            "InvalidName",
            "InvalidDescription",
        ),
        differences="No CIDR blocks of its own, no multicast. Tags are ignored.",
    ),
    Action(
        Product.CBN,
        "ListTransitRouters",
        "List the account's transit routers.",
        _list,
        (
            *(
                Param(name)
                for name in (
                    "CenId", "RegionId", "TransitRouterId", "TransitRouterName", "Status", "Type",
                )
            ),
            *PAGING,
        ),
        differences="MasterZone and SlaveZone, additions, are those of the first attachment.",
    ),
    Action(
        Product.CBN,
        "UpdateTransitRouter",
        "Rename a transit router or describe it anew.",
        _update,
        (
            Param("TransitRouterId", required=True),
            Param("TransitRouterName"),
            Param("TransitRouterDescription"),
        ),
        writes=True,
        resource="TransitRouterId",
        dry_run=True,
        errors=("InvalidTransitRouterId.NotFound", "InvalidName", "InvalidDescription"),
    ),
    Action(
        Product.CBN,
        "DeleteTransitRouter",
        "Delete a transit router that nothing is attached to.",
        _delete,
        (Param("TransitRouterId", required=True),),
        writes=True,
        resource="TransitRouterId",
        dry_run=True,
        errors=("InvalidTransitRouterId.NotFound", "DependencyViolation"),
    ),
)  # fmt: skip
