"""A picture as one self-contained SVG file, light and dark as the reader's system is."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .picture import Anchor, Box, Dot, Kind, Light, Picture, Text, Wire

_X, _Y = 9.0, 20.0
"""Pixels of a cell."""
_MARGIN = 28.0
#: Colour of an account: on light ground, on dark ground.
_COLOURS = (
    ("#0969a8", "#56b4f0"), ("#a8326e", "#f08fc0"), ("#8a6100", "#e0b34a"),
    ("#1a7a3c", "#5fcf86"), ("#5b4bc4", "#a99cf5"), ("#b3401f", "#f59a78"),
)  # fmt: skip
_LIGHTS = {Light.UP: "up", Light.READ_ONLY: "warn", Light.STANDBY: "standby", Light.DOWN: "down"}
_STYLE = """
svg { --ground: #fbfbfa; --panel: #f1f1ee; --card: #ffffff; --ink: #1f2328; --faint: #656d76;
  --wire: #57606a; --gap: #9a9fa6; --warn: #9a6700; --up: #1a7f37; --standby: #0969da;
  --down: #cf222e; ACCOUNTS_LIGHT }
@media (prefers-color-scheme: dark) {
  svg { --ground: #14171b; --panel: #1b1f25; --card: #22272e; --ink: #e8eaed; --faint: #9aa4af;
    --wire: #aab4bf; --gap: #68727d; --warn: #d9a520; --up: #4cc268; --standby: #6cb2ff;
    --down: #ff7b72; ACCOUNTS_DARK }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  fill: var(--ink); }
.title { font-weight: 600; font-size: 15px; }
.name { font-weight: 600; }
.address { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 12.5px; }
.faint { fill: var(--faint); font-size: 12px; }
.warning { fill: var(--warn); font-weight: 600; font-size: 12px; }
.ground { fill: var(--ground); }
.region { fill: var(--panel); }
.vpc { fill: var(--card); stroke-width: 1.5; }
.router { fill: var(--card); stroke-width: 1.5; }
.missing { fill: none; stroke: var(--gap) !important; stroke-dasharray: 5 5; }
.wire { fill: none; stroke: var(--wire); stroke-linejoin: round; stroke-linecap: round; }
"""


def render_svg(picture: Picture) -> str:
    """The picture as text of an SVG file that needs nothing else."""
    width, height = picture.width * _X + 2 * _MARGIN, picture.height * _Y + 2 * _MARGIN
    drawn = _Svg(picture)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img">',
        f"<title>{escape(picture.title)}</title>",
        f"<style>{drawn.style()}</style>",
        f'<rect class="ground" width="{width:g}" height="{height:g}" rx="14"/>',
        f'<g transform="translate({_MARGIN:g} {_MARGIN:g})">',
        *(drawn.box(box) for box in picture.boxes if box.kind is Kind.REGION),
        *(drawn.wire(wire) for wire in picture.wires),
        *(drawn.box(box) for box in picture.boxes if box.kind is not Kind.REGION),
        *(drawn.dot(dot) for dot in picture.dots),
        *(drawn.text(text) for text in picture.texts),
        "</g></svg>\n",
    ]
    return "\n".join(parts)


class _Svg:
    def __init__(self, picture: Picture) -> None:
        self.accounts = picture.accounts

    def style(self) -> str:
        found = _STYLE
        for index, name in enumerate(("ACCOUNTS_LIGHT", "ACCOUNTS_DARK")):
            words = (
                f"--account{n}: {_COLOURS[n % len(_COLOURS)][index]};"
                for n in range(len(self.accounts))
            )
            found = found.replace(name, " ".join(words))
        return found

    def _colour(self, account: str | None) -> str:
        if account not in self.accounts:
            return "var(--wire)"
        return f"var(--account{self.accounts.index(account)})"

    def box(self, box: Box) -> str:
        x, y = (box.x + 0.5) * _X, (box.y + 0.5) * _Y
        width, height = (box.width - 1) * _X, (box.height - 1) * _Y
        if box.kind is Kind.REGION:
            x, y, width, height = x - 14, y - 16, width + 28, height + 28
        kind = f"{box.kind.value} missing" if box.missing else box.kind.value
        stroke = "" if box.kind is Kind.REGION else f' style="stroke: {self._colour(box.account)}"'
        frame = (
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            f' rx="{18 if box.kind is Kind.ROUTER else 9}"{stroke}/>'
        )
        if box.kind is not Kind.VPC:
            return frame
        bar = f"M{x:g} {y + 9:g}a9 9 0 0 1 9 -9h{width - 18:g}a9 9 0 0 1 9 9z"
        return f'{frame}<path d="{bar}" style="fill: {self._colour(box.account)}"/>'

    def wire(self, wire: Wire) -> str:
        points = " ".join(f"{(x + 0.5) * _X:g},{(y + 0.5) * _Y:g}" for x, y in wire.points)
        kind = "wire missing" if wire.missing else "wire"
        thickness = 2 + 2.2 * wire.weight if wire.is_line and not wire.missing else 2
        return f'<polyline class="{kind}" points="{points}" stroke-width="{thickness:.1f}"/>'

    def dot(self, dot: Dot) -> str:
        colour = _LIGHTS[dot.light]
        x, y = (dot.x + 0.5) * _X, (dot.y + 0.5) * _Y
        return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" style="fill: var(--{colour})"/>'

    def text(self, text: Text) -> str:
        x = (text.x + {Anchor.START: 0.0, Anchor.MIDDLE: 0.5, Anchor.END: 1.0}[text.anchor]) * _X
        y = (text.y + 0.5) * _Y + 4.5
        colour = f' style="fill: {self._colour(text.account)}"' if text.account else ""
        return (
            f'<text class="{text.role.value}" x="{x:g}" y="{y:g}"'
            f' text-anchor="{text.anchor.value}"{colour}>{escape(text.words)}</text>'
        )
