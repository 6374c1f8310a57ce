"""Regions, their zones, and the areas between which bandwidth is sold: `data/regions.json`.

Ids are the vendor's, so that a procedure rehearsed here names the same places there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path

from .errors import CloudError

_FILE = Path(__file__).parent / "data/regions.json"


@dataclass(frozen=True)
class Area:
    """A part of the world, like `China`, as bandwidth plans name it."""

    id: str
    name: str


@dataclass(frozen=True)
class Region:
    """A place with zones, like `cn-hangzhou`."""

    id: str
    name: str
    area: Area
    zones: tuple[str, ...]
    """Ids, like `cn-hangzhou-h`."""

    def zone_name(self, zone: str) -> str:
        """What a person calls a zone: `China (Hangzhou) Zone H`."""
        return f"{self.name} Zone {zone[-1].upper()}"


@dataclass(frozen=True)
class Span:
    """Two areas, or one twice, between which bandwidth is sold: `north-america_china`."""

    local: Area
    opposite: Area

    @property
    def id(self) -> str:
        return f"{self.opposite.id}_{self.local.id}".lower()


@cache
def areas() -> dict[str, Area]:
    """All areas by id."""
    return {row["id"]: Area(**row) for row in json.loads(_FILE.read_text())["areas"]}


@cache
def regions() -> dict[str, Region]:
    """All regions by id, in the order of the file."""
    return {
        row["id"]: Region(row["id"], row["name"], areas()[row["area"]], tuple(row["zones"]))
        for row in json.loads(_FILE.read_text())["regions"]
    }


@cache
def spans() -> tuple[Span, ...]:
    """Every pair of areas once, the area that comes first in the file as the local one."""
    return tuple(Span(a, b) for a, b in combinations_with_replacement(areas().values(), 2))


def region(id: str) -> Region:
    """The region of that id; CloudError (InvalidRegionId.NotFound) otherwise."""
    if (found := regions().get(id)) is None:
        raise CloudError("InvalidRegionId.NotFound")
    return found


def require_zone(region: Region, id: str, code: str = "InvalidZoneId.NotFound") -> str:
    """The zone's id if it lies in the region; CloudError with `code` otherwise."""
    if id not in region.zones:
        raise CloudError(code, f"{id!r} is no zone of {region.id}")
    return id


def area(id: str) -> Area:
    """The area of that id; CloudError (InvalidParameter) otherwise."""
    if (found := areas().get(id)) is None:
        raise CloudError("InvalidParameter", f"{id!r} is none of the areas {', '.join(areas())}")
    return found
