"""A lab as a picture: one layout, drawn for a terminal and as SVG."""

from .layout import Seen, layout
from .picture import Light
from .svg import render_svg
from .terminal import render_terminal

__all__ = ["Light", "Seen", "layout", "render_svg", "render_terminal"]
