"""VPCs as the older actions attach them: the same attachments as those of transit routers."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError, attachments
from ...cloud.cens import Cen
from ...cloud.ownership import owned
from ...cloud.paging import numbered_list
from ...cloud.vpcs import Vpc
from ..action import Action, Call, Kind, Param, Product
from ..moments import minute
from ..paging import PAGING, chosen, paged
from .lists import ATTACHED, status

_CHILD = (
    Param("CenId", required=True),
    Param("ChildInstanceId", required=True),
    Param("ChildInstanceRegionId", required=True),
    Param("ChildInstanceType", required=True, choices=("VPC",)),
)
_OWNER = Param("ChildInstanceOwnerId", Kind.INTEGER)
_ONLY_VPC = "Only VPCs can be attached."


def _attach(call: Call) -> dict[str, Any]:
    attachments.create(
        call.session,
        call.account,
        vpc_id=call["ChildInstanceId"],
        cen_id=call["CenId"],
        region=call["ChildInstanceRegionId"],
        vpc_owner_uid=call["ChildInstanceOwnerId"],
    )
    return {}


def _detach(call: Call) -> dict[str, Any]:
    attachments.delete(call.session, call.account, _found(call).id)
    return {}


def _found(call: Call) -> attachments.Attachment:
    """The attachment that a call speaks of; CloudError (ParameterIllegal.ChildInstanceId)."""
    found = attachments.child(call.session, call.account, call["CenId"], call["ChildInstanceId"])
    owners = {"ChildInstanceOwnerId": found.vpc_owner_uid, "CenOwnerId": found.owner_uid}
    said = {name: call.arguments.get(name) for name in owners}
    if found.region_id != call["ChildInstanceRegionId"] or any(
        said[name] not in (None, uid) for name, uid in owners.items()
    ):
        raise CloudError(
            "ParameterIllegal.ChildInstanceId",
            f"{found.vpc_id} lies in {found.region_id} and is of account {found.vpc_owner_uid},"
            f" {found.cen_id} is of account {found.owner_uid}",
        )
    return found


def _list(call: Call) -> dict[str, Any]:
    cen = owned(call.session, Cen, call.account, call["CenId"])
    facts = {
        "ChildInstanceRegionId": lambda one: one.region_id,
        "ChildInstanceType": lambda one: "VPC",
    }
    rows = sorted(cen.attachments, key=lambda one: (one.created_at, one.id))
    found = numbered_list(chosen(call, rows, facts), call["PageNumber"], call["PageSize"])
    told = [_facts(one) for one in found.rows]
    return {"ChildInstances": {"ChildInstance": told}, **paged(found)}


def _describe(call: Call) -> dict[str, Any]:
    found = _found(call)
    vpc = call.session.get_one(Vpc, found.vpc_id)
    return {
        **_facts(found),
        "ChildInstanceName": vpc.name,
        "ChildInstanceAttributes": {
            "CidrBlock": vpc.cidr,
            "SecondaryCidrBlocks": {"secondaryCidrBlock": []},
        },
    }


def _facts(attachment: attachments.Attachment) -> dict[str, Any]:
    return {
        "CenId": attachment.cen_id,
        "ChildInstanceId": attachment.vpc_id,
        "ChildInstanceOwnerId": attachment.vpc_owner_uid,
        "ChildInstanceRegionId": attachment.region_id,
        "ChildInstanceType": "VPC",
        "ChildInstanceAttachTime": minute(attachment.created_at),
        "ManagedService": "false",
        **status(attachment, ATTACHED),
    }


ACTIONS = (
    Action(
        Product.CBN,
        "AttachCenChildInstance",
        "Attach a VPC, one's own or one that was granted, to a CEN.",
        _attach,
        (*_CHILD, _OWNER),
        writes=True,
        resource="ChildInstanceId",
        errors=(
            "InvalidCenId.NotFound",
            "InvalidVpcId.NotFound",
            "Forbbiden.AttachChildInstanceAcrossUid",
            "IncorrectStatus.TransitRouter",
            "InvalidOperation.CenInstanceStatus",
            "InvalidOperation.ChildInstanceAlreadyAttached",
            "InvalidOperation.CidrBlockOverlapped",
            "IllegalParam.RegionId",
            "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter",
        ),
        differences=f"{_ONLY_VPC} The same attachment as CreateTransitRouterVpcAttachment makes;"
        " its zones are those of the VPC's first vSwitches. VPCs of two regions need a bandwidth"
        " between them: there is no test bandwidth before.",
    ),
    Action(
        Product.CBN,
        "DetachCenChildInstance",
        "Detach a VPC, as the owner of the CEN or of the VPC.",
        _detach,
        (*_CHILD, _OWNER, Param("CenOwnerId", Kind.INTEGER)),
        writes=True,
        resource="ChildInstanceId",
        errors=("ParameterIllegal.ChildInstanceId",),
        differences="Also what CreateTransitRouterVpcAttachment attached.",
    ),
    Action(
        Product.CBN,
        "DescribeCenAttachedChildInstances",
        "List the VPCs that are attached to a CEN.",
        _list,
        (
            Param("CenId", required=True),
            Param("ChildInstanceRegionId"),
            Param("ChildInstanceType"),
            *PAGING,
        ),
        errors=("InvalidCenId.NotFound",),
        differences="StatusReason, an addition, says why an attachment waits.",
    ),
    Action(
        Product.CBN,
        "DescribeCenAttachedChildInstanceAttribute",
        "Show one VPC that is attached to a CEN.",
        _describe,
        _CHILD,
        errors=("ParameterIllegal.ChildInstanceId",),
    ),
)
