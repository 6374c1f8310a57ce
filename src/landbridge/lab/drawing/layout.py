"""Where everything of a lab stands: regions side by side, routers at their feet, lines between.

In a region the VPCs stand above each other and the transit routers below them, one row per
CEN, so that a line between neighbours is straight; a line that passes over a region runs on
a track of its own beneath. A VPC that is not just above its router is joined along a gutter
on the region's outer side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ...network.things import Cen, Line, TransitRouter, Vpc
from ..changes import MEGABIT
from ..plan import Plan
from .columns import Column, columns
from .picture import Anchor, Box, Dot, Kind, Light, Picture, Role, Text, Wire, shorten

_ROUTER_HEIGHT = 4


@dataclass(frozen=True)
class Seen:
    """What is known of an instance's server."""

    light: Light
    words: str


def layout(plan: Plan, seen: Mapping[str, Seen], caption: str = "", width: int = 80) -> Picture:
    """The picture of a plan, `width` columns wide or as narrow as it can be."""
    return _Layout(plan, seen, caption, width).made()


def _first_parts(words: str, room: int) -> str:
    """As many parts, between commas, as fit; of the first one at least its beginning.

    >>> _first_parts("PostgreSQL 18, read-only, 139 MB", 24)
    'PostgreSQL 18, read-only'
    """
    while len(words) > room and ", " in words:
        words = words.rpartition(", ")[0]
    return shorten(words, room)


