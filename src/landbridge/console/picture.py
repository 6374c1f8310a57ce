"""Where everything of one CEN stands in its picture: regions side by side, a transit router at
the foot of each, lines between them. Lengths are pixels of the SVG.

In a region the VPCs stand above each other. The lowest is joined to its router straight down,
the others along a gutter at the left. A line between neighbours is straight; one that passes over
a region runs on a track of its own beneath.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..cloud import regions

_Row = dict[str, Any]
_MARGIN, _WIDTH, _EDGE, _LANES, _GAP = 16, 322, 14, 34, 176
_TITLE, _HEAD, _INSTANCE, _SPACE = 34, 66, 46, 16
_ROUTER, _TRACK = 62, 58


@dataclass(frozen=True)
class Card:
    """A VPC."""

    id: str
    x: int
    y: int
    height: int
    cidr: str
    owner: int
    colour: int
    """Which of the accounts' colours; 0 is one's own."""
    status: str
    """Of its attachment; empty where it is granted alone."""
    instances: tuple[tuple[int, _Row], ...]
    """Each with where it stands."""

    @property
    def width(self) -> int:
        return _WIDTH


@dataclass(frozen=True)
class Router:
    """A transit router."""

    id: str
    x: int
    y: int
    status: str
    width: int = _WIDTH
    height: int = _ROUTER


@dataclass(frozen=True)
class Place:
    """A region."""

    name: str
    x: int
    width: int


@dataclass(frozen=True)
class Wire:
    """A way of straight pieces: an attachment, or a line between two regions."""

    id: str
    points: tuple[tuple[int, int], ...]
    thickness: float = 2.0
    is_missing: bool = False
    flow: int = 0
    """How much is carried: 0 nothing, 3 most of what may be."""

    @property
    def path(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.points)


@dataclass(frozen=True)
class Label:
    """What is said at a line."""

    x: int
    y: int
    line: _Row | None
    """None where there is no line."""
    rightward: int | None = None
    """bit/s; None where it is not known."""
    leftward: int | None = None


@dataclass
class Picture:
    """All of it."""

    width: int = 0
    height: int = 0
    places: list[Place] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    routers: list[Router] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    @property
    def foot(self) -> int:
        """Where the regions end."""
        return self.routers[0].y + _ROUTER + _EDGE if self.routers else self.height - _MARGIN


def picture(cen: _Row, instances: list[_Row], own: int) -> Picture:
    """The picture of a CEN as DescribeTopology shows it, its lines with what they carry."""
    return _Layout(cen, instances, own).made()


class _Layout:
    def __init__(self, cen: _Row, instances: list[_Row], own: int) -> None:
        self.cen = cen
        self.instances = instances
        self.picture = Picture()
        vpcs = [*cen["Attachments"], *cen["GrantedVpcs"]]
        owners = sorted({v["VpcOwnerId"] for v in vpcs} - {own})
        self.colours = {own: 0, **{uid: n for n, uid in enumerate(owners, 1)}}
        there = {v["RegionId"] for v in [*vpcs, *cen["TransitRouters"]]}
        stacks = Counter(v["RegionId"] for v in vpcs)
        self.gutter = _LANES if max(stacks.values(), default=0) > 1 else _EDGE
        """Pixels at the left of the cards, with the wires of all but the lowest."""
        self.across = self.gutter + _WIDTH + _EDGE
        self.columns = {
            region: _MARGIN + n * (self.across + _GAP)
            for n, region in enumerate(r for r in regions.regions() if r in there)
        }

    def made(self) -> Picture:
        bottoms = {}
        for region, x in self.columns.items():
            self.picture.places.append(Place(regions.region(region).name, x, self.across))
            bottoms[region] = self._stack(region, x + self.gutter)
        y = max(bottoms.values(), default=0) + _SPACE
        for router in self.cen["TransitRouters"]:
            x = self.columns[router["RegionId"]] + self.gutter
            self.picture.routers.append(Router(router["TransitRouterId"], x, y, router["Status"]))
        self._attachments(y)
        tracks = self._lines(y)
        last = max(self.columns.values(), default=0)
        self.picture.width = last + self.across + _MARGIN
        self.picture.height = y + _ROUTER + _EDGE + _MARGIN + tracks * _TRACK
        return self.picture

    def _stack(self, region: str, x: int) -> int:
        """The VPCs of a region, granted ones first; where they end."""
        y = _MARGIN + _TITLE
        rows = [{**row, "Status": ""} for row in self.cen["GrantedVpcs"]]
        for row in [r for r in [*rows, *self.cen["Attachments"]] if r["RegionId"] == region]:
            inside = [each for each in self.instances if each["VpcId"] == row["VpcId"]]
            height = _HEAD + _INSTANCE * len(inside)
            places = tuple((y + _HEAD + n * _INSTANCE, each) for n, each in enumerate(inside))
            self.picture.cards.append(
                Card(row["VpcId"], x, y, height, row["CidrBlock"], row["VpcOwnerId"],
                     self.colours[row["VpcOwnerId"]], row["Status"], places)
            )  # fmt: skip
            y += height + _SPACE
        return y

    def _attachments(self, y: int) -> None:
        ids = {row["VpcId"]: row["TransitRouterAttachmentId"] for row in self.cen["Attachments"]}
        lowest = {card.x: card.y for card in self.picture.cards}
        for card in self.picture.cards:
            if card.id not in ids:
                continue
            if lowest[card.x] == card.y:
                middle = card.x + _WIDTH // 2
                points = ((middle, card.y + card.height), (middle, y))
                self.picture.wires.append(Wire(ids[card.id], points))
                continue
            lane, level = card.x - _LANES // 2, card.y + _HEAD // 2
            entry = y + _ROUTER // 2
            way = ((card.x, level), (lane, level), (lane, entry), (card.x, entry))
            self.picture.wires.append(Wire(ids[card.id], way))

    def _lines(self, y: int) -> int:
        """Draw the lines; on how many tracks beneath."""
        order = list(self.columns)
        tracks = 0
        joined = set()
        for line in self.cen["Lines"]:
            ends = sorted((line["RegionId"], line["PeerRegionId"]), key=order.index)
            joined.add(tuple(ends))
            if order.index(ends[1]) - order.index(ends[0]) == 1:
                self._straight(y, ends[0], line)
            else:
                self._track(y + _ROUTER + _EDGE, tracks, ends, line)
                tracks += 1
        if self.cen["IsOwn"]:
            routed = {row["RegionId"] for row in self.cen["TransitRouters"]}
            for pair in pairwise(order):
                if pair not in joined and routed >= set(pair):
                    self._straight(y, pair[0], None, "|".join(pair))
        return tracks

    def _straight(self, y: int, region: str, line: _Row | None, id: str = "") -> None:
        begin = self.columns[region] + self.gutter + _WIDTH
        end = begin + _EDGE + _GAP + self.gutter
        points = ((begin, y + _ROUTER // 2), (end, y + _ROUTER // 2))
        self.picture.wires.append(_wire(points, line, id))
        middle = begin + _EDGE + _GAP // 2
        self.picture.labels.append(_label(middle, y + _ROUTER // 2, line, region))

    def _track(self, foot: int, number: int, ends: list[str], line: _Row) -> None:
        begin, end = (self.columns[region] + self.gutter + _WIDTH // 2 for region in ends)
        y = foot + number * _TRACK + _TRACK // 2
        top = foot - _EDGE
        points = ((begin, top), (begin, y), (end, y), (end, top))
        self.picture.wires.append(_wire(points, line))
        self.picture.labels.append(_label((begin + end) // 2, y, line, ends[0]))


def _label(x: int, y: int, line: _Row | None, left: str) -> Label:
    """What is said at a line whose left end is in the region `left`."""
    if line is None:
        return Label(x, y, None)
    rates = line.get("BitsPerSecondToPeer"), line.get("BitsPerSecondFromPeer")
    there, back = rates if line["RegionId"] == left else rates[::-1]
    return Label(x, y, line, there, back)


def _wire(points: tuple[tuple[int, int], ...], line: _Row | None, id: str = "") -> Wire:
    if line is None:
        return Wire(id, points, is_missing=True)
    id = line["TransitRouterAttachmentId"]
    if not line["HasBandwidth"]:
        return Wire(id, points, is_missing=True)
    thick = 2 + 2.2 * min(math.log10(max(line["Bandwidth"], 1)), 4.0)
    carried = max(line.get("BitsPerSecondToPeer") or 0, line.get("BitsPerSecondFromPeer") or 0)
    share = carried / (line["Bandwidth"] * 1_000_000)
    flow = 0 if carried < 1000 else 1 if share < 0.2 else 2 if share < 0.7 else 3
    return Wire(id, points, round(thick, 1), flow=flow)
