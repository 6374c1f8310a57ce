"""Connections between two regions of a CEN."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ....errors import UsageError
from ..api import Api
from ..tables import Row
from ..verbs import Name, Wait, argument, verb
from ..waiting import until, until_gone
from .group import CenArgument, PeerArgument, RegionArgument, cen
from .lists import CONNECTIONS, ROUTERS


class Line(StrEnum):
    """Types of lines."""

    GOLD = "Gold"
    PLATINUM = "Platinum"


Mbit = Annotated[int, argument("MBIT", "Mbit/s in each direction.")]
Plan = Annotated[
    str | None,
    typer.Option(
        "--plan", metavar="PLAN", show_default="pay by data transfer",
        help="Take the bandwidth from this plan of the CEN.",
    ),
]  # fmt: skip


@verb(cen)
def connect(
    api: Api,
    cen: CenArgument,
    region: RegionArgument,
    peer: PeerArgument,
    mbit: Mbit,
    plan: Plan = None,
    line: Annotated[
        Line | None,
        typer.Option("--line", help="Type of the line.", show_default="the service's choice"),
    ] = None,
    name: Name = None,
    wait: Wait = False,
) -> None:
    """Connect two regions of a CEN and print the connection's id."""
    routers = {r["RegionId"]: r["TransitRouterId"] for r in api.rows(ROUTERS, CenId=cen)}
    for one in (region, peer):
        if one not in routers:
            raise UsageError(
                f"nothing is attached to {cen} in {one}", id="control.no_router",
                remedy=f"Attach a VPC there: landbridge cen attach {cen} VPC",
            )  # fmt: skip
    answer = api.call(
        "cbn", "CreateTransitRouterPeerAttachment", CenId=cen, RegionId=region,
        TransitRouterId=routers[region], PeerTransitRouterId=routers[peer],
        PeerTransitRouterRegionId=peer, Bandwidth=mbit, TransitRouterAttachmentName=name,
        BandwidthType="BandwidthPackage" if plan else "DataTransfer", CenBandwidthPackageId=plan,
        DefaultLinkType=line and line.value,
    )  # fmt: skip
    id = answer["TransitRouterAttachmentId"]
    if wait:
        _until(api, id, region, peer)
    api.done(answer, id)


@verb(cen)
def bandwidth(
    api: Api,
    cen: CenArgument,
    region: RegionArgument,
    peer: PeerArgument,
    mbit: Mbit,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan", metavar="PLAN", show_default="as it was", help="From this plan of the CEN."
        ),
    ] = None,
    wait: Wait = False,
) -> None:
    """Give a connection another bandwidth; what runs over it goes on at the new rate."""
    id = _connection(api, cen, region, peer)["TransitRouterAttachmentId"]
    answer = api.call(
        "cbn", "UpdateTransitRouterPeerAttachmentAttribute", TransitRouterAttachmentId=id,
        Bandwidth=mbit, CenBandwidthPackageId=plan,
        BandwidthType="BandwidthPackage" if plan else None,
    )  # fmt: skip
    if wait:
        _until(api, id, region, peer)
    api.done(answer, f"{region} and {peer} are connected with {mbit} Mbit/s.")


@verb(cen)
def disconnect(
    api: Api, cen: CenArgument, region: RegionArgument, peer: PeerArgument, wait: Wait = False
) -> None:
    """Part two regions of a CEN."""
    id = _connection(api, cen, region, peer)["TransitRouterAttachmentId"]
    answer = api.call("cbn", "DeleteTransitRouterPeerAttachment", TransitRouterAttachmentId=id)
    if wait:
        until_gone(api, f"{region} - {peer}", CONNECTIONS, {"TransitRouterAttachmentId": id})
    api.done(answer, f"{region} and {peer} are {'' if wait else 'being '}parted.")


def _until(api: Api, id: str, region: str, peer: str) -> None:
    where = {"TransitRouterAttachmentId": id}
    until(api, f"{region} - {peer}", CONNECTIONS, where, "Attached")


def _connection(api: Api, cen: str, region: str, peer: str) -> Row:
    """The connection between two regions, whichever way round."""
    for row in api.rows(CONNECTIONS, CenId=cen):
        if {row["RegionId"], row["PeerTransitRouterRegionId"]} == {region, peer}:
            return row
    raise UsageError(
        f"{cen} does not connect {region} and {peer}", id="control.unknown",
        remedy=f"Connect them: landbridge cen connect {cen} {region} {peer} MBIT",
    )  # fmt: skip
