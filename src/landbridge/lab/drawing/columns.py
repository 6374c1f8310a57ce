"""Regions side by side, each a column: how wide they are and how far apart. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ...network.topology import Topology

_GAP = 20
"""Columns between two regions: room for the words of a line."""
_NARROWEST, _WIDEST = 30, 46


@dataclass
class Column:
    """One region: where it stands, and how far down it is filled."""

    region: str
    x: int
    width: int
    gutter: int
    """Columns for wires along its outer side."""
    outer_right: bool
    y: int = 4

    @property
    def left(self) -> int:
        """First column of its boxes."""
        return self.x + (0 if self.outer_right else self.gutter)

    @property
    def room(self) -> int:
        """Columns of its boxes."""
        return self.width - self.gutter

    @property
    def middle(self) -> int:
        return self.left + self.room // 2

    def lane(self, number: int) -> int:
        """Column of a gutter's wire, the outermost first."""
        return self.x + self.width - 1 - number if self.outer_right else self.x + number


def columns(topology: Topology, width: int) -> dict[str, Column]:
    """Region -> its column, in the order in which the plan names them."""
    stacks: dict[str, int] = {}
    for vpc in topology.vpcs.values():
        stacks[vpc.region] = stacks.get(vpc.region, 0) + 1
    number = len(stacks)
    share = (width - _GAP * (number - 1)) // max(number, 1)
    each = min(max(share, _NARROWEST), _WIDEST)
    gap = _GAP if number < 2 else max(_GAP, min(_GAP + 8, (width - each * number) // (number - 1)))
    gutter = 0
    if len(topology.cens) > 1 or max(stacks.values(), default=0) > 1:
        gutter = 1 + len(topology.cens)
    return {
        region: Column(region, n * (each + gap), each, gutter, number > 1 and n == number - 1)
        for n, region in enumerate(stacks)
    }