class _Layout:
    def __init__(self, plan: Plan, seen: Mapping[str, Seen], caption: str, width: int) -> None:
        self.plan = plan
        self.topology = plan.topology
        self.seen = seen
        self.columns = columns(self.topology, width)
        last = list(self.columns.values())[-1] if self.columns else None
        whole = max(width, last.x + last.width if last else 0)
        self.picture = Picture(plan.name, tuple(plan.accounts), whole)
        self.bottoms: dict[str, int] = {}
        """VPC -> the row below its box."""
        self.routers: dict[tuple[str, str], Box] = {}
        """(CEN, region) -> its router's box."""
        self._say(0, 0, plan.name, Role.TITLE)
        self._say(0, 1, shorten(caption, whole), Role.FAINT)

    def made(self) -> Picture:
        for vpc in self.topology.vpcs.values():
            self._vpc(self.columns[vpc.region], vpc)
        self._routers()
        for vpc in self.topology.vpcs.values():
            self._attachment(self.columns[vpc.region], vpc)
        bottom = self._lines()
        self._regions(bottom)
        self._legend(bottom + 1)
        return self.picture

    def _say(
        self, x: int, y: int, words: str, role: Role = Role.PLAIN,
        anchor: Anchor = Anchor.START, account: str | None = None,
    ) -> None:  # fmt: skip
        self.picture.texts.append(Text(x, y, words, role, anchor, account))

    def _vpc(self, column: Column, vpc: Vpc) -> None:
        top, left, right = column.y, column.left + 2, column.left + column.room - 3
        self._say(left, top + 1, shorten(vpc.id, column.room - 14), Role.NAME, account=vpc.account)
        owner = f"account {vpc.account}"
        self._say(
            right,
            top + 1,
            shorten(owner, column.room - len(vpc.id) - 5),
            Role.PLAIN,
            Anchor.END,
            vpc.account,
        )
        self._say(left, top + 2, str(vpc.cidr), Role.ADDRESS)
        words, role = self._joined(vpc)
        column.y = top + 3
        if len(words) + len(str(vpc.cidr)) + 5 <= column.room:
            self._say(right, top + 2, words, role, Anchor.END)
        else:
            self._say(left, top + 3, words, role)
            column.y += 1
        for vswitch in self.topology.vswitches.values():
            if vswitch.vpc == vpc.id:
                self._vswitch(column, vswitch.id)
        height = column.y - top + 1
        self.picture.boxes.append(Box(Kind.VPC, column.left, top, column.room, height, vpc.account))
        self.bottoms[vpc.id] = top + height
        column.y = top + height + 1

    def _joined(self, vpc: Vpc) -> tuple[str, Role]:
        """Whether a VPC is attached, and if not, how far it is."""
        attachment = self.topology.attachment_of(vpc.id)
        if attachment is not None:
            return "attached", Role.FAINT
        cens = self.topology.cens.values()
        if cens and not any(self.topology.is_granted(vpc, cen) for cen in cens):
            return "not granted", Role.WARNING
        return "not attached", Role.WARNING

    def _vswitch(self, column: Column, id: str) -> None:
        left, right = column.left + 2, column.left + column.room - 3
        vswitch = self.topology.vswitches[id]
        self._say(left, column.y + 1, shorten(id, column.room - 22), Role.FAINT)
        self._say(right, column.y + 1, str(vswitch.cidr), Role.FAINT, Anchor.END)
        column.y += 2
        for instance in self.topology.instances.values():
            if instance.vswitch != id:
                continue
            seen = self.seen.get(instance.id, Seen(Light.DOWN, "not made"))
            self.picture.dots.append(Dot(left, column.y, seen.light))
            self._say(left + 2, column.y, shorten(instance.id, column.room - 22), Role.NAME)
            self._say(right, column.y, str(instance.address), Role.ADDRESS, Anchor.END)
            self._say(left + 2, column.y + 1, _first_parts(seen.words, column.room - 6))
            blocks = ", ".join(map(str, instance.whitelist)) or "nobody"
            self._say(
                left + 2, column.y + 2, shorten(f"lets in {blocks}", column.room - 6), Role.FAINT
            )
            column.y += 3

    def _routers(self) -> None:
        """A row of routers per CEN; what a single CEN lacks is drawn as missing."""
        y = max((column.y for column in self.columns.values()), default=4) + 1
        for cen in self.topology.cens.values():
            for column in self.columns.values():
                found = self.topology.router_of(cen.id, column.region)
                if found is not None or len(self.topology.cens) == 1:
                    self._router(column, y, cen, found)
            y += _ROUTER_HEIGHT + 1
        for column in self.columns.values():
            column.y = y - 1

    def _router(self, column: Column, y: int, cen: Cen, found: TransitRouter | None) -> None:
        box = Box(
            Kind.ROUTER, column.left, y, column.room, _ROUTER_HEIGHT, cen.owner, found is None
        )
        self.picture.boxes.append(box)
        self.routers[cen.id, column.region] = box
        words = found.id if found else "no transit router yet"
        role = Role.NAME if found else Role.WARNING
        self._say(column.left + 2, y + 1, shorten(words, column.room - 4), role)
        owner = shorten(f"{cen.id}, account {cen.owner}", column.room - 4)
        self._say(column.left + 2, y + 2, owner, Role.PLAIN, account=cen.owner)

    def _attachment(self, column: Column, vpc: Vpc) -> None:
        attachment = self.topology.attachment_of(vpc.id)
        if attachment is not None:
            cen = self.topology.transit_routers[attachment.transit_router].cen
        elif len(self.topology.cens) == 1:
            cen = next(iter(self.topology.cens))
        else:
            return
        box, bottom = self.routers[cen, vpc.region], self.bottoms[vpc.id]
        rows = [key[0] for key in self.routers if key[1] == vpc.region]
        lowest = bottom == max(self.bottoms[v.id] for v in self._in(vpc.region))
        if lowest and rows[0] == cen:
            points = ((column.middle, bottom - 1), (column.middle, box.y))
        else:
            lane = column.lane(list(self.topology.cens).index(cen))
            edge = column.left + column.room - 1 if column.outer_right else column.left
            points = ((edge, bottom - 2), (lane, bottom - 2), (lane, box.y + 2), (edge, box.y + 2))  # type: ignore[assignment]
        self.picture.wires.append(Wire(points, missing=attachment is None))

    def _in(self, region: str) -> list[Vpc]:
        return [vpc for vpc in self.topology.vpcs.values() if vpc.region == region]

    def _lines(self) -> int:
        """Draw the lines; the first row beneath everything."""
        columns = list(self.columns.values())
        bottom = max((column.y for column in columns), default=4)
        drawn = set()
        for cen in self.topology.cens:
            for here, there in pairwise(columns):
                ends = (self.routers.get((cen, c.region)) for c in (here, there))
                a, b = ends
                if a is not None and b is not None:
                    line = self._between(cen, here.region, there.region)
                    self._straight(a, b, line)
                    drawn.add(line and line.id)
        for line in self.topology.lines.values():
            if line.id not in drawn:
                self._track(line, bottom)
                bottom += 2
        return bottom

    def _between(self, cen: str, a: str, b: str) -> Line | None:
        ends = [self.topology.router_of(cen, region) for region in (a, b)]
        if ends[0] is None or ends[1] is None:
            return None
        return self.topology.line_between(ends[0].id, ends[1].id)

    def _straight(self, a: Box, b: Box, line: Line | None) -> None:
        y, start = a.y + 2, a.x + a.width - 1
        middle = (start + b.x) // 2
        self.picture.wires.append(
            Wire(((start, y), (b.x, y)), weight(line), missing=line is None, is_line=True)
        )
        above, below = said(line)
        role = Role.WARNING if line is None or line.bits_per_second is None else Role.NAME
        self._say(middle, y - 1, above, role, Anchor.MIDDLE)
        self._say(middle, y + 1, below, Role.FAINT, Anchor.MIDDLE)

    def _track(self, line: Line, y: int) -> None:
        routers = (self.topology.transit_routers[id] for id in (line.a, line.b))
        a, b = sorted((self.routers[r.cen, r.region] for r in routers), key=lambda box: box.x)
        ends = a.x + a.width // 2, b.x + b.width // 2
        points = ((ends[0], a.y + 3), (ends[0], y + 1), (ends[1], y + 1), (ends[1], b.y + 3))
        self.picture.wires.append(Wire(points, weight(line), is_line=True))
        self._say(sum(ends) // 2, y, f"{said(line)[0]}, {line.id}", Role.NAME, Anchor.MIDDLE)

    def _regions(self, bottom: int) -> None:
        for column in self.columns.values():
            self._say(column.left, 3, column.region, Role.TITLE)
            box = Box(Kind.REGION, column.x, 3, column.width, bottom - 3)
            self.picture.boxes.insert(0, box)

    def _legend(self, y: int) -> None:
        for account, words in self.plan.accounts.items():
            self._say(0, y, f"■ account {account}", Role.PLAIN, account=account)
            room = self.picture.width - len(account) - 12
            self._say(len(account) + 12, y, shorten(words, room), Role.FAINT)
            y += 1
        self.picture.height = y


def weight(line: Line | None) -> float:
    """How thick a line is drawn: 0 for 1 Mbit/s and less, 3 for a gigabit."""
    if line is None or line.bits_per_second is None:
        return 0.0
    return min(max(math.log10(line.bits_per_second / MEGABIT), 0.0), 4.0)


def said(line: Line | None) -> tuple[str, str]:
    """The words above and below a line."""
    if line is None:
        return "no line yet", ""
    if line.bits_per_second is None:
        return "1 kbit/s", f"{line.id}, unallocated"
    return f"{line.bits_per_second / MEGABIT:g} Mbit/s", line.id
