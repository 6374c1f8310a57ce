"""A fabric brought to what a topology says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .fabric import Fabric
from .topology import Topology


class Action(Enum):
    """What became of a thing."""

    MADE = "made"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Change:
    """One thing that was not as it is now; `kind` as in `Observed`."""

    action: Action
    kind: str
    id: str


def converge(fabric: Fabric, topology: Topology) -> list[Change]:
    """Remove what is not wanted, then make or correct the rest; what changed, in order.

    Run again after anything that failed: what stands is kept. A thing that was there and
    was corrected, such as a line with another bandwidth, is no change here. Raises
    NetworkFailed.
    """
    steps = steps_of(fabric, topology)
    valid = {id for _, id, _ in steps}
    changes = [Change(Action.DROPPED, it.kind, it.id) for it in fabric.gc(valid)]
    there = {(it.kind, it.id) for it in fabric.observe()}
    for kind, id, ensure in steps:
        ensure()
        if (kind, id) not in there:
            changes.append(Change(Action.MADE, kind, id))
    return changes


def steps_of(fabric: Fabric, topology: Topology) -> list[tuple[str, str, Callable[[], Any]]]:
    """Kind, id and how to ensure it, each after what it stands on."""
    shelves: tuple[tuple[str, Callable[[Any], Any], dict[str, Any]], ...] = (
        ("vpc", fabric.ensure_vpc, topology.vpcs),
        ("vswitch", fabric.ensure_vswitch, topology.vswitches),
        ("endpoint", fabric.ensure_endpoint, topology.instances),
        ("transit_router", fabric.ensure_transit_router, topology.transit_routers),
        ("attachment", fabric.ensure_attachment, topology.attachments),
        ("line", fabric.ensure_line, topology.lines),
    )
    return [
        (kind, id, lambda ensure=ensure, thing=thing: ensure(thing))  # type: ignore[misc]
        for kind, ensure, shelf in shelves
        for id, thing in shelf.items()
    ]
