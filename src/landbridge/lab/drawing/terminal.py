"""A picture in characters, for rich."""

from __future__ import annotations

from itertools import pairwise

from rich.text import Text as RichText

from .picture import Anchor, Box, Kind, Light, Picture, Role, Wire

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_STYLE = {
    Role.TITLE: "bold", Role.NAME: "bold", Role.PLAIN: "", Role.ADDRESS: "",
    Role.FAINT: "dim", Role.WARNING: "yellow",
}  # fmt: skip
_LIGHT = {
    Light.UP: ("●", "green"), Light.READ_ONLY: ("●", "yellow"), Light.STANDBY: ("◐", "blue"),
    Light.DOWN: ("○", "red"),
}  # fmt: skip
#: Corners (top left, top right, bottom left, bottom right), horizontal, vertical.
_SOLID, _DASHED = "╭╮╰╯─│", "╭╮╰╯╌╎"
#: A wire's horizontal and vertical by its weight; missing ones are dashed.
_WIRES = ("─│", "━┃", "═║")
_MISSING = "╌╎"
_JOINTS = {(1, 0): "├", (-1, 0): "┤", (0, 1): "┬", (0, -1): "┴"}
_TURNS = {
    ((1, 0), (0, 1)): 1, ((0, -1), (-1, 0)): 1, ((-1, 0), (0, 1)): 0, ((0, -1), (1, 0)): 0,
    ((1, 0), (0, -1)): 3, ((0, 1), (-1, 0)): 3, ((-1, 0), (0, -1)): 2, ((0, 1), (1, 0)): 2,
}  # fmt: skip


def render_terminal(picture: Picture) -> RichText:
    """The picture as styled lines, `picture.width` columns wide."""
    canvas = _Canvas(picture)
    for box in picture.boxes:
        if box.kind is not Kind.REGION:
            canvas.box(box)
    for wire in picture.wires:
        canvas.wire(wire)
    for dot in picture.dots:
        canvas.put(dot.x, dot.y, *_LIGHT[dot.light])
    for text in picture.texts:
        begin = {
            Anchor.START: 0,
            Anchor.MIDDLE: len(text.words) // 2,
            Anchor.END: len(text.words) - 1,
        }
        style = f"{_STYLE[text.role]} {canvas.colour(text.account)}".strip()
        for n, character in enumerate(text.words):
            canvas.put(text.x - begin[text.anchor] + n, text.y, character, style)
    return canvas.text()


class _Canvas:
    """Characters with a style each."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.cells = [[(" ", "")] * picture.width for _ in range(picture.height)]

    def colour(self, account: str | None) -> str:
        """An account's colour; none for what belongs to nobody."""
        if account not in self.picture.accounts:
            return ""
        return _COLOURS[self.picture.accounts.index(account) % len(_COLOURS)]

    def put(self, x: int, y: int, character: str, style: str = "") -> None:
        if 0 <= y < len(self.cells) and 0 <= x < self.picture.width:
            self.cells[y][x] = (character, style)

    def box(self, box: Box) -> None:
        corners = _DASHED if box.missing else _SOLID
        style = "dim" if box.missing else self.colour(box.account)
        right, bottom = box.x + box.width - 1, box.y + box.height - 1
        for x in range(box.x + 1, right):
            self.put(x, box.y, corners[4], style)
            self.put(x, bottom, corners[4], style)
        for y in range(box.y + 1, bottom):
            self.put(box.x, y, corners[5], style)
            self.put(right, y, corners[5], style)
        ends = ((box.x, box.y), (right, box.y), (box.x, bottom), (right, bottom))
        for corner, (x, y) in zip(corners, ends, strict=False):
            self.put(x, y, corner, style)

    def wire(self, wire: Wire) -> None:
        straight = (
            _MISSING if wire.missing else _WIRES[min(int(wire.weight) if wire.is_line else 0, 2)]
        )
        style = "dim" if wire.missing else ""
        steps = []
        for (x, y), (to_x, to_y) in pairwise(wire.points):
            step = (_sign(to_x - x), _sign(to_y - y))
            steps.append(step)
            while (x, y) != (to_x, to_y):
                x, y = x + step[0], y + step[1]
                self.put(x, y, straight[0] if step[1] == 0 else straight[1], style)
        for n, turn in enumerate(pairwise(steps), 1):
            self.put(*wire.points[n], _SOLID[_TURNS[turn]], style)
        backwards = (-steps[-1][0], -steps[-1][1])
        for (x, y), step in ((wire.points[0], steps[0]), (wire.points[-1], backwards)):
            self.put(x, y, _JOINTS[step], style)

    def text(self) -> RichText:
        found = RichText(no_wrap=True, overflow="crop")
        for row in self.cells:
            filled = len(row)
            while filled and row[filled - 1][0] == " ":
                filled -= 1
            for character, style in row[:filled]:
                found.append(character, style)
            found.append("\n")
        found.rstrip()
        return found


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
