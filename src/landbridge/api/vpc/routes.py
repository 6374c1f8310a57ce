"""Route tables of VPCs: one each, with its vSwitches and what it reaches through a CEN."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, routes
from ...cloud.made import State
from ...cloud.ownership import everything
from ...cloud.paging import Page, numbered_list
from ...cloud.routes import Route
from ...cloud.vpcs import Vpc
from ..action import Action, Call, Kind, Param, Product
from ..moments import second
from ..paging import PAGING, chosen, page, paged

_STATUS = {State.STANDING: "Available", State.REMOVING: "Deleting"}
_ONE = "Every VPC has its system route table alone."
_FACTS = "No route can be written by hand, so none has an id or a name."


def _tables(call: Call, router: Any, **more: Any) -> Page[Vpc]:
    """The VPCs whose tables a call asks for; `router` is how it names a VPC's router."""
    asked = {"router_id": router, "route_table_id": call["RouteTableId"], **more}
    query = everything(Vpc, call.account).order_by(Vpc.created_at, Vpc.id)
    rows = [
        vpc
        for vpc in call.session.scalars(query)
        if all(value in (None, getattr(vpc, name)) for name, value in asked.items())
    ]
    # names and other types there are none
    if call["RouteTableName"] or call.arguments.get("RouteTableType") not in (None, "System"):
        rows = []
    if call["RouterType"] not in (None, "VRouter"):
        rows = []
    return numbered_list(rows, call["PageNumber"], call["PageSize"])


def _list_tables(call: Call) -> dict[str, Any]:
    found = _tables(call, call["RouterId"], region_id=call["RegionId"], id=call["VpcId"])
    rows = [
        {
            "VpcId": vpc.id,
            "RouterId": vpc.router_id,
            "RouterType": "VRouter",
            "RouteTableId": vpc.route_table_id,
            "RouteTableName": "",
            "RouteTableType": "System",
            "AssociateType": "VSwitch",
            "Description": "",
            "OwnerId": vpc.owner_uid,
            "Status": "Available",
            "VSwitchIds": {"VSwitchId": [vswitch.id for vswitch in vpc.vswitches]},
            "GatewayIds": {"GatewayIds": []},
            "Tags": {"Tag": []},
            "CreationTime": second(vpc.created_at),
        }
        for vpc in found.rows
    ]
    return {"RouterTableList": {"RouterTableListType": rows}, **paged(found)}


def _describe_tables(call: Call) -> dict[str, Any]:
    router = call["VRouterId"] or call["RouterId"]
    found = _tables(call, router, region_id=call["RegionId"])
    rows = [
        {
            "VRouterId": vpc.router_id,
            "RouteTableId": vpc.route_table_id,
            "RouteTableType": "System",
            "Status": "Available",
            "VSwitchIds": {"VSwitchId": [vswitch.id for vswitch in vpc.vswitches]},
            "RouteEntrys": {
                "RouteEntry": [
                    {
                        "RouteTableId": vpc.route_table_id,
                        "NextHopType": _hop(route)["NextHopType"],
                        "InstanceId": _hop(route)["NextHopId"],
                        **_entry(route),
                    }
                    for route in routes.of_vpc(call.session, vpc)
                ]
            },
            "CreationTime": second(vpc.created_at),
        }
        for vpc in found.rows
    ]
    return {"RouteTables": {"RouteTable": rows}, **paged(found)}


def _list_entries(call: Call) -> dict[str, Any]:
    query = everything(Vpc, call.account).where(Vpc.route_table_id == call["RouteTableId"])
    vpc = call.session.scalar(query.where(Vpc.region_id == call["RegionId"]))
    if vpc is None:
        raise CloudError("InvalidRouteTableId.NotFound")
    every = routes.of_vpc(call.session, vpc)
    if call["RouteEntryId"] or call["RouteEntryName"]:
        every = []  # only routes that somebody wrote have them
    facts = {
        "DestinationCidrBlock": lambda route: route.cidr,
        "RouteEntryType": _type,
        "NextHopType": lambda route: _hop(route)["NextHopType"],
        "NextHopId": lambda route: _hop(route)["NextHopId"],
        "IpVersion": lambda route: "ipv4",
    }
    found, told = page(call, chosen(call, every, facts), "MaxResult")
    rows = [
        {
            "RouteTableId": vpc.route_table_id,
            "IpVersion": "IPv4",
            **_entry(route),
        }
        for route in found
    ]
    return {"RouteEntrys": {"RouteEntry": rows}, **told}


def _entry(route: Route) -> dict[str, Any]:
    return {
        "DestinationCidrBlock": route.cidr,
        "Type": _type(route),
        "Status": _STATUS.get(route.state, "Pending"),
        "NextHops": {"NextHop": [{**_hop(route), "Enabled": 1, "Weight": 0}]},
    }


def _type(route: Route) -> str:
    return "System" if route.hop is None else "CEN"


def _hop(route: Route) -> dict[str, str]:
    """Type and id of where packets go next."""
    if route.hop is None:
        return {"NextHopType": "local", "NextHopId": ""}
    return {"NextHopType": "Attachment", "NextHopId": route.hop.id}


_REGION = Param("RegionId", required=True)
_WHICH = (Param("RouteTableId"), Param("RouteTableName"), Param("RouterId"), Param("RouterType"))

ACTIONS = (
    Action(
        Product.VPC,
        "DescribeRouteTableList",
        "List the route tables of the VPCs of a region.",
        _list_tables,
        (_REGION, *_WHICH, Param("RouteTableType"), Param("VpcId"), *PAGING),
        differences=_ONE,
    ),
    Action(
        Product.VPC,
        "DescribeRouteTables",
        "List the route tables of VPCs with their routes.",
        _describe_tables,
        (
            *(Param(name) for name in ("RegionId", "VRouterId")),
            *_WHICH,
            *PAGING,
        ),
        differences=f"{_ONE} {_FACTS}",
    ),
    Action(
        Product.VPC,
        "DescribeRouteEntryList",
        "List the routes of a VPC, as they are in the network.",
        _list_entries,
        (
            _REGION,
            Param("RouteTableId", required=True),
            Param("DestinationCidrBlock"),
            Param("RouteEntryType"),
            Param("RouteEntryId"),
            Param("RouteEntryName"),
            Param("NextHopType"),
            Param("NextHopId"),
            Param("IpVersion", choices=("ipv4", "ipv6")),
            Param("MaxResult", Kind.INTEGER, default=10, least=1, most=500),
            Param("NextToken"),
        ),
        errors=("InvalidRouteTableId.NotFound",),
        differences=_FACTS,
    ),
)
