"""Where things stand in the picture of a CEN."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from landbridge.console.picture import Card, Router, picture

OWN, OTHER = 1, 2
BJ, HZ, FRANKFURT = "cn-beijing", "cn-hangzhou", "eu-central-1"


def _vpc(n: int, region: str, owner: int = OWN) -> dict[str, Any]:
    return {
        "VpcId": f"vpc-{n}",
        "VpcOwnerId": owner,
        "RegionId": region,
        "CidrBlock": f"10.{n}.0.0/16",
        "TransitRouterAttachmentId": f"att-{n}",
        "TransitRouterId": f"tr-{region}",
        "Status": "Attached",
    }


def _line(here: str, there: str, **more: Any) -> dict[str, Any]:
    return {
        "TransitRouterAttachmentId": f"line-{here}-{there}",
        "RegionId": here,
        "PeerRegionId": there,
        "Bandwidth": 100,
        "HasBandwidth": True,
        **more,
    }


def _cen(attached: list[Any], lines: list[Any], granted: tuple[Any, ...] = ()) -> dict[str, Any]:
    routers = [
        {"TransitRouterId": f"tr-{region}", "RegionId": region, "Status": "Active"}
        for region in dict.fromkeys(row["RegionId"] for row in attached)
    ]
    return {
        "IsOwn": True,
        "TransitRouters": routers,
        "Attachments": attached,
        "Lines": lines,
        "GrantedVpcs": list(granted),
    }


def test_nothing_overlaps_and_every_attachment_leads_from_its_vpc_to_its_router() -> None:
    attached = [_vpc(1, BJ), _vpc(2, BJ, OTHER), _vpc(3, HZ), _vpc(4, FRANKFURT)]
    lines = [_line(HZ, BJ), _line(FRANKFURT, HZ)]
    instances = [{"VpcId": "vpc-1"}, {"VpcId": "vpc-1"}, {"VpcId": "vpc-3"}]
    made = picture(_cen(attached, lines, (_vpc(5, BJ, OTHER),)), instances, OWN)
    boxes: list[Card | Router] = [*made.cards, *made.routers]
    for one, other in combinations(boxes, 2):
        apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
        apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert apart_x or apart_y, (one, other)
    assert all(box.x >= 0 and box.x + box.width <= made.width for box in boxes)
    assert all(box.y + box.height <= made.height for box in boxes)
    cards = {card.id: card for card in made.cards}
    wires = {wire.id: wire for wire in made.wires}
    for row in attached:
        card, wire = cards[row["VpcId"]], wires[row["TransitRouterAttachmentId"]]
        router = next(r for r in made.routers if r.id == row["TransitRouterId"])
        for (x, y), box in ((wire.points[0], card), (wire.points[-1], router)):
            assert box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
    assert "att-5" not in wires and cards["vpc-5"].status == ""
    assert len(cards["vpc-1"].instances) == 2
    assert cards["vpc-1"].colour != cards["vpc-2"].colour == cards["vpc-5"].colour


def test_a_line_that_passes_over_a_region_runs_beneath() -> None:
    attached = [_vpc(1, BJ), _vpc(2, HZ), _vpc(3, FRANKFURT)]
    made = picture(_cen(attached, [_line(HZ, FRANKFURT)]), [], OWN)
    over = next(wire for wire in made.wires if wire.id.startswith("line-"))
    assert max(y for _, y in over.points) > made.foot
    missing = [wire for wire in made.wires if wire.is_missing]
    assert len(missing) == 2  # the neighbours have none


def test_what_is_carried_is_told_in_its_direction_and_a_plan_that_expired_as_missing() -> None:
    carried = {"BitsPerSecondToPeer": 80_000_000, "BitsPerSecondFromPeer": 500}
    made = picture(_cen([_vpc(1, BJ), _vpc(2, HZ)], [_line(BJ, HZ, **carried)]), [], OWN)
    (label,) = made.labels  # Hangzhou stands at the left
    assert (label.rightward, label.leftward) == (500, 80_000_000)
    line = next(wire for wire in made.wires if wire.id.startswith("line-"))
    assert line.flow == 3 and line.thickness > 2
    expired = picture(_cen([_vpc(1, BJ), _vpc(2, HZ)], [_line(BJ, HZ, HasBandwidth=False)]), [], 1)
    assert next(w for w in expired.wires if w.id.startswith("line-")).is_missing


def test_an_empty_cen_has_an_empty_picture() -> None:
    made = picture(_cen([], []), [], OWN)
    assert not made.cards and not made.wires
