"""The picture of a lab: what must be in it, that nothing overlaps, and that both renderers
draw all of it. No server, no network."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from landbridge.lab.changes import attach, join
from landbridge.lab.drawing import Light, Seen, layout, render_svg, render_terminal
from landbridge.lab.drawing.picture import Anchor, Kind, Picture
from landbridge.lab.plan import Plan, read

EXAMPLES = Path(__file__).parent.parent / "examples"
WORDS = ["vpc-a", "10.10.0.0/16", "account a", "vsw-b", "10.20.1.0/24", "pgm-b", "10.20.1.5"]


def _two(*, joined: float | None = None) -> Plan:
    plan = read(EXAMPLES / "two-regions.toml")
    if joined is not None:
        for vpc in plan.topology.vpcs:
            attach(plan.topology, vpc, "cen-b")
        join(plan.topology, "cen-b", "cn-beijing", "cn-hangzhou", mbit=joined or None)
    return plan


def _picture(plan: Plan, width: int = 80) -> Picture:
    seen = {id: Seen(Light.UP, "PostgreSQL 17, 139 MB") for id in plan.topology.instances}
    return layout(plan, seen, "driver netns", width)


def _three_regions(folder: Path) -> Plan:
    """A line that passes over the region in the middle, and two CENs."""
    text = (EXAMPLES / "two-regions.toml").read_text()
    text += """
[vpcs.vpc-c]
account = "b"
region = "eu-central-1"
cidr = "10.30.0.0/16"
[vpcs.vpc-d]
account = "b"
region = "eu-central-1"
cidr = "10.40.0.0/16"
[cens.cen-a]
owner = "a"
[[attachments]]
vpc = "vpc-b"
cen = "cen-b"
[[attachments]]
vpc = "vpc-c"
cen = "cen-b"
[[attachments]]
vpc = "vpc-a"
cen = "cen-a"
[lines.line-1]
cen = "cen-b"
regions = ["cn-beijing", "eu-central-1"]
mbit = 20
[lines.line-2]
cen = "cen-b"
regions = ["cn-hangzhou", "eu-central-1"]
mbit = 5
"""
    file = folder / "three.toml"
    file.write_text(text)
    return read(file)


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_shows_everything_within_its_width(width: int) -> None:
    text = render_terminal(_picture(_two(), width)).plain
    for words in [*WORDS, "not attached", "no transit router yet", "no line yet", "lets in"]:
        assert words in text, words
    assert max(map(len, text.splitlines())) <= width


def test_missing_parts_are_dashed_and_real_ones_are_not() -> None:
    missing, made = _picture(_two()), _picture(_two(joined=100.0))
    assert all(wire.missing for wire in missing.wires)
    assert {box.missing for box in missing.boxes if box.kind is Kind.ROUTER} == {True}
    assert not any(part.missing for part in (*made.wires, *made.boxes))
    assert "╌" in render_terminal(missing).plain and "╌" not in render_terminal(made).plain


def test_a_line_is_drawn_as_thick_as_it_is_wide_and_says_so() -> None:
    weights = []
    for mbit, words in ((0.0, "1 kbit/s"), (10.0, "10 Mbit/s"), (1000.0, "1000 Mbit/s")):
        picture = _picture(_two(joined=mbit))
        assert words in [text.words for text in picture.texts]
        weights.append(next(wire.weight for wire in picture.wires if wire.is_line))
    assert weights == [0, 1, 3]


@pytest.mark.parametrize("regions", [2, 3])
def test_nothing_overlaps(tmp_path: Path, regions: int) -> None:
    picture = _picture(_two(joined=1.0) if regions == 2 else _three_regions(tmp_path), 120)
    taken: dict[tuple[int, int], str] = {}
    for text in picture.texts:
        back = {Anchor.START: 0, Anchor.MIDDLE: len(text.words) // 2}
        begin = text.x - back.get(text.anchor, len(text.words) - 1)
        for n in range(len(text.words)):
            place = (begin + n, text.y)
            assert place not in taken, f"{text.words!r} lies on {taken[place]!r}"
            assert 0 <= place[0] < picture.width and place[1] < picture.height, text.words
            taken[place] = text.words
    boxes = [box for box in picture.boxes if box.kind is not Kind.REGION]
    for box in boxes:
        for other in boxes:
            apart = (
                box.x + box.width <= other.x or other.x + other.width <= box.x
                or box.y + box.height <= other.y or other.y + other.height <= box.y
            )  # fmt: skip
            assert box is other or apart


def test_every_line_of_several_regions_and_cens_is_drawn(tmp_path: Path) -> None:
    picture = _picture(_three_regions(tmp_path), 120)
    lines = [wire for wire in picture.wires if wire.is_line and not wire.missing]
    assert len(lines) == 2
    text = render_terminal(picture).plain
    assert "20 Mbit/s, line-1" in text and "5 Mbit/s" in text and "tr-cen-a-cn-beijing" in text


def test_svg_is_whole_self_contained_and_follows_light_and_dark() -> None:
    plan = _two(joined=100.0)
    plan.accounts["a"] = "<script>alert('&')</script>"
    svg = render_svg(_picture(plan, 110))
    found = ElementTree.fromstring(svg)
    words = {element.text for element in found.iter("{http://www.w3.org/2000/svg}text")}
    assert {*WORDS, "100 Mbit/s", "<script>alert('&')</script>"} <= words
    assert "prefers-color-scheme: dark" in svg
    assert "<script" not in svg and "href" not in svg and "url(" not in svg
    circles = list(found.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == len(plan.topology.instances)
