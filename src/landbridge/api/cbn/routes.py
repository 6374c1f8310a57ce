"""Route tables of transit routers: one each, what is tied to it, and its routes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...cloud import routers, routes
from ...cloud.attachments import Attachment
from ...cloud.lines import Connection
from ...cloud.made import State
from ...cloud.routers import TransitRouter
from ...cloud.routes import Route, Tie
from ..action import Action, Call, Param, Product
from ..moments import minute
from ..paging import TOKENS, chosen, page
from .lists import ACTIVE

_TABLE = Param("TransitRouterRouteTableId", required=True)
_ATTACHMENT = Param("TransitRouterAttachmentId", required=True)
#: Words for a tie to a table while it is made and while it goes.
_WORDS = {
    Tie.ASSOCIATION: ("Associating", "Dissociating"),
    Tie.PROPAGATION: ("Enabling", "Disabling"),
}
_ENTRY = "TransitRouterRouteEntry"
_NONE_OF_THEIRS = "Only the system route table of each transit router is there."


def _tables(call: Call) -> dict[str, Any]:
    facts = {
        "TransitRouterId": lambda router: router.id,
        "TransitRouterRouteTableStatus": lambda router: ACTIVE[router.state],
        "TransitRouterRouteTableType": lambda router: "System",
    }
    rows = chosen(call, routers.every(call.session, call.account), facts)
    if ids := call["TransitRouterRouteTableIds"]:
        rows = [router for router in rows if router.route_table_id in ids]
    if call["TransitRouterRouteTableNames"]:
        rows = []  # none has a name
    found, told = page(call, rows)
    tables = [
        {
            "TransitRouterRouteTableId": router.route_table_id,
            "TransitRouterRouteTableName": "",
            "TransitRouterRouteTableDescription": "",
            "TransitRouterRouteTableType": "System",
            "TransitRouterRouteTableStatus": ACTIVE[router.state],
            "TransitRouterId": router.id,
            "RegionId": router.region_id,
            "CreateTime": minute(router.created_at),
            "Tags": [],
        }
        for router in found
    ]
    return {"TransitRouterRouteTables": tables, **told}


def _entries(call: Call) -> dict[str, Any]:
    router = routes.table(call.session, call.account, call["TransitRouterRouteTableId"])
    rows = [_entry(router, route) for route in routes.of_router(call.session, router)]
    if call[f"{_ENTRY}Ids"] or call[f"{_ENTRY}Names"]:
        rows = []  # only routes that somebody wrote have them
    facts = {f"{_ENTRY}{fact}": _fact(f"{_ENTRY}{fact}") for fact in _FACTS}
    found, told = page(call, chosen(call, rows, facts))
    return {"TransitRouterRouteEntries": list(found), **told}


def _fact(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: row[name]


_FACTS = (
    "DestinationCidrBlock", "NextHopId", "NextHopType", "NextHopResourceId",
    "NextHopResourceType", "OriginResourceId", "OriginResourceType", "Status", "Type",
)  # fmt: skip


def _entry(router: TransitRouter, route: Route) -> dict[str, Any]:
    assert route.hop is not None
    kind, resource = _beyond(router, route.hop)
    return {
        f"{_ENTRY}DestinationCidrBlock": route.cidr,
        f"{_ENTRY}Type": "Propagated",
        f"{_ENTRY}Status": route_status(route.state),
        f"{_ENTRY}NextHopType": "Attachment",
        f"{_ENTRY}NextHopId": route.hop.id,
        f"{_ENTRY}NextHopResourceType": kind,
        f"{_ENTRY}NextHopResourceId": resource,
        f"{_ENTRY}OriginResourceType": "VPC",
        f"{_ENTRY}OriginResourceId": route.origin,
        "OperationalMode": False,
    }


def route_status(state: State) -> str:
    """The word for a route whose way is in that state."""
    return {State.STANDING: "Active", State.REMOVING: "Deleting"}.get(state, "Creating")


def _beyond(router: TransitRouter, hop: Attachment | Connection) -> tuple[str, str]:
    """Type and id of what an attachment joins to a router."""
    if isinstance(hop, Attachment):
        return "VPC", hop.vpc_id
    return "TR", hop.peer_router_id if hop.router_id == router.id else hop.router_id


def _ties(call: Call, what: Tie, answer: str) -> dict[str, Any]:
    making, removing = _WORDS[what]
    words = {State.STANDING: "Active", State.REMOVING: removing}
    rows = [
        {
            "TransitRouterRouteTableId": router.route_table_id,
            "TransitRouterAttachmentId": one.id,
            "ResourceType": _beyond(router, one)[0],
            "ResourceId": _beyond(router, one)[1],
            "Status": words.get(one.state, making),
        }
        for router in routers.every(call.session, call.account)
        for one in routes.ties(call.session, router, what)
    ]
    facts = {
        "TransitRouterRouteTableId": _fact("TransitRouterRouteTableId"),
        "TransitRouterAttachmentId": _fact("TransitRouterAttachmentId"),
        "TransitRouterAttachmentResourceType": _fact("ResourceType"),
        "TransitRouterAttachmentResourceId": _fact("ResourceId"),
        "Status": _fact("Status"),
    }
    found, told = page(call, chosen(call, rows, facts))
    return {answer: list(found), **told}


def _tie(call: Call, what: Tie, on: bool) -> dict[str, Any]:
    routes.tie(
        call.session,
        call.account,
        call["TransitRouterAttachmentId"],
        call["TransitRouterRouteTableId"],
        what,
        on,
    )
    return {}


def _tying(name: str, summary: str, what: Tie, on: bool) -> Action:
    return Action(
        Product.CBN,
        name,
        summary,
        partial(_tie, what=what, on=on),
        (_ATTACHMENT, _TABLE),
        writes=True,
        resource="TransitRouterAttachmentId",
        dry_run=True,
        errors=(
            "InvalidTransitRouterAttachmentId.NotFound",
            "InvalidTransitRouterRouteTableId.NotFound",
            "IncorrectStatus.Attachment",
            *(() if on else ("OperationUnsupported.PeerAttachment",)),
        ),
        differences="Nothing happens where it is so already: every attachment begins with it."
        if on
        else "No packet passes to or from the VPC then. An inter-region connection has it always.",
    )


def _tied(name: str, summary: str, what: Tie, answer: str) -> Action:
    return Action(
        Product.CBN,
        name,
        summary,
        partial(_ties, what=what, answer=answer),
        (
            *(
                Param(parameter)
                for parameter in (
                    "TransitRouterRouteTableId", "TransitRouterAttachmentId",
                    "TransitRouterAttachmentResourceId", "TransitRouterAttachmentResourceType",
                    "Status",
                )
            ),
            *TOKENS,
        ),
        differences=_NONE_OF_THEIRS,
    )  # fmt: skip


ACTIONS = (
    Action(
        Product.CBN,
        "ListTransitRouterRouteTables",
        "List the route tables of the account's transit routers.",
        _tables,
        (
            Param("TransitRouterId"),
            Param("TransitRouterRouteTableIds", many=20),
            Param("TransitRouterRouteTableNames", many=20),
            Param("TransitRouterRouteTableStatus"),
            Param("TransitRouterRouteTableType"),
            *TOKENS,
        ),
        differences=f"{_NONE_OF_THEIRS} Tags are ignored.",
    ),
    Action(
        Product.CBN,
        "ListTransitRouterRouteEntries",
        "List the routes of a transit router, as they are in the network.",
        _entries,
        (
            _TABLE,
            Param(f"{_ENTRY}Ids", many=20),
            Param(f"{_ENTRY}Names", many=20),
            *(Param(f"{_ENTRY}{fact}") for fact in _FACTS),
            *TOKENS,
        ),
        errors=("InvalidTransitRouterRouteTableId.NotFound",),
        differences="All are propagated: none can be written by hand.",
    ),
    _tying(
        "AssociateTransitRouterAttachmentWithRouteTable",
        "Let a transit router forward what comes from an attachment.",
        Tie.ASSOCIATION,
        True,
    ),
    _tying(
        "DissociateTransitRouterAttachmentFromRouteTable",
        "Let a transit router forward nothing that comes from an attachment.",
        Tie.ASSOCIATION,
        False,
    ),
    _tied(
        "ListTransitRouterRouteTableAssociations",
        "List the attachments from which transit routers forward.",
        Tie.ASSOCIATION,
        "TransitRouterAssociations",
    ),
    _tying(
        "EnableTransitRouterRouteTablePropagation",
        "Let a transit router know the route to an attachment.",
        Tie.PROPAGATION,
        True,
    ),
    _tying(
        "DisableTransitRouterRouteTablePropagation",
        "Let a transit router forget the route to an attachment.",
        Tie.PROPAGATION,
        False,
    ),
    _tied(
        "ListTransitRouterRouteTablePropagations",
        "List the attachments to which transit routers know routes.",
        Tie.PROPAGATION,
        "TransitRouterPropagations",
    ),
)
