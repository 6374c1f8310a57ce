"""Networks as a picture shows them: what there is, what passes, what is carried."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...cloud import overview, reach
from ...cloud.daemon import fabric
from ...cloud.instances.tables import DBInstance
from ...cloud.lines import Connection
from ...cloud.lines import every as every_line
from ...cloud.overview import Drawn
from ...cloud.ownership import owned
from ...cloud.reach import Answer
from ...cloud.traffic import RECENT
from ...cloud.vpcs import Vpc
from ...errors import LandbridgeError
from ..action import Action, Call, Kind, Param, Product
from ..cbn.lists import ACTIVE, ATTACHED, status
from ..moments import milliseconds

_CEN_NOT_FOUND = "InvalidCenId.NotFound"
#: Characters of what a kernel or a server said to a probe.
_WORDS = 300


def _topology(call: Call) -> dict[str, Any]:
    seen = overview.look(call.session, call.account, call["CenId"])
    joined = {vpc.id: one.cen.id for one in seen.cens for _, vpc in one.attachments}
    return {
        "Cens": [_cen(call, one) for one in seen.cens],
        "Vpcs": [
            _vpc(vpc) | {"CenId": joined.get(vpc.id, ""), "IsGranted": vpc.id in seen.given}
            for vpc in seen.vpcs
        ],
        "Instances": [_instance(instance) for instance in seen.instances],
    }


def _cen(call: Call, drawn: Drawn) -> dict[str, Any]:
    return {
        "CenId": drawn.cen.id,
        "CenOwnerId": drawn.cen.owner_uid,
        "Name": drawn.cen.name if drawn.is_own else "",
        "IsOwn": drawn.is_own,
        "TransitRouters": [
            {"TransitRouterId": r.id, "RegionId": r.region_id, **status(r, ACTIVE)}
            for r in drawn.routers
        ],
        "Attachments": [
            {
                "TransitRouterAttachmentId": attachment.id,
                "TransitRouterId": attachment.router_id,
                "IsOwn": vpc.owner_uid == call.account.uid,
                **_foreign_vpc(vpc),
                **status(attachment, ATTACHED),
            }
            for attachment, vpc in drawn.attachments
        ],
        "Lines": [_line(line) for line in drawn.lines],
        "GrantedVpcs": [_foreign_vpc(vpc) for vpc in drawn.granted],
    }


def _line(line: Connection) -> dict[str, Any]:
    return {
        "TransitRouterAttachmentId": line.id,
        "TransitRouterId": line.router_id,
        "PeerTransitRouterId": line.peer_router_id,
        "RegionId": line.router.region_id,
        "PeerRegionId": line.peer_router.region_id,
        "Bandwidth": line.bandwidth,
        "BandwidthType": line.allocation.value,
        "LinkType": line.line_type.value,
        "HasBandwidth": line.as_thing().bits_per_second is not None,
        **status(line, ATTACHED),
    }


def _foreign_vpc(vpc: Vpc) -> dict[str, Any]:
    """What the owner of a CEN may know of any VPC that it may attach."""
    return {
        "VpcId": vpc.id,
        "VpcOwnerId": vpc.owner_uid,
        "RegionId": vpc.region_id,
        "CidrBlock": vpc.cidr,
    }


def _vpc(vpc: Vpc) -> dict[str, Any]:
    return {**_foreign_vpc(vpc), "VpcName": vpc.name}


def _instance(instance: DBInstance) -> dict[str, Any]:
    return {
        "DBInstanceId": instance.id,
        "DBInstanceDescription": instance.description,
        "DBInstanceStatus": instance.status.value,
        "DBInstanceStatusLabel": instance.status.label,
        "DBInstanceType": instance.role.value,
        "EngineVersion": f"{instance.major}.0",
        "VpcId": instance.vpc_id,
        "PrivateIpAddress": instance.address,
        "Port": instance.port,
    }


def _reachability(call: Call) -> dict[str, Any]:
    answer = reach.ask(
        call.session,
        fabric(call.cloud),
        call.account,
        call["SourceId"],
        call["DestinationId"],
        call["Port"],
    )
    return {
        "SourceId": answer.source.id,
        "SourceVpcId": answer.source.vpc.id,
        "DestinationId": answer.destination.id,
        "DestinationVpcId": answer.destination.vpc.id,
        "Port": answer.port,
        "Passes": answer.verdict.passes,
        "Reaches": answer.verdict.reaches,
        "Hop": answer.verdict.hop.value,
        "Reason": answer.verdict.reason,
        "Probe": _probe(answer),
    }


def _probe(answer: Answer) -> dict[str, Any] | None:
    if (probe := answer.probe) is None:
        return None
    return {
        "Outcome": probe.outcome.value,
        "Milliseconds": round(probe.seconds * 1000, 1),
        "Words": probe.words[:_WORDS],
    }


def _traffic(call: Call) -> dict[str, Any]:
    if (id := call["TransitRouterAttachmentId"]) is not None:
        lines = [owned(call.session, Connection, call.account, id)]
    else:
        lines = list(every_line(call.session, call.account))
    if (cen := call["CenId"]) is not None:
        lines = [line for line in lines if line.cen_id == cen]
    return {"Lines": [_carried(call, line, call["MaxPoints"]) for line in lines]}


def _carried(call: Call, line: Connection, most: int) -> dict[str, Any]:
    with suppress(LandbridgeError):  # it does not stand yet: nothing is carried
        RECENT.add(line.id, fabric(call.cloud).meter(line.id))
    rates = RECENT.rates(line.id)[-most:]
    last = rates[-1] if rates else None
    return {
        **_line(line),
        "BitsPerSecondToPeer": round(last.out) if last else None,
        "BitsPerSecondFromPeer": round(last.back) if last else None,
        "BytesToPeer": line.bytes_out,
        "BytesFromPeer": line.bytes_back,
        "Series": [[milliseconds(r.at), round(r.out), round(r.back)] for r in rates],
    }


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "DescribeTopology",
        "Show at once all CENs, routers, attachments, lines, VPCs and instances of the account.",
        _topology,
        (Param("CenId"),),
        errors=(_CEN_NOT_FOUND,),
        differences="Of another account's VPC that is attached or granted to one's CEN: id, owner,"
        " region and CIDR block. Of another account's CEN: the router that one's VPC is attached"
        " to.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeReachability",
        "Say whether packets pass between two places, what decides, and what a real one met.",
        _reachability,
        (
            Param("SourceId", required=True),
            Param("DestinationId", required=True),
            Param("Port", Kind.INTEGER, least=1, most=65535),
        ),
        asks=True,
        errors=(DBInstance.not_found, Vpc.not_found),
        differences="SourceId and DestinationId are instances or VPCs; one is the account's own,"
        " the other is, too, or shares a CEN with it. DestinationId may be the private address of"
        " an instance. Only from an own instance a packet is sent.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeLineTraffic",
        "Show what the account's inter-region connections carry, and the course of some minutes.",
        _traffic,
        (
            Param("CenId"),
            Param("TransitRouterAttachmentId"),
            Param("MaxPoints", Kind.INTEGER, default=60, least=1, most=180),
        ),
        asks=True,
        errors=(Connection.not_found,),
        differences="A figure every ten seconds, and whenever it is asked, at most each second;"
        " null before the second one. Series: milliseconds since 1970, bit/s to and from the peer."
        " In memory: a restart begins anew.",
    ),
)
