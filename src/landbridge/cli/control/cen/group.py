"""The group, and the arguments that its commands share."""

from __future__ import annotations

from typing import Annotated

from ..verbs import argument, group

cen = group(
    "cen",
    "Join networks of several regions and accounts (Cloud Enterprise Network).",
    "Begin with: landbridge cen create NAME --wait",
)

CenArgument = Annotated[str, argument("CEN", "Id of a CEN.")]
RegionArgument = Annotated[str, argument("REGION", "One region, like cn-beijing.")]
PeerArgument = Annotated[str, argument("PEER", "The other region, like cn-hangzhou.")]
